"""Rows of the list of threats and faults whose tests passed: docs/attacks.md names each row's, as `t08_…` or `f3_…`. Prints `rows passed / rows
listed`; exits 1 when a row is not in the document, is there twice or is not in the list, names no test, or names one that did not pass in the
logs of cargo named on the command line. With `--names` it prints the names instead, for `cargo test`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lint"))
from rows import Rows  # noqa: E402

THREATS = [*range(1, 73), *range(90, 94)]  # the second range: the client's side, `portunus connect`
LISTED = [*(str(number) for number in THREATS), *(f"F{number}" for number in range(1, 15))]
ATTACKS = Rows("attacks", "attacks.md", LISTED, r"F?\d+", r"[tf]\d+_[a-z0-9_]+")

if __name__ == "__main__":
    sys.exit(ATTACKS.main())
