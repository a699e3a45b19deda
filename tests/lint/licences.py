"""Licences, banned crates and duplicates of everything Cargo.lock brings in. Run by `./test licences`; reads its lists from deny.toml,
so that `cargo deny check` gives the same answer where cargo-deny is there. The house plan is checked next door, in house.py.

Advisories are not checked here: their database is a download, and this script needs none. `cargo deny check advisories` does it.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

deny = tomllib.loads(Path("deny.toml").read_text(encoding="utf-8"))
ALLOWED = set(deny["licenses"]["allow"])
EXCEPTIONS = {entry["crate"]: set(entry["allow"]) for entry in deny["licenses"].get("exceptions", [])}
BANNED = {entry["crate"]: entry.get("reason", "banned") for entry in deny["bans"]["deny"]}


def permitted(expression, allowed):
    """Evaluates an SPDX expression: OR needs one side, AND both; `A/B` is the old spelling of OR. WITH binds to its licence."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def term():
        if peek() == "(":
            take()
            value = either()
            take()
            return value
        name = take()
        if peek() == "WITH":
            take()
            return f"{name} WITH {take()}" in allowed or name in allowed
        return name in allowed

    def both():
        value = term()
        while peek() == "AND":
            take()
            value = term() and value
        return value

    def either():
        value = both()
        while peek() == "OR":
            take()
            value = both() or value
        return value

    return either()


metadata = json.loads(
    subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True, text=True).stdout
)
members = set(metadata["workspace_members"])
packages = [package for package in metadata["packages"] if package["id"] not in members]
findings = []
versions = defaultdict(set)
for package in packages:
    name = package["name"]
    versions[name].add(package["version"])
    licence = package["license"]
    if licence is None:
        findings.append(f"{name} {package['version']}: names no licence")
    elif not permitted(licence, ALLOWED | EXCEPTIONS.get(name, set())):
        findings.append(f"{name} {package['version']}: licence {licence} is not allowed in deny.toml")
    if name in BANNED:
        findings.append(f"{name} {package['version']}: {BANNED[name]}")

duplicates = {name: sorted(found) for name, found in versions.items() if len(found) > 1}
print(f"{len(packages)} crates; {len(duplicates)} in more than one version (not an error):")
for name, found in sorted(duplicates.items()):
    print(f"  {name}: {', '.join(found)}")
print("advisories: not checked here, for their database is a download; run `cargo deny check advisories`")
if findings:
    print(*findings, sep="\n")
    print(f"licences: {len(findings)} findings")
    sys.exit(1)
print("licences: in order")
