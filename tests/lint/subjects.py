"""Comments name what acts: the caller, the session, the gateway, a user. A comment of Rust code that speaks of a vague subject (`VAGUE`) is
refused. Excepted are strings, names, code in backticks, and the help texts of commands, which people read.

Part of `./test house` (house.py calls it). By itself: `python3 tests/lint/subjects.py`; with `--self-test` it checks what it finds.
"""

import re
import sys
from pathlib import Path

VAGUE = re.compile(r"\b(?:whoever|nobody|everybody|somebody)\b", re.I)
# A comment, or what may look like one and is none: a raw string, a string, a character.
TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|\b[bc]?r(?P<fence>\#*)".*?"(?P=fence)"""
    r"""|"(?:\\.|[^"\\])*\""""
    r"""|'(?:\\u\{[0-9a-fA-F_]+\}|\\x..|\\.|[^'\\\n])'""",
    re.S,
)
CODE = re.compile(r"`[^`\n]*`")
# clap shows the documentation of commands and options as their help.
CLAP = re.compile(r"\bclap::")


def vague_in(text):
    """The line, counted from one, and the word of each vague subject."""
    has_help = CLAP.search(text)
    for token in TOKEN.finditer(text):
        comment = token["comment"]
        if comment is None or (has_help and comment.startswith("///")):
            continue
        first = text.count("\n", 0, token.start()) + 1
        for number, line in enumerate(comment.split("\n"), first):
            for word in VAGUE.findall(CODE.sub("", line)):
                yield number, word


def check(tracked, finding):
    paths = tracked("crates/*.rs", "fuzz/*.rs")
    for path in paths:
        for line, word in vague_in(Path(path).read_text(encoding="utf-8")):
            finding(f"{path}:{line}", f"a comment speaks of `{word}`: name what acts, as the caller, a session, a user")
    print(f"subjects: {len(paths)} files")


CASES = [
    ("// Whoever asks waits.\n", [(1, "Whoever")]),
    ("//! Tells nobody.\n\n/// Everybody's lists.\nfn f() {}\n", [(1, "nobody"), (3, "Everybody")]),
    ("let a = 1; // for somebody\n", [(1, "somebody")]),
    ("/* first\n   nobody */\n", [(2, "nobody")]),
    ("// nobody and everybody\n", [(1, "nobody"), (1, "everybody")]),
    ('let url = "http://nobody"; // fine\n', []),
    ('let url = "a \\" // nobody";\n', []),
    ('let raw = r#"a " // nobody"#; // somebody\n', [(1, "somebody")]),
    ('let raw = br"\\"; // somebody\n', [(1, "somebody")]),
    ("let quote = '\"'; // somebody\n", [(1, "somebody")]),
    ("let quote = '\\''; let next = '\"'; // somebody\n", [(1, "somebody")]),
    ("fn f<'a>(of: &'a str) {} // somebody\n", [(1, "somebody")]),
    ("fn for_everybody() { nobody(); }\n", []),
    ("// The value `everybody`, and t45_whoever_asks_is_refused.\n", []),
    ("use clap::Args;\n/// Shows what somebody did\nstruct Show; // for somebody\n", [(3, "somebody")]),
    ("/// Shows what somebody did\nstruct Show;\n", [(1, "somebody")]),
]


def self_test():
    wrong = [(text, expected, found) for text, expected in CASES if (found := list(vague_in(text))) != expected]
    for text, expected, found in wrong:
        print(f"{found} were found, {expected} are right:\n{text}")
    print(f"subjects: {len(CASES)} cases, {len(wrong)} wrong")
    return not wrong


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        sys.exit(0 if self_test() else 1)
    import subprocess

    def all_tracked(*patterns):
        return subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns], check=True, capture_output=True, text=True).stdout.split()

    count = []
    check(all_tracked, lambda where, what: (count.append(where), print(f"{where}: {what}")))
    sys.exit(1 if count else 0)
