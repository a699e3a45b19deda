"""Runs each cargo test in a process of its own, once: a test that passes only beside others (by a line that they log, a file that they leave, a
subscriber that they set) fails here. `just alone` runs it; words on the command line choose tests whose names contain one of them.

Prints each failure with the end of its output, then `tests: N passed, N failed`; exits 1 when one failed or when there was none.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ["cargo", "test", "--locked", "--workspace", "--no-run", "--message-format=json"]
# Seconds for one test; the longest of them do thousands of things.
LIMIT = 900
SIDE_BY_SIDE = 2


def programs():
    """Test programs with the folder that cargo would start each in."""
    environment = {**os.environ, "RUSTC_WORKSPACE_WRAPPER": "clippy-driver"}
    built = subprocess.run(BUILD, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in built.splitlines():
        message = json.loads(line)
        if message.get("executable") and message.get("profile", {}).get("test"):
            yield Path(message["executable"]), Path(message["manifest_path"]).parent


def cases(program, folder):
    listed = subprocess.run([program, "--list", "--format=terse"], cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]


def run(case):
    program, folder, name = case
    # A body that is not as its test says is a failure, and nothing is written beside the test.
    environment = {**os.environ, "CARGO_MANIFEST_DIR": str(folder), "INSTA_UPDATE": "no", "INSTA_FORCE_PASS": "0"}
    try:
        ran = subprocess.run(
            [program, "--exact", name, "--nocapture"],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
        )
        output, passed = ran.stdout.decode(errors="replace"), ran.returncode == 0 and b"1 passed" in ran.stdout
    except subprocess.TimeoutExpired as late:
        output, passed = (late.stdout or b"").decode(errors="replace") + f"\nlonger than {LIMIT} s", False
    if not passed:
        print(f"FAILED alone: {program.name} {name}\n{output[-3000:]}", flush=True)
    return passed


def main(words):
    chosen = [
        (program, folder, name)
        for program, folder in programs()
        for name in cases(program, folder)
        if not words or any(word in name for word in words)
    ]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        results = list(pool.map(run, chosen))
    print(f"tests: {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if results and all(results) else 1


sys.exit(main(sys.argv[1:]))
