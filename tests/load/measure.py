"""One target of the speed reading, measured: started, signed in at, called at 1, 16 and 64 connections, ended. What the targets are
stands in targets.py, the order of measurements in run.py; the generator's programs are in generator/.

Every process is started here in a group of its own, and is ended here by its own id.
"""

import contextlib
import json
import os
import signal
import subprocess
import time

CONNECTIONS = (1, 16, 64)
BACKEND_PORT = 9000
WARMUP = 0.5
# How long a target may take until its first answer, and how long it is waited for that the machine does nothing else.
START, QUIET = 60, 20


class Failed(Exception):
    """A target that cannot be measured."""


class Generator:
    """The programs of generator/, and how a batch is to be measured."""

    def __init__(self, binaries, logs, seconds, attempts, noise):
        self.binaries, self.logs, self.seconds, self.attempts, self.noise = binaries, logs, seconds, attempts, noise
        logs.mkdir(parents=True, exist_ok=True)

    def ask(self, target, token, *options, timeout=180):
        """What the load generator prints, or what went wrong."""
        command = [self.binaries / "loadgen", "--url", target.url, *options, *target.arguments]
        if token:
            command += ["--token", token]
        try:
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return {"error": "timeout"}
        lines = done.stdout.strip().splitlines()
        if lines and lines[-1].startswith("{"):
            return json.loads(lines[-1])
        return {} if done.returncode == 0 else {"error": (done.stdout + done.stderr)[-500:]}

    def wait_for(self, target, token, limit):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            answer = self.ask(target, token, "--mode", "once", "--timeout", 10)
            if "error" not in answer:
                return
            time.sleep(0.004)
        raise Failed(f"{target.name} does not answer: {answer['error']}")

    @contextlib.contextmanager
    def running(self, command, log, folder=None):
        with (self.logs / f"{log}.log").open("wb") as file:
            words = [str(word) for word in command]
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder, start_new_session=True)
        try:
            yield process
        finally:
            end(process)

    @contextlib.contextmanager
    def backend(self, direct):
        """The generator's server, up and answering."""
        with contextlib.suppress(Failed):
            self.wait_for(direct, None, 0.05)
            raise RuntimeError(f"port {BACKEND_PORT} is taken")
        with self.running([self.binaries / "mcp-backend", "--port", BACKEND_PORT], "backend") as process:
            self.wait_for(direct, None, START)
            yield process


def end(process):
    """SIGTERM for the process, then SIGKILL for what is left of its group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def busy():
    """Seconds of all cores that were busy since the machine's start."""
    with open("/proc/stat", encoding="utf-8") as lines:
        fields = [int(field) for field in lines.readline().split()[1:]]
    return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(noise):
    """Until other work takes less than that many cores, looked at for a quarter of a second; for so long at most."""
    deadline = time.monotonic() + QUIET
    while time.monotonic() < deadline:
        before = busy()
        time.sleep(0.25)
        if (busy() - before) / 0.25 < noise:
            return


def resident(pid):
    """KiB of a process and all its descendants."""
    total, pids = 0, [pid]
    while pids:
        one = pids.pop()
        with contextlib.suppress(OSError):
            for line in open(f"/proc/{one}/status", encoding="utf-8"):
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", encoding="utf-8") as children:
                    pids += [int(child) for child in children.read().split()]
    return total


def signed_in(target):
    """The access token that the target's own script prints."""
    if not target.sign_in:
        return None
    done = subprocess.run(target.sign_in, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Failed(f"nobody can sign in at {target.name}: {(done.stdout + done.stderr)[-400:]}")
    return json.loads(done.stdout)["token"]


def measure(generator, target, direct):
    """Rows of one target: for each number of connections as many as there were attempts, then its memory, or why it failed."""
    try:
        with contextlib.ExitStack() as ends:
            backend = ends.enter_context(generator.backend(direct)) if target.needs_backend else None
            process = backend
            if target.command:
                target.begin_anew()
                process = ends.enter_context(generator.running(target.command, target.name, target.folder))
            token = signed_in(target)
            generator.wait_for(target, token, START)
            others = ["--backend-pid", backend.pid] if backend and backend is not process else []
            time.sleep(1)
            for connections in CONNECTIONS:
                yield from attempts(generator, target, token, connections, ["--pid", process.pid, *others])
            yield {"kind": "after", "target": target.name, "rss_kib": resident(process.pid)}
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        print(f"{target.name} FAILED {error}", flush=True)
        yield {"kind": "fail", "target": target.name, "error": str(error)}


def attempts(generator, target, token, connections, processes):
    """Again and again, until one was not disturbed."""
    for attempt in range(generator.attempts):
        wait_for_quiet(generator.noise)
        row = generator.ask(target, token, "-c", connections, "-d", generator.seconds, "--warmup", WARMUP, *processes)
        if "rps" not in row:
            raise Failed(f"{connections} connections: {row.get('error', row)}")
        disturbed = row["foreign_cores"] + row["steal_cores"] > generator.noise
        figures = f"{row['rps']:9.0f}/s  {row['cpu_us_per_req']:6.1f} µs  errors {row['errors']}"
        print(f"{target.name:24s} c={connections:<3d} {figures}", flush=True)
        yield {**row, "kind": "load", "target": target.name, "attempt": attempt}
        if not disturbed:
            return
