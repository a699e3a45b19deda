"""Rows of the list of threats and faults whose tests passed. The list stands here, so that a row cannot go missing from docs/attacks.md; the
third column of the tables there names each row's tests, in backquotes, as `t08_…` or `f3_…`. Reads the logs of cargo named on the command line
and prints `rows passed / rows listed`; exits 1 when a row is not in the document, is there twice or is not in the list, names no test, or
names one that did not pass. With `--names` it prints the names instead, for `cargo test`.
"""

import re
import sys
from pathlib import Path

LISTED = [*(str(number) for number in range(1, 73)), *(f"F{number}" for number in range(1, 14))]
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
    written = list(rows())
    missing = [f"{row}: not in the list" for row, _ in written if row not in LISTED]
    whole = 0
    for row in LISTED:
        found = [tests for written_row, tests in written if written_row == row]
        if len(found) != 1 or not found[0]:
            missing.append(f"{row}: " + ("names no test" if len(found) == 1 else f"{len(found)} times in docs/attacks.md"))
            continue
        absent = [test for test in found[0] if test not in passed]
        whole += not absent
        missing += [f"{row}: {test} did not pass" for test in absent]
    print(*missing, sep="\n", end="\n" if missing else "")
    print(f"attacks: {whole} rows passed / {len(LISTED)} rows listed")
    return 1 if missing else 0


if sys.argv[1:] == ["--names"]:
    print(*sorted({test for _, tests in rows() for test in tests}))
else:
    sys.exit(count(sys.argv[1:]))
