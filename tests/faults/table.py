"""The table of `./test faults`: what was done for each row of the fault list, over which store, with the figures of it and the bound of each.
Reads the lines that tests added to the file named on the command line (`portunus_testkit::figures` writes them). It is a failure when a row
lacks a bounded figure that it needs, when a figure is outside its bound, and when a line cannot be read. What it takes for a failure is
tested next door, in test_table.py.
"""

import json
import sys
import textwrap
from pathlib import Path

# The fault list: for each row, over which stores (`ANY`: whatever the store) which figures must be there with a bound.
ANY = "any"
ROWS = {
    "F1": {"sqlite": {"ready again", "violations"}, "redis": {"ready again", "violations"}},
    "F2": {"redis": {"ready again", "answers again", "let through without it"}},
    "F3": {"sqlite": {"time to the page", "calls that failed"}, "redis": {"time to the page", "calls that failed"}},
    "F4": {"sqlite": {"fetches of keys for the flood", "sign-ins that failed"}, "redis": {"fetches of keys for the flood", "sign-ins that failed"}},
    "F5": {ANY: {"calls failed after", "the first pause", "the longest pause", "cycles", "zombies", "descriptors leaked", "calls of others that failed"}},
    "F6": {"sqlite": {"ready again", "violations"}, "redis": {"ready again", "violations"}},
    "F7": {"sqlite": {"tolerated", "refused"}, "redis": {"tolerated", "refused"}},
    "F8": {ANY: {"bytes each", "p99 of pings, as a ratio", "p99 of pings"}},
    "F9": {ANY: {"p99 of pings, as a ratio", "given up after"}},
    "F10": {ANY: {"reloads", "answers 5xx", "calls that failed", "streams dropped"}},
    "F11": {ANY: {"/ready says 503 after", "calls that failed", "exit", "the last request ended after"}},
    "F12": {"sqlite": {"rotations", "families revoked"}, "redis": {"rotations", "families revoked"}},
    "F13": {ANY: {"calls of the others that failed", "calls until the dead one answers"}},
    "F14": {ANY: {"calls", "under way", "the most that one of them ran"}},
}
WIDTH = 140


def read(path):
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []
    return [json.loads(line) for line in lines]


def show(told):
    print(f"{'row':<5}{'store':<8}what was done, and the figures with their bounds")
    for entry in sorted(told, key=lambda entry: (int(entry["row"][1:]), entry["store"], entry["done"])):
        print(f"{entry['row']:<5}{entry['store']:<8}{entry['done']}")
        figures = "; ".join(shown(figure) for figure in entry["figures"])
        print(textwrap.fill(figures, WIDTH, initial_indent=" " * 15, subsequent_indent=" " * 15))


def shown(figure):
    if figure["bound"] is None:
        return f"{figure['name']} {figure['value']}"
    return f"{figure['name']} {figure['value']} [{'' if figure['holds'] else 'NOT '}{figure['bound']}]"


def findings(told, rows=None):
    """What is missing, and what is outside its bound."""
    rows = ROWS if rows is None else rows
    for row, stores in rows.items():
        for store, names in stores.items():
            bounded = {
                figure["name"]
                for entry in told
                if entry["row"] == row and store in (ANY, entry["store"])
                for figure in entry["figures"]
                if figure["bound"] is not None
            }
            over = "" if store == ANY else f" over {store}"
            yield from (f"{row}: no bounded figure “{name}”{over}" for name in sorted(names - bounded))
    for entry in told:
        if entry["row"] not in rows:
            yield f"{entry['row']}: not in the fault list"
        for figure in entry["figures"]:
            if figure["bound"] is not None and figure["holds"] is not True:
                yield f"{entry['row']}, {entry['done']}: {figure['name']} {figure['value']} is not {figure['bound']}"


def main():
    told = read(sys.argv[1])
    show(told)
    found = list(findings(told))
    print(*found, sep="\n", end="\n" if found else "")
    bounded = sum(figure["bound"] is not None for entry in told for figure in entry["figures"])
    rows = {entry["row"] for entry in told} & set(ROWS)
    print(f"faults: {len(rows)} rows with figures / {len(ROWS)} rows listed; {bounded} figures with a bound")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
