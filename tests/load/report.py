"""The page of one batch: tables of medians out of results.jsonl, each figure beside what the minimal proxy needed in the same batch. How
to read it stands in docs/benchmarks/README.md; the measuring is done in run.py.
"""

import os
import statistics
from collections import defaultdict

import targets

CONNECTIONS = (1, 16, 64)
FLOOR = "hyper"
GOAL = 2.0
# Other work of the machine, in cores, up to which a measurement counts as undisturbed: the generator's own bound.
NOISE = 0.15


def machine():
    """The class of the machine, and nothing that names it."""
    fields = {}
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    with open("/proc/meminfo", encoding="utf-8") as lines:
        gib = int(lines.readline().split()[1]) / 1024 / 1024
    release = os.uname().release.split("-")[0]
    return f"{os.cpu_count()} cores of {fields.get('model name', os.uname().machine)}, {gib:.0f} GiB of memory, Linux {release}"


def disturbance(row):
    return row.get("foreign_cores", 0) + row.get("steal_cores", 0)


def best_of_round(rows):
    """target -> connections -> one row of each round: the least disturbed of its attempts."""
    kept = {}
    for row in rows:
        if row["kind"] != "load" or row.get("mode") != "call" or "rps" not in row:
            continue
        key = (row["target"], row["c"], row["round"])
        if key not in kept or disturbance(row) < disturbance(kept[key]):
            kept[key] = row
    found = defaultdict(lambda: defaultdict(list))
    for (target, connections, _), row in kept.items():
        found[target][connections].append(row)
    return found


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def spread(rows, key):
    values = [row[key] for row in rows]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def table(connections, measured):
    lines = [f"## {connections} connection{'s' if connections > 1 else ''}", ""]
    lines += ["| target | req/s | p50 µs | p95 µs | p99 µs | CPU µs/request | × hyper | errors | disturbed |"]
    lines += ["|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    floor = measured.get(FLOOR, {}).get(connections)
    for target, by_connections in measured.items():
        rows = by_connections.get(connections)
        if not rows:
            continue
        ratio = "–"
        if floor and target != "direct":
            ratio = f"{median(rows, 'cpu_us_per_req') / median(floor, 'cpu_us_per_req'):.2f}"
        cpu = "–" if target == "direct" else spread(rows, "cpu_us_per_req")
        disturbed = sum(disturbance(row) > NOISE for row in rows)
        quantiles = " | ".join(f"{median(rows, key):,.0f}" for key in ("p50_us", "p95_us", "p99_us"))
        errors = sum(row["errors"] for row in rows)
        lines.append(f"| {target} | {spread(rows, 'rps')} | {quantiles} | {cpu} | {ratio} | {errors} | {disturbed}/{len(rows)} |")
    return lines + [""]


def goal(measured):
    rows, floor = measured.get("portunus", {}).get(16), measured.get(FLOOR, {}).get(16)
    if not rows or not floor:
        return []
    ratio = median(rows, "cpu_us_per_req") / median(floor, "cpu_us_per_req")
    verdict = "met" if ratio <= GOAL else "not met"
    return [f"**CPU per tools/call over one HTTP server at 16 connections: {ratio:.2f} × hyper. Goal: at most {GOAL:.1f}. {verdict.capitalize()}.**", ""]


def memory(rows):
    lines = ["## Start and memory", "", "| | |", "|---|--:|"]
    for row in rows:
        if row["kind"] == "memory":
            lines += [
                f"| first answer after the start (median of {len(row['start_s'])}) | {statistics.median(row['start_s']) * 1000:.0f} ms |",
                f"| idle | {row['idle_kib'] / 1024:.1f} MiB |",
                f"| each idle session ({row['sessions']:,} of {row['warm']} people) | {row['kib_per_session']:.1f} KiB |",
                f"| each idle stream ({row['streams']}) | {row['kib_per_stream']:.1f} KiB |",
            ]
    after = defaultdict(list)
    for row in rows:
        if row["kind"] == "after":
            after[row["target"]].append(row["rss_kib"])
    lines += [f"| {target} after the load | {statistics.median(kib) / 1024:.1f} MiB |" for target, kib in after.items() if target != "direct"]
    return lines + [""]


def page(rows, day, name):
    measured = best_of_round(rows)
    rounds = len({row["round"] for row in rows if "round" in row})
    seconds = max((row["seconds"] for row in rows if row["kind"] == "load" and "seconds" in row), default=0)
    lines = [f"# {day}: {name.replace('-', ' ')}", ""]
    lines += [f"{machine()}. One batch of `just bench`, {rounds} round{'s' if rounds > 1 else ''}, every target in each, {seconds:.0f} s a measurement. Medians, with the least and", "the most of the rounds. How to read and repeat this: [README](README.md).", ""]
    lines += goal(measured)
    lines += ["| target | is |", "|---|---|"]
    known = {**targets.BASELINES, **{cell.name: cell.what for cell in targets.cells(defaultdict(str))}}
    lines += [f"| {target} | {known.get(target, '')} |" for target in measured] + [""]
    for connections in CONNECTIONS:
        lines += table(connections, measured)
    lines += memory(rows)
    failed = [f"- {row['target']}: {row['error'].splitlines()[0]}" for row in rows if row["kind"] == "fail"]
    if failed:
        lines += ["## Failed", "", *failed, ""]
    return "\n".join(lines).rstrip("\n") + "\n"
