"""Rows of docs/attacks.md whose tests passed. The third column of its table names the tests, each in backquotes, by the names that
cargo or Node's runner print; a name may be a part of a path (`threats::codes::t08_…` or `t08_…`). Reads the logs named on the command
line and prints `rows passed / rows listed`; exits 1 when a test that a row names did not pass. A row that names none is listed and
not passed.
"""

import re
import sys
from pathlib import Path

ATTACKS = Path(__file__).resolve().parents[2] / "docs" / "attacks.md"
CARGO = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. ok$", re.MULTILINE)
NODE = re.compile(r"^\s*✔ (.+?) \([\d.]+m?s\)\s*$", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def passed_tests(logs):
    names = set()
    for log in logs:
        text = COLOUR.sub("", Path(log).read_text(encoding="utf-8", errors="replace"))
        names |= set(CARGO.findall(text)) | set(NODE.findall(text))
    return names


def rows(document):
    """The first cell of each row of each table, and the tests that its third names."""
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []
        if len(cells) < 3 or set(cells[0]) <= set(":- ") or cells[2].lower().startswith("test"):
            continue
        yield cells[0], re.findall(r"`([^`]+)`", cells[2])


def main():
    if not ATTACKS.exists():
        print("docs/attacks.md is not there: no rows to count")
        return 0
    passed = passed_tests(sys.argv[1:])
    ends = {name[start:] for name in passed for start in [0, *(found.end() for found in re.finditer("::", name))]}
    listed = whole = 0
    missing = []
    for row, tests in rows(ATTACKS.read_text(encoding="utf-8")):
        listed += 1
        absent = [test for test in tests if test not in ends]
        whole += bool(tests) and not absent
        missing += [f"{row}: {test} did not pass" for test in absent]
    print(*missing, sep="\n", end="\n" if missing else "")
    print(f"attacks: {whole} rows passed / {listed} rows listed")
    return 1 if missing else 0


sys.exit(main())
