"""The speed reading: builds what is measured, measures all targets in one interleaved batch, writes the table.

    run.py GENERATOR [--name NAME] [--rounds 3] [--seconds 4] [--attempts 3] [--wait-below 0.15] [--only A,B] [--report-only]

GENERATOR is the folder with the load generator (`bench.py`, `mcpbench`); what a target is stands in targets.py, the memory readings in
memory.py, the table in report.py. Results go to .test/load/results.jsonl, the table to docs/benchmarks/{date}-{NAME}.md. Every process
is ended by its own id.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import memory
import report
import targets

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / ".test" / "load"
RESULTS = SCRATCH / "results.jsonl"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("generator", type=Path)
    parser.add_argument("--name", default="reading")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--attempts", type=int, default=3, help="how often a disturbed measurement is repeated")
    parser.add_argument("--wait-below", type=float, default=report.NOISE, help="cores of other work below which measuring begins, and is not repeated")
    parser.add_argument("--only", help="names of targets, with commas between")
    parser.add_argument("--report-only", action="store_true", help="write the table from the results that are there")
    return parser.parse_args()


def build(generator):
    """The programs: the gateway and our server as they are released, and those of the generator's folder."""
    cargo = ["cargo", "build", "--locked", "--release"]
    subprocess.run([*cargo, "-p", "portunus"], cwd=ROOT, check=True)
    subprocess.run([*cargo, "-p", "portunus-testkit", "--bin", "echo-server"], cwd=ROOT, check=True)
    own = SCRATCH / "target"
    subprocess.run(cargo, cwd=generator / "mcpbench", env={**os.environ, "CARGO_TARGET_DIR": str(own)}, check=True)
    if not Path("/usr/sbin/nginx").exists():
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        subprocess.run([*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx-light"], check=True)
    release = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    # Copied, so that a build in the meantime changes nothing under a batch.
    (SCRATCH / "bin").mkdir(exist_ok=True)
    programs = {}
    for name in ("portunus", "echo-server"):
        programs[name] = Path(shutil.copy2(release / name, SCRATCH / "bin" / name))
    return programs, own / "release"


def measure(generator, programs, binaries, wanted):
    """One round after the other, every target in each: a machine that drifts, drifts for all of them."""
    legacy_server = subprocess.Popen([programs["echo-server"], "--port", str(targets.LEGACY_PORT)], stdout=subprocess.DEVNULL)
    try:
        file = SCRATCH / "targets.json"
        targets.write(file, generator, SCRATCH, programs, legacy_server.pid)
        environment = {**os.environ, "BENCH_TMP": str(SCRATCH), "BIN": str(binaries)}
        for number in range(wanted.rounds):
            print(f"round {number + 1} of {wanted.rounds}", flush=True)
            part = SCRATCH / f"round-{number}.jsonl"
            part.unlink(missing_ok=True)
            command = [sys.executable, str(generator / "bench.py"), "--targets", str(file), "--out", str(part), "--phases", "load"]
            command += ["--runs", "1", "--dur", str(wanted.seconds), "--attempts", str(wanted.attempts)]
            command += ["--noise", str(wanted.wait_below)]
            if wanted.only:
                command += ["--only", wanted.only]
            subprocess.run(command, env=environment, check=True)
            keep({**json.loads(line), "round": number} for line in part.read_text().splitlines())
        keep(memory.read(programs, binaries, SCRATCH, wanted.only))
    finally:
        legacy_server.terminate()
        legacy_server.wait()


def keep(rows):
    with RESULTS.open("a") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def main():
    wanted = arguments()
    generator = wanted.generator.resolve()
    if not (generator / "bench.py").is_file():
        sys.exit(f"{wanted.generator} is not the load generator's folder: it has no bench.py (just bench FOLDER)")
    if not wanted.report_only:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        programs, binaries = build(generator)
        RESULTS.unlink(missing_ok=True)
        measure(generator, programs, binaries, wanted)
    # Times of several days of results are told by the day they were read.
    day = time.strftime("%Y-%m-%d", time.localtime(RESULTS.stat().st_mtime))
    path = ROOT / "docs" / "benchmarks" / f"{day}-{wanted.name}.md"
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    path.write_text(report.page(rows, day, wanted.name))
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
