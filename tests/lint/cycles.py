"""Which files of a crate import from each other in a circle. A file is a module; an import is a `use` that leads to an item of another file of the same
crate. What is tested is left out, and so are the files of tests. Called by house.py, with its own cases in `self_test`.

A circle has no reading order: who opens one of its files has to know all of them. So there is none, neither of files nor, in the crates of
`PARTS`, of the folders and files that a crate consists of.
"""

import re
from pathlib import Path

CRATES = ["core", "identity", "store", "mcp", "gateway", "testkit"]
# The crates whose parts import in one direction too: wire <- upstream <- session <- ... <- hub.
PARTS = {"identity", "store", "mcp", "testkit"}

USE = re.compile(r"^\s*(?:pub(?:\([a-z: ]+\))?\s+)?use\s+([^;]+);", re.M)
TESTS = re.compile(r"^#\[cfg\(test\)\]\s*\n(?:#\[[^\n]*\]\s*\n)*(?:pub(?:\([a-z]+\))? )?mod \w+ \{", re.M)


def module_of(path, src):
    """The path of a file's module: `crates/mcp/src/hub/mod.rs` is ("hub",)."""
    parts = list(path.relative_to(src).with_suffix("").parts)
    if parts[-1] in {"mod", "lib", "main"}:
        parts.pop()
    return tuple(parts)


def leaves(tree):
    """Each path of a `use` tree: `a::{b, c::{self, D}}` gives a::b, a::c, a::c::D."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        yield [part.strip() for part in tree.split(" as ")[0].split("::") if part.strip() not in {"", "self", "*"}]
        return
    head = [part for part in (part.strip() for part in tree[:brace].split("::")) if part not in {"", "self"}]
    depth, start = 0, brace + 1
    inner = tree[brace + 1 : tree.rindex("}")]
    start = 0
    for at, character in enumerate(inner + ","):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            if inner[start:at].strip():
                for leaf in leaves(inner[start:at]):
                    yield head + leaf
            start = at + 1


def imports(text, module, modules):
    """The modules whose items this one names in a `use`."""
    cut = TESTS.search(text)
    for match in USE.finditer(text[: cut.start()] if cut else text):
        for leaf in leaves(match.group(1)):
            at = list(module)
            if leaf and leaf[0] == "crate":
                at, leaf = [], leaf[1:]
            elif leaf and leaf[0] == "super":
                while leaf and leaf[0] == "super":
                    at, leaf = at[:-1], leaf[1:]
            elif not leaf or tuple(at + leaf[:1]) not in modules:
                continue
            while leaf and tuple(at + leaf[:1]) in modules:
                at, leaf = at + leaf[:1], leaf[1:]
            if tuple(at) != module:
                yield tuple(at)


def circles(graph):
    """Strongly connected components of more than one module (Tarjan's algorithm, without recursion)."""
    index, low, on, stack, found = {}, {}, set(), [], []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(sorted(graph[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on.add(target)
                    work.append((target, iter(sorted(graph[target]))))
                    break
                if target in on:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    circle = []
                    # bounded: it takes from the stack, where the node itself is.
                    while True:
                        member = stack.pop()
                        on.discard(member)
                        circle.append(member)
                        if member == node:
                            break
                    if len(circle) > 1:
                        found.append(sorted(circle))
    return found


def graph_of(crate, paths):
    """Which file of a crate imports from which, both as modules."""
    src = Path(f"crates/{crate}/src")
    files = {module_of(Path(path), src): Path(path) for path in paths if "tests" not in Path(path).parts and Path(path).name != "tests.rs"}
    files = {module: path for module, path in files.items() if path.parts[-2] != "bin"}
    return {module: set(imports(path.read_text(encoding="utf-8"), module, files.keys())) for module, path in files.items()}


def parts_of(graph):
    """The same for the first name of each module. The crate's root belongs to no part."""
    parts = {module[:1]: set() for module in graph if module}
    for module, targets in graph.items():
        if module:
            parts[module[:1]] |= {target[:1] for target in targets if target and target[:1] != module[:1]}
    return parts


def check(tracked, finding):
    files = 0
    for crate in CRATES:
        graph = graph_of(crate, tracked(f"crates/{crate}/src/*.rs"))
        files += len(graph)
        found = circles(graph) + (circles(parts_of(graph)) if crate in PARTS else [])
        for circle in found:
            named = ", ".join("::".join(module) or "lib" for module in circle)
            finding(f"crates/{crate}", f"{len(circle)} files or parts import from each other in a circle: {named}")
    print(f"cycles: none among {files} files" if files else "cycles: no files")


def self_test():
    modules = {(), ("a",), ("a", "b"), ("c",), ("d",)}
    cases = [
        (("a",), "use crate::c::X;", {("c",)}),
        (("a", "b"), "use super::{Y, b::Z};", {("a",)}),
        (("a", "b"), "use super::super::c;", {("c",)}),
        (("a",), "use self::b::Z;", {("a", "b")}),
        (("a",), "use self::{b::Z, b::{Q, R}};", {("a", "b")}),
        (("a",), "use b::Z;\nuse std::fmt;", {("a", "b")}),
        (("c",), "pub(crate) use crate::{\n    a::{self, b::{Q, R as S}},\n    d::*,\n};", {("a",), ("a", "b"), ("d",)}),
        (("c",), "#[cfg(test)]\nmod tests {\n    use crate::d::X;\n}", set()),
        (("c",), "use serde::{Deserialize, Serialize};", set()),
    ]
    wrong = [case for case in cases if set(imports(case[1], case[0], modules)) != case[2]]
    graph = {1: {2}, 2: {3}, 3: {1}, 4: {3}, 5: {6}, 6: {5}, 7: set()}
    parts = parts_of({(): {("a",)}, ("a",): {("b", "x")}, ("a", "y"): {("a",)}, ("b", "x"): {("c",), ("a", "y")}, ("c",): set()})
    is_parted = circles(parts) == [[("a",), ("b",)]]
    return not wrong and is_parted and sorted(circles(graph)) == [[1, 2, 3], [5, 6]]
