"""Rows of the list of what the field really does whose tests passed. The list stands here; the third column of the table in docs/field.md names
each row's tests, in backquotes, as `fb07_…`. Reads the logs of cargo named on the command line and prints `rows passed / rows listed` and the rows
that are not in the document yet; exits 1 when a row is there twice or is not in the list, names no test, or names one that did not pass. With
`--names` it prints the names instead, for `cargo test`.
"""

import re
import sys
from pathlib import Path

NUMBERS = [*range(1, 19), *range(20, 25), *range(30, 43), *range(50, 56), *range(60, 89)]
LISTED = [f"FB{number:02}" for number in NUMBERS]
FIELD = Path(__file__).resolve().parents[2] / "docs" / "field.md"
NAMED = re.compile(r"`(fb\d\d_[a-z0-9_]+)`")
PASSED = re.compile(r"^test (?:\S*::)?(\S+)(?: - should panic)? \.\.\. ok$", re.MULTILINE)


def rows():
    """The number of each row of the table, and the tests that its third column names."""
    for line in FIELD.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) >= 3 and re.fullmatch(r"FB\d\d", cells[0]):
            yield cells[0], NAMED.findall(cells[2])


def count(logs):
    passed = set()
    for log in logs:
        passed |= set(PASSED.findall(Path(log).read_text(encoding="utf-8", errors="replace")))
    written = list(rows())
    problems = [f"{row}: not in the list" for row, _ in written if row not in LISTED]
    problems += [f"{row}: more than once" for row in LISTED if sum(row == other for other, _ in written) > 1]
    whole = 0
    for row, tests in written:
        absent = [test for test in tests if test not in passed]
        whole += bool(tests) and not absent
        problems += [f"{row}: names no test"] * (not tests) + [f"{row}: {test} did not pass" for test in absent]
    not_yet = [row for row in LISTED if row not in {other for other, _ in written}]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"field: {whole} rows passed / {len(LISTED)} rows listed")
    if not_yet:
        print("not yet:", *not_yet)
    return 1 if problems else 0


if sys.argv[1:] == ["--names"]:
    print(*sorted({test for _, tests in rows() for test in tests}))
else:
    sys.exit(count(sys.argv[1:]))
