"""The table of `./test faults`: what was done for each row of the fault list, over which store, and the figures of it. Reads the lines that
tests added to the file named on the command line (`portunus_testkit::figures` writes them). A row that nobody told anything about is
a failure, as is a line that cannot be read.
"""

import json
import sys
import textwrap
from pathlib import Path

# The fault list: each row, and over which stores somebody has to tell about it. An empty tuple: whatever the store.
ROWS = {
    "F1": ("sqlite", "redis"),
    "F2": ("redis",),
    "F3": (),
    "F4": (),
    "F5": (),
    "F6": ("sqlite", "redis"),
    "F7": ("sqlite", "redis"),
    "F8": (),
    "F9": (),
    "F10": (),
    "F11": (),
    "F12": ("sqlite", "redis"),
    "F13": (),
}
WIDTH = 140


def read(path):
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []
    return [json.loads(line) for line in lines]


def show(told):
    print(f"{'row':<5}{'store':<8}what was done, and the figures")
    for entry in sorted(told, key=lambda entry: (int(entry["row"][1:]), entry["store"], entry["done"])):
        print(f"{entry['row']:<5}{entry['store']:<8}{entry['done']}")
        figures = "; ".join(f"{name} {value}" for name, value in entry["figures"])
        print(textwrap.fill(figures, WIDTH, initial_indent=" " * 15, subsequent_indent=" " * 15))


def missing(told):
    """What nobody told about."""
    with_figures = [entry for entry in told if entry["figures"]]
    for row, stores in ROWS.items():
        there = {entry["store"] for entry in with_figures if entry["row"] == row}
        if not there:
            yield f"{row}: no figures"
        else:
            yield from (f"{row}: no figures over {store}" for store in stores if store not in there)
    yield from sorted({f"{entry['row']}: not in the fault list" for entry in told if entry["row"] not in ROWS})


told = read(sys.argv[1])
show(told)
lacking = list(missing(told))
print(*lacking, sep="\n", end="\n" if lacking else "")
rows = {entry["row"] for entry in told} & set(ROWS)
print(f"faults: {len(rows)} rows with figures / {len(ROWS)} rows listed")
sys.exit(1 if lacking else 0)
