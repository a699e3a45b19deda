"""The scaling reading: one, two and three gateways on one Redis behind nginx round robin; what a request costs with each, what the store is
asked for, and how much it keeps. Writes .test/load/scaling.json and prints the tables that docs/scaling.md has.

    scaling.py [--seconds 6] [--rounds 3] [--people 8] [--connections 3] [--sign-ins 300]

The load generator is in generator/. Everything is on loopback and ended by its own id. Speed of one gateway beside other proxies is run.py's.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import cluster
import run

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / ".test" / "load"
TICK = os.sysconf("SC_CLK_TCK")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--people", type=int, default=8, help="people who call at the same time")
    parser.add_argument("--connections", type=int, default=3, help="sessions of each, on a connection each")
    parser.add_argument("--sign-ins", type=int, default=300, help="people who sign in to find out what that costs")
    return parser.parse_args()


def cpu(pids):
    """Seconds, in user and kernel mode."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def load(binaries, tokens, wanted, where):
    """All people at once. Gives requests a second, the median and worst p99 of them, and the errors."""
    command = [binaries / "loadgen", "--url", where, "-c", str(wanted.connections), "-d", str(wanted.seconds), "--warmup", "1"]
    people = [
        subprocess.Popen([*command, "--token", token], stdout=subprocess.PIPE, text=True) for token in tokens[: wanted.people]
    ]
    rows = [json.loads(person.communicate()[0].splitlines()[-1]) for person in people]
    return {
        "rps": sum(row["rps"] for row in rows),
        "p50_us": statistics.median(row["p50_us"] for row in rows),
        "p99_us": max(row["p99_us"] for row in rows),
        "errors": sum(row["errors"] for row in rows),
        "requests": sum(row["rps"] * row["seconds"] for row in rows),
        "seconds": max(row["seconds"] for row in rows),
    }


def measure(running, binaries, tokens, wanted):
    groups = {"gateways": running.gateways, "redis": [running.redis], "nginx": running.nginx_processes()}
    before = {name: cpu(processes) for name, processes in groups.items()}
    commands = running.commands()
    # The warm-up is in all of it: what is divided by are all requests of the run.
    row = load(binaries, tokens, wanted, f"{running.url}/mcp/echo")
    share = (row["seconds"] + 1) / row["seconds"]
    requests = row["requests"] * share
    for name, processes in groups.items():
        row[f"{name}_us"] = (cpu(processes) - before[name]) * 1e6 / requests
    row["commands_per_second"] = (running.commands() - commands) / (row["seconds"] + 1)
    return row


def speed(programs, binaries, wanted):
    rows = []
    for number in range(wanted.rounds):
        for nodes in (1, 2, 3):
            with cluster.Cluster(SCRATCH / "scaling", programs["portunus"], nodes) as running:
                tokens = running.sign_in(wanted.people)
                row = {"round": number, "nodes": nodes, **measure(running, binaries, tokens, wanted)}
                rows.append(row)
                print(json.dumps(row), flush=True)
    return rows


def work(running):
    """What Redis has done so far, and what it holds."""
    return {"commands": running.commands(), "usec": cpu([running.redis]) * 1e6, "bytes": running.memory()}


def store(programs, wanted):
    """What a sign-in, a refresh and a session cost in Redis: commands, microseconds of its time, bytes that stay."""
    with cluster.Cluster(SCRATCH / "scaling", programs["portunus"], 1) as running:
        running.sign_in(20)
        rows = []
        for step, times, act in (
            ("sign-in", wanted.sign_ins, lambda: running.sign_in(wanted.sign_ins, "many", keep=True)),
            ("refresh", wanted.sign_ins, running.refresh_all),
            ("session of a legacy client", wanted.sign_ins, running.open_sessions),
        ):
            # What runs by itself, taken off: beats of the node, comparing marks.
            idle = work(running)
            time.sleep(4)
            each_second = {key: (value - idle[key]) / 4 for key, value in work(running).items()}
            before, began = work(running), time.time()
            act()
            took = time.time() - began
            after = work(running)
            row = {"step": step, "times": times}
            for key in ("commands", "usec", "bytes"):
                own = 0 if key == "bytes" else each_second[key] * took
                row[key] = (after[key] - before[key] - own) / times
            row["idle_commands_per_second"] = each_second["commands"]
            rows.append(row)
            print(json.dumps(row), flush=True)
        return rows


def tables(found):
    by_nodes = {nodes: [row for row in found["speed"] if row["nodes"] == nodes] for nodes in (1, 2, 3)}
    middle = lambda rows, key: statistics.median(row[key] for row in rows)
    lines = ["| gateways | req/s | p50 µs | p99 µs | CPU µs/request: gateways | nginx | Redis | commands/s at Redis | errors |"]
    lines += ["|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for nodes, rows in by_nodes.items():
        low, high = min(row["rps"] for row in rows), max(row["rps"] for row in rows)
        figures = [f"{middle(rows, 'rps'):,.0f} ({low:,.0f}–{high:,.0f})"]
        figures += [f"{middle(rows, key):,.0f}" for key in ("p50_us", "p99_us", "gateways_us", "nginx_us")]
        figures += [f"{middle(rows, 'redis_us'):.2f}", f"{middle(rows, 'commands_per_second'):,.0f}"]
        lines.append(f"| {nodes} | {' | '.join(figures)} | {sum(row['errors'] for row in rows)} |")
    lines += ["", "| once | commands at Redis | CPU µs of Redis | bytes that stay |", "|---|--:|--:|--:|"]
    for row in found["store"]:
        lines.append(f"| {row['step']} | {row['commands']:.1f} | {row['usec']:,.0f} | {row['bytes']:,.0f} |")
    lines.append(f"\nA gateway that nobody uses: {middle(found['store'], 'idle_commands_per_second'):.0f} commands a second.")
    return "\n".join(lines)


def main():
    wanted = arguments()
    run.install("/usr/sbin/nginx", "nginx-light")
    programs, binaries = run.build()
    with cluster.backend(programs["echo-server"]):
        found = {"speed": speed(programs, binaries, wanted), "store": store(programs, wanted)}
    (SCRATCH / "scaling.json").write_text(json.dumps(found, indent=1))
    print(tables(found))


if __name__ == "__main__":
    main()
