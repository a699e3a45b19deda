"""Instructions outside the kernel for one `tools/call`, counted by callgrind: legacy, modern, and a minimal hyper proxy as the floor.
A busy machine does not move them, so they have limits: instructions.json beside this file, or what `--compare` names.

    instructions.py [--access] [--calls 500] [--connections 1] [--compare FILE] [--save FILE] [--gateway FILE]

With --access what the audit trail and access rules cost: calls with and without both. SHA-256 is told apart there, since callgrind's processor
has no instructions for it, as those that people have do. The thread that writes to SQLite is in all counts.

Exits 1 when a figure is over its limit by more than 2 %, and 2 when one cannot be measured. What a target is stands in targets.py, how
it is started and called in measure.py; time is measured by run.py. The profiles stay in .test/load/instructions, for callgrind_annotate.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import run
import targets
from measure import START, Failed, Generator, signed_in

SCRATCH = run.SCRATCH / "instructions"
LIMITS = Path(__file__).with_name("instructions.json")
# Names in the table, and which target of targets.py each is.
MEASURED = {"legacy": "portunus", "modern": "portunus modern", "hyper": "hyper"}
FLOOR = "hyper"
# The eras of --access: each is measured as `targets.access_cells` has it.
ERAS = {"legacy": "portunus", "modern": "portunus modern"}
# The function that takes the blocks of SHA-256, where a processor does not.
HASHING = "sha2::sha256"
TOLERANCE = 0.02
# As released, with its symbols; line tables tell which file an inlined function is of.
BUILD = {
    "CARGO_TARGET_DIR": str(SCRATCH / "target"),
    "CARGO_PROFILE_RELEASE_STRIP": "none",
    "CARGO_PROFILE_RELEASE_DEBUG": "line-tables-only",
}
# Threads of the runtime, of the gateway's and of the proxy's. With several, it is chance which of them takes a task, and that moves a figure by 2 %.
THREADS = 1
# The least of so many counts: what the gateway does by the clock (it looks at its files) adds to a count, more of it on a busy machine, and
# never takes anything off.
ROUNDS = 3
# What is done after the last answer: the line of the log, an end of a connection.
SETTLE = 0.5
# Under callgrind all of it takes fifty times as long.
PATIENCE = 1200


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--access", action="store_true", help="with and without the audit trail and access rules")
    parser.add_argument("--calls", type=int, default=500, help="calls that are counted; then twice as many, to take the start off")
    parser.add_argument("--connections", type=int, default=1, help="sessions at the same time, on a connection each")
    parser.add_argument("--compare", type=Path, default=LIMITS, metavar="FILE", help="limits, as --save writes them")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures, for a later --compare")
    parser.add_argument("--gateway", type=Path, metavar="FILE", help="a gateway that is built already, in place of this one")
    wanted = parser.parse_args()
    if wanted.connections < 1 or wanted.calls < wanted.connections:
        parser.error("--calls: at least one for each connection")
    return wanted


def load_limits(path, section, names):
    """Instructions by name. A file that is not there, or that lacks a name, is no limit that holds: it is a mistake."""
    try:
        limits = json.loads(path.read_text())[section]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{path}: no limits can be read from it ({error!r})") from error
    missing = [name for name in names if not isinstance(limits.get(name), int)]
    if missing:
        raise Failed(f"{path}: no limit for {', '.join(missing)}")
    return limits


class Callgrind:
    """One program under callgrind: what counts it, and what it has counted."""

    def __init__(self, name):
        self.out = SCRATCH / f"{name}.callgrind"
        for old in SCRATCH.glob(f"{name}.callgrind*"):
            old.unlink()
        self.dumps = 0

    def command(self, words):
        options = ["--tool=callgrind", f"--callgrind-out-file={self.out}", "--fair-sched=yes", f"--vgdb-prefix={SCRATCH}/vgdb"]
        return ["valgrind", *options, *words]

    def tell(self, process, *words):
        """A command to callgrind, inside the process."""
        command = ["vgdb", f"--pid={process.pid}", f"--vgdb-prefix={SCRATCH}/vgdb", *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{self.out.stem}: callgrind does not answer to `{' '.join(words)}`") from error
        if done.returncode != 0:
            raise Failed(f"{self.out.stem}: callgrind refuses `{' '.join(words)}`: {(done.stdout + done.stderr)[-400:]}")

    def take_count(self, process):
        """Instructions since the last time, which are written to a file of their own."""
        time.sleep(SETTLE)
        self.tell(process, "dump")
        self.dumps += 1
        dump = Path(f"{self.out}.{self.dumps}")
        if not dump.exists():
            raise Failed(f"{self.out.stem}: callgrind wrote no {dump.name}")
        return read_count(dump)


def read_count(dump):
    """All instructions of a profile, and those of SHA-256 among them."""
    total, hashing, is_hashing, is_call = None, 0, False, False
    names = {}
    for line in dump.read_text(errors="replace").splitlines():
        if line.startswith("fn="):
            # The name stands where it is first used, in parentheses its number: of functions called too.
            number, _, name = line[3:].partition(" ")
            is_hashing = names.setdefault(number, name).startswith(HASHING)
        elif line.startswith("cfn="):
            number, _, name = line[4:].partition(" ")
            names.setdefault(number, name)
        elif line.startswith("calls="):
            is_call = True
        elif line[:1] in "0123456789+-*" and line:
            # What follows `calls=` is the cost of what was called.
            hashing += int(line.split()[1]) if is_hashing and not is_call else 0
            is_call = False
        elif line.startswith("totals:"):
            total = int(line.split()[1])
    if total is None:
        raise Failed(f"{dump.name} has no totals")
    return total, hashing


def count(generator, target, direct, name, wanted):
    """Instructions of one call, and those of SHA-256 among them."""
    callgrind = Callgrind(name.replace(" ", "-").replace(",", ""))
    with contextlib.ExitStack() as ends:
        if target.needs_backend:
            ends.enter_context(generator.backend(direct))
        target.begin_anew()
        process = ends.enter_context(generator.running(callgrind.command(target.command), name, target.folder))
        try:
            token = signed_in(target)
            generator.wait_for(target, token, START)
        except Failed as error:
            if process.poll() is None:
                raise
            raise Failed(f"{name}: the program ended with {process.returncode}, its log is {generator.logs / name}.log") from error

        def call(number):
            options = ["--mode", "count", "-c", wanted.connections, "--calls", number, "--timeout", 60]
            answer = generator.ask(target, token, *options, timeout=PATIENCE)
            if "error" in answer:
                raise Failed(f"{name}: {answer['error']}")

        def counted(number):
            call(number)
            return callgrind.take_count(process)

        counted(wanted.calls)
        rounds = [(counted(2 * wanted.calls), counted(wanted.calls)) for _ in range(ROUNDS)]
    twice, once = map(min, zip(*rounds))
    if twice[0] <= once[0]:
        raise Failed(f"{name}: twice the calls took no more instructions: {rounds}")
    return tuple(round((most - least) / wanted.calls) for most, least in zip(twice, once))


def measure(wanted):
    run.install("/usr/bin/valgrind", "valgrind")
    missing = [program for program in ("valgrind", "vgdb", "node") if not shutil.which(program)]
    if missing:
        raise Failed(f"not on the PATH: {', '.join(missing)}")
    programs, binaries = run.build(BUILD, SCRATCH / "bin")
    if wanted.gateway:
        programs["portunus"] = wanted.gateway.resolve(strict=True)
    os.environ["TOKIO_WORKER_THREADS"] = str(THREADS)
    command = [programs["echo-server"], "--port", str(targets.LEGACY_PORT)]
    legacy_server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        generator = Generator(binaries, SCRATCH / "logs", 0, 1, 0)
        baselines = targets.baselines(binaries, SCRATCH, THREADS)
        figures, hashing = {}, {}
        for name, target in to_measure(wanted, programs, baselines, legacy_server.pid).items():
            figures[name], hashing[name] = count(generator, target, baselines[0], name, wanted)
            print(f"{name}: {figures[name]:,}, of which SHA-256 {hashing[name]:,}", flush=True)
        return figures, hashing
    finally:
        legacy_server.terminate()
        legacy_server.wait()


def to_measure(wanted, programs, baselines, legacy_server):
    """The targets, by their names in the table."""
    cells = {cell.name: cell for cell in targets.cells(programs)}

    def gateway(cell):
        return targets.gateway(SCRATCH, programs, legacy_server, cell)

    if wanted.access:
        eras = {era: cells[name] for era, name in ERAS.items()}
        return {name: gateway(cell) for name, cell in targets.access_cells(eras).items()}
    proxies = {target.name: target for target in baselines}
    return {name: gateway(cells[target]) if target in cells else proxies[target] for name, target in MEASURED.items()}


def access_table(figures, hashing, limits):
    """Each beside the call of its era that has neither; then the same without what SHA-256 takes in software."""
    lines = ["| | instructions of a call | more | | of it SHA-256 | without SHA-256 | | limit |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for name, figure in figures.items():
        bare = f"{name.partition(',')[0]}, nothing"
        more, more_hashing = figure - figures[bare], hashing[name] - hashing[bare]
        apart = more - more_hashing
        shares = more / figures[bare], apart / figures[bare]
        lines.append(
            f"| {name} | {figure:,} | {more:,} | {shares[0]:.1%} | {more_hashing:,} | {apart:,} | {shares[1]:.1%} | {limits[name]:,} |"
        )
    return "\n".join(lines)


def table(figures, limits):
    lines = ["| | instructions of a call | × hyper | limit | |", "|---|--:|--:|--:|--:|"]
    for name, figure in figures.items():
        share = figure / limits[name] - 1
        lines.append(f"| {name} | {figure:,} | {figure / figures[FLOOR]:.2f} | {limits[name]:,} | {share:+.1%} |")
    return "\n".join(lines)


def main():
    wanted = arguments()
    try:
        eras = dict.fromkeys(ERAS, targets.cells({"echo-server": ""})[0])
        names = targets.access_cells(eras) if wanted.access else MEASURED
        section = "access" if wanted.access else "instructions"
        limits = load_limits(wanted.compare, section, names)
        figures, hashing = measure(wanted)
    except (Failed, OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"cannot be measured: {error}", file=sys.stderr)
        return 2
    if wanted.save:
        saved = json.loads(wanted.save.read_text()) if wanted.save.exists() else {}
        saved |= {"calls": wanted.calls, "connections": wanted.connections, section: figures}
        wanted.save.write_text(json.dumps(saved, indent=2) + "\n")
    print(access_table(figures, hashing, limits) if wanted.access else table(figures, limits))
    over = [name for name in figures if figures[name] > limits[name] * (1 + TOLERANCE)]
    for name in over:
        print(f"{name}: {figures[name]:,} instructions, and {limits[name]:,} are the limit", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
