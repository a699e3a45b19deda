"""The commands of deploy/README.md: each block of shell by the heading it stands under, line by line, so that tests run what people
copy."""

import re
import shlex

from common import DEPLOY

FILE = DEPLOY / "README.md"


def blocks(heading):
    """The blocks under this heading, as lists of lines."""
    _, found, rest = FILE.read_text().partition(f"\n## {heading}\n")
    assert found, f"{FILE.name} has no heading {heading}"
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.M)[0]
    return [block.strip().splitlines() for block in re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)]


def commands(heading, beginning):
    """The block under this heading whose first line begins so, as lists of words."""
    (lines,) = [lines for lines in blocks(heading) if lines[0].startswith(beginning)]
    return [shlex.split(line) for line in lines]


def filled_in(words, values):
    """With the examples of the document replaced by what is there."""
    return [values.get(word, word) for word in words]
