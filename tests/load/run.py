"""The speed reading: builds what is measured, measures all targets in one interleaved batch, writes the table.

    run.py [--name NAME] [--rounds 3] [--seconds 4] [--attempts 3] [--wait-below 0.15] [--only A,B] [--report-only]

The load generator and the proxy to compare with are in generator/, what a target is stands in targets.py, how one is measured in
measure.py, the memory readings in memory.py, the table in report.py. Results go to .test/load/results.jsonl, the table to
docs/benchmarks/{date}-{NAME}.md. Every process is ended by its own id. """

import argparse
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import memory
import report
import targets
from measure import Generator, measure

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = Path(__file__).parent / "generator"
SCRATCH = ROOT / ".test" / "load"
RESULTS = SCRATCH / "results.jsonl"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="reading")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--attempts", type=int, default=3, help="how often a disturbed measurement is repeated")
    parser.add_argument("--wait-below", type=float, default=report.NOISE, help="cores of other work below which measuring begins, and is not repeated")
    parser.add_argument("--only", help="names of targets, with commas between")
    parser.add_argument("--report-only", action="store_true", help="write the table from the results that are there")
    return parser.parse_args()


def build(settings=None, copies=SCRATCH / "bin"):
    """The programs: the gateway and our server as they are released, and the folder of the generator's. `settings` are variables of cargo."""
    environment = {**os.environ, **(settings or {})}
    cargo = ["cargo", "build", "--locked", "--release"]
    subprocess.run([*cargo, "-p", "portunus"], cwd=ROOT, env=environment, check=True)
    subprocess.run([*cargo, "-p", "portunus-testkit", "--bin", "echo-server"], cwd=ROOT, env=environment, check=True)
    own = SCRATCH / "target"
    subprocess.run(cargo, cwd=GENERATOR, env={**os.environ, "CARGO_TARGET_DIR": str(own)}, check=True)
    release = Path(environment.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    # Copied, so that a build in the meantime changes nothing under a batch.
    copies.mkdir(parents=True, exist_ok=True)
    programs = {}
    for name in ("portunus", "echo-server"):
        programs[name] = Path(shutil.copy2(release / name, copies / name))
    return programs, own / "release"


def install(program, package):
    """The package of the distribution, unless the program is there."""
    if not Path(program).exists():
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        subprocess.run([*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package], check=True)


def batch(programs, binaries, wanted):
    """One round after the other, every target in each: a machine that drifts, drifts for all of them."""
    command = [programs["echo-server"], "--port", str(targets.LEGACY_PORT)]
    legacy_server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        generator = Generator(binaries, SCRATCH / "logs", wanted.seconds, wanted.attempts, wanted.wait_below)
        every = [*targets.baselines(binaries, SCRATCH), *targets.gateways(SCRATCH, programs, legacy_server.pid)]
        names = [target.name for target in every]
        only = wanted.only.split(",") if wanted.only else names
        if not set(only) <= set(names):
            raise SystemExit(f"--only: the targets are {', '.join(names)}")
        for number in range(wanted.rounds):
            print(f"round {number + 1} of {wanted.rounds}", flush=True)
            for target in every:
                if target.name in only:
                    keep({**row, "round": number} for row in measure(generator, target, every[0]))
        keep(memory.read(programs, SCRATCH, wanted.only))
    finally:
        legacy_server.terminate()
        legacy_server.wait()


def keep(rows):
    with RESULTS.open("a") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def main():
    wanted = arguments()
    if not wanted.report_only:
        install("/usr/sbin/nginx", "nginx-light")
        programs, binaries = build()
        RESULTS.unlink(missing_ok=True)
        batch(programs, binaries, wanted)
    # Times of several days of results are told by the day they were read.
    day = time.strftime("%Y-%m-%d", time.localtime(RESULTS.stat().st_mtime))
    path = ROOT / "docs" / "benchmarks" / f"{day}-{wanted.name}.md"
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    path.write_text(report.page(rows, day, wanted.name))
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
