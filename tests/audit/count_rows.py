"""Rows of the table "What proves it" in docs/audit.md whose tests passed, and how many forms of tampering those tests try. Exits 1 when a row is
missing, names no test, or names one that did not pass in the logs of cargo named on the command line. With `--names` it prints the names instead.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lint"))
from rows import Rows  # noqa: E402

AUDIT = Rows("audit", "audit.md", [f"AT{number:02}" for number in range(1, 19)], r"AT\d\d", r"[a-z0-9_]+")
# Each test asserts that it tries so many.
FORMS = {
    "a chain": "crates/core/src/audit/tests.rs",
    "SQLite": "crates/gateway/tests/ops/audit.rs",
    "Redis": "crates/store/tests/redis_damage.rs",
}


def main():
    verdict = AUDIT.main()
    if sys.argv[1:] != ["--names"]:
        counts = {}
        for where, file in FORMS.items():
            found = re.search(r"^const FORMS: usize = (\d+);$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
            if found is None:
                print(f"{file}: says no number of forms")
                verdict = 1
            else:
                counts[where] = int(found[1])
        told = ", ".join(f"{count} of {where}" for where, count in counts.items())
        print(f"forms of tampering tried: {sum(counts.values())} ({told}); " + ("each was found" if verdict == 0 else "not all rows passed"))
    return verdict


if __name__ == "__main__":
    sys.exit(main())
