"""Rows of docs/attacks.md whose tests passed. The third column of its tables names them, each in backquotes, as `t08_…` or `f3_…`.
Reads the logs of cargo named on the command line and prints `rows passed / rows listed`; exits 1 when a test that a row names did not
pass. A row that names none is listed, and not passed. With `--names` it prints the names instead, for `cargo test`.
"""

import re
import sys
from pathlib import Path

ATTACKS = Path(__file__).resolve().parents[2] / "docs" / "attacks.md"
NAMED = re.compile(r"`([tf]\d+_[a-z0-9_]+)`")
PASSED = re.compile(r"^test (?:\S*::)?(\S+)(?: - should panic)? \.\.\. ok$", re.MULTILINE)


def rows():
    """The number of each row of each table, and the tests that its third column names."""
    for line in ATTACKS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) >= 3 and re.fullmatch(r"F?\d+", cells[0]):
            yield cells[0], NAMED.findall(cells[2])


def count(logs):
    passed = set()
    for log in logs:
        passed |= set(PASSED.findall(Path(log).read_text(encoding="utf-8", errors="replace")))
    listed = whole = 0
    missing = []
    for row, tests in rows():
        absent = [test for test in tests if test not in passed]
        listed += 1
        whole += bool(tests) and not absent
        missing += [f"{row}: {test} did not pass" for test in absent]
        if not tests:
            print(f"{row}: no test yet")
    print(*missing, sep="\n", end="\n" if missing else "")
    print(f"attacks: {whole} rows passed / {listed} rows listed")
    return 1 if missing else 0


if sys.argv[1:] == ["--names"]:
    print(*sorted({test for _, tests in rows() for test in tests}))
else:
    sys.exit(count(sys.argv[1:]))
