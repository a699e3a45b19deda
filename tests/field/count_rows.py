"""Rows of the list of what the field really does whose tests passed: docs/field.md names each row's, as `fb07_…`. Prints `rows passed / rows listed` and
the rows that are not in the document yet; exits 1 when a row is there twice or is not in the list, names no test, or names one that did not
pass in the logs of cargo named on the command line. With `--names` it prints the names instead, for `cargo test`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lint"))
from rows import Rows  # noqa: E402

NUMBERS = [*range(1, 19), *range(20, 25), *range(30, 43), *range(50, 56), *range(60, 89)]
FIELD = Rows("field", "field.md", [f"FB{number:02}" for number in NUMBERS], r"FB\d\d", r"fb\d\d_[a-z0-9_]+")

if __name__ == "__main__":
    sys.exit(FIELD.main(may_lack=True))
