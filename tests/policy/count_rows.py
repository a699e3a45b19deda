"""The rows of docs/attacks.md that are about who may use what, and whose tests passed: `rows passed / rows listed`. Like
tests/oauth/count_rows.py, for these rows alone; the matrix of tests/policy counts its own.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lint"))
from rows import Rows  # noqa: E402

# A grant that skips policy; policy for lists only; spoofed identities; tools that change; tasks of others; one session, two tokens.
LISTED = ["24", "32", "33", "45", "51", "71"]


class PolicyRows(Rows):
    def written(self):
        return ((row, tests) for row, tests in super().written() if row in self.listed)


POLICY = PolicyRows("policy", "attacks.md", LISTED, r"F?\d+", r"[tf]b?\d+_[a-z0-9_]+")

if __name__ == "__main__":
    sys.exit(POLICY.main())
