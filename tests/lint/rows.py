"""Rows of a list (attacks and faults, what the field does, what proves the audit trail) and the tests that a document names for them. The list stands with its caller, so
that a row cannot go missing from the document; the third column of the document's tables names each row's tests, in backquotes. Used by
tests/oauth/count_rows.py, tests/field/count_rows.py and tests/audit/count_rows.py.
"""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PASSED = re.compile(r"^test (?:\S*::)?(\S+)(?: - should panic)? \.\.\. ok$", re.MULTILINE)


class Rows:
    """`document` in docs/; `listed` are the rows that there are; `number` matches a row's first cell, `test` the name of a test."""

    def __init__(self, title, document, listed, number, test):
        self.title, self.listed, self.number = title, listed, number
        self.document = DOCS / document
        self.named = re.compile(rf"`({test})`")

    def written(self):
        """The number of each row of the tables, and the tests that its third column names."""
        for line in self.document.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
            if len(cells) >= 3 and re.fullmatch(self.number, cells[0]):
                yield cells[0], self.named.findall(cells[2])

    def problems(self, logs, may_lack):
        """How many rows passed in these logs of cargo, what is wrong, and which rows are not in the document."""
        passed = set()
        for log in logs:
            passed |= set(PASSED.findall(Path(log).read_text(encoding="utf-8", errors="replace")))
        written = list(self.written())
        problems = [f"{row}: not in the list" for row, _ in written if row not in self.listed]
        absent, whole = [], 0
        for row in self.listed:
            found = [tests for other, tests in written if other == row]
            if not found:
                absent.append(row)
            elif len(found) > 1 or not found[0]:
                problems.append(f"{row}: " + ("names no test" if len(found) == 1 else f"{len(found)} times in docs/{self.document.name}"))
            else:
                missed = [test for test in found[0] if test not in passed]
                whole += not missed
                problems += [f"{row}: {test} did not pass" for test in missed]
        if not may_lack:
            problems += [f"{row}: not in docs/{self.document.name}" for row in absent]
        return whole, problems, absent

    def main(self, may_lack=False):
        """The names of all tests with `--names`, for `cargo test`; else the verdict on the logs named on the command line."""
        if sys.argv[1:] == ["--names"]:
            print(*sorted({test for _, tests in self.written() for test in tests}))
            return 0
        whole, problems, absent = self.problems(sys.argv[1:], may_lack)
        print(*problems, sep="\n", end="\n" if problems else "")
        print(f"{self.title}: {whole} rows passed / {len(self.listed)} rows listed")
        if absent and may_lack:
            print("not yet:", *absent)
        return 1 if problems else 0
