"""Loops in tests have an end: one that waits for something says how long. Found are the forms that wait for ever when what they wait for does
not come: `loop` and its likes, and a `while` that sleeps or looks at a flag. Rust waits by `portunus_testkit::wait`; any other loop names its
bound in its own text (a timeout, a deadline, a count of attempts) or in a comment `bounded: why` right above it.

Part of `./test house` (house.py calls it). By itself: `python3 tests/lint/loops.py`; with `--self-test` it checks what it finds.
"""

import re
import sys
from pathlib import Path

# What a bounded loop has in its first line or its body.
BOUND = re.compile(r"elapsed\(\)|timeout|deadline|PATIENCE|perf_counter|Date\.now\(\)|Instant::now\(\) <|\bfail_after\b|\btries\b|\battempts?\b|ATTEMPTS")
SAID = re.compile(r"(//|#) bounded: \w")

RUST_ENDLESS = re.compile(r"(?:^|[ =])loop \{|\bwhile true \{")
RUST_WHILE = re.compile(r"^ *(?:\} )?while (?!let )(?P<condition>.*)\{$")
RUST_WAITS = re.compile(r"\bsleep\(|yield_now\(")
RUST_FLAG = re.compile(r"\.load\(")

SCRIPT_ENDLESS = re.compile(r"\bwhile \((?:true|1)\)|\bfor \([^;]*; *;|\bfor \([^;]*;[^;]*; *\)")
SCRIPT_WHILE = re.compile(r"^ *(?:do \{$|while \()(?P<condition>.*)$")
SCRIPT_WAITS = re.compile(r"\bawait\b|setTimeout")

PYTHON_ENDLESS = re.compile(r"^ *while (?:True|1)\b")
PYTHON_WHILE = re.compile(r"^ *while (?P<condition>.*):$")
PYTHON_WAITS = re.compile(r"\bsleep\(")


def indentation(line):
    return len(line) - len(line.lstrip(" "))


def block(lines, start):
    """The loop that begins in this line, to the line that ends it."""
    depth = indentation(lines[start])
    for end in range(start + 1, len(lines)):
        if lines[end].strip() and indentation(lines[end]) <= depth:
            return lines[start : end + 1]
    return lines[start:]


def unbounded(text, endless, loop, waits, flag=None):
    """The lines, counted from one, that begin a loop without a bound."""
    lines = text.split("\n")
    for n, line in enumerate(lines):
        if line.lstrip().startswith(("//", "#", "*")):
            continue
        if not endless.search(line):
            found = loop.match(line)
            if not found:
                continue
            does_wait = waits.search("\n".join(block(lines, n))) or (flag and flag.search(found["condition"]))
            if not does_wait:
                continue
        # A future that loops is often bounded right behind it.
        body = block(lines, n)
        behind = lines[n + len(body) : n + len(body) + 2]
        if not BOUND.search("\n".join(body + behind)) and not (n > 0 and SAID.search(lines[n - 1])):
            yield n + 1


def unbounded_in(path, text):
    if path.endswith(".rs"):
        return unbounded(text, RUST_ENDLESS, RUST_WHILE, RUST_WAITS, RUST_FLAG)
    if path.endswith(".py"):
        return unbounded(text, PYTHON_ENDLESS, PYTHON_WHILE, PYTHON_WAITS)
    return unbounded(text, SCRIPT_ENDLESS, SCRIPT_WHILE, SCRIPT_WAITS)


def is_test(path):
    parts = Path(path).parts
    if path.endswith(".rs"):
        return "tests" in parts or parts[:2] == ("crates", "testkit") or parts[0] == "fuzz" or parts[-1] == "tests.rs"
    return parts[0] == "tests"


def check(tracked, finding):
    paths = [path for path in tracked("*.rs", "*.mjs", "*.js", "*.py") if is_test(path)]
    for path in paths:
        for line in unbounded_in(path, Path(path).read_text(encoding="utf-8")):
            finding(f"{path}:{line}", "a loop without a bound: `portunus_testkit::wait`, a deadline, a count of attempts, or a comment `bounded: why` above it")
    print(f"loops: {len(paths)} test files")


CASES = [
    ("x.rs", "    loop {\n        step().await;\n    }\n", [1]),
    ("x.rs", "    let found = loop {\n        step().await;\n    };\n", [1]),
    ("x.rs", "    loop {\n        assert!(began.elapsed() < PATIENCE);\n    }\n", []),
    ("x.rs", "    // bounded: by the select below.\n    loop {\n        step().await;\n    }\n", []),
    ("x.rs", "    // bounded: by\n    step();\n    loop {\n        step().await;\n    }\n", [3]),
    ("x.rs", "    while !is_so() {\n        tokio::time::sleep(STEP).await;\n    }\n", [1]),
    ("x.rs", "    while ttl().await < 5 {\n        tokio::task::yield_now().await;\n    }\n", [1]),
    ("x.rs", "    while !enough.load(SeqCst) {\n        call().await;\n    }\n", [1]),
    ("x.rs", "    while began.elapsed() < PATIENCE {\n        sleep(STEP);\n    }\n", []),
    ("x.rs", "    while read < answer.len() {\n        read += 1;\n    }\n", []),
    ("x.rs", "    while let Some(line) = lines.next() {\n        say(line);\n    }\n", []),
    ("x.rs", "    //! Then loop { comes\n", []),
    ("x.rs", "    let waiting = async {\n        while !is_so() {\n            sleep(STEP).await;\n        }\n    };\n    tokio::time::timeout(LIMIT, waiting).await;\n", []),
    ("x.mjs", "  for (;;) {\n    await pause(1);\n  }\n", [1]),
    ("x.mjs", "  while (true) {\n    step();\n  }\n", [1]),
    ("x.mjs", "  while (this.#calm > 0) await pause(50);\n", [1]),
    ("x.mjs", "  while (!(await accepts(port))) {\n    await pause(20);\n  }\n", [1]),
    ("x.mjs", "  for (let attempt = 1; ; attempt += 1) {\n    if (attempt === ATTEMPTS) throw error;\n  }\n", []),
    ("x.mjs", "  for (const until = Date.now() + MS; ; await pause(100)) {\n    step();\n  }\n", []),
    ("x.mjs", "  while (at < text.length) at += 1;\n", []),
    ("x.mjs", "  do {\n    answer = await ask();\n  } while (!answer.ok);\n", [1]),
    ("x.mjs", "  for (let inRow = 0; inRow < 10; ) {\n    inRow = (await ask()).ok ? inRow + 1 : 0;\n  }\n", [1]),
    ("x.py", "    while True:\n        message = await hear()\n", [1]),
    ("x.py", "    # bounded: the other side says when it ends.\n    while True:\n        message = await hear()\n", []),
    ("x.py", "    while not ready():\n        time.sleep(1)\n", [1]),
    ("x.py", "    while time.perf_counter() - began < 60:\n        time.sleep(1)\n", []),
]


def self_test():
    wrong = [(path, text, expected, found) for path, text, expected in CASES if (found := list(unbounded_in(path, text))) != expected]
    for path, text, expected, found in wrong:
        print(f"{path}: lines {found} were found, {expected} are right:\n{text}")
    print(f"loops: {len(CASES)} cases, {len(wrong)} wrong")
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
