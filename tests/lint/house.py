"""The house plan, checked: which crate may know which, how long files and functions may grow, what every file opens with,
what no file may contain, where links of documents lead, that attacks, rows of the field and their tests know each other, that docs/limits.md says what the code says, that loops of tests have an end (loops.py), that comments name what acts (subjects.py), and that no more files import from each other in circles (cycles.py). Run by `./test house`. Licences and banned crates are checked
next door, in licences.py.

Prints every finding with its file and line; exits 1 when there is one. A function longer than the limit keeps its length by
saying why, in a comment `// long: …` right above it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import cycles
import loops
import subjects

# Who may depend on whom. A dev-dependency on the testkit is free to all but the testkit's own dependency.
ARROWS = {
    "portunus-core": set(),
    "portunus-store": {"portunus-core"},
    "portunus-identity": {"portunus-core"},
    "portunus-mcp": {"portunus-core"},
    "portunus": {"portunus-core", "portunus-store", "portunus-identity", "portunus-mcp"},
    "portunus-testkit": {"portunus-core"},
}
DEV_ARROWS = {
    "portunus-store": {"portunus-testkit"},
    "portunus-identity": {"portunus-testkit"},
    "portunus-mcp": {"portunus-testkit"},
    "portunus": {"portunus-testkit"},
}
# Rules and words only: no runtime, no server, no SQL, no HTTP client.
CORE_NEVER = {"tokio", "axum", "hyper", "reqwest", "rusqlite", "redis", "tower"}

FILE_LIMIT = 600
WIDTH = 100
FILE_HABIT = 300
FUNCTION_LIMIT = 80
INLINE_TESTS_LIMIT = 100

# Written in pieces, so that this file does not contain them.
FORBIDDEN = {
    "a path of one machine": re.compile("/" + "work/|/" + "root/|/home/" + r"[a-z]+/"),
    "a package registry's host": re.compile(
        "registry\\.npm" + "js\\.org|py" + "pi\\.org|files\\.python" + "hosted\\.org|deb\\.deb" + "ian\\.org|index\\.cra" + "tes\\.io|static\\.cra" + "tes\\.io"
    ),
}
# Names that had another word before docs/GLOSSARY.md, in code alone: what is stored, and sent from node to node, keeps its names.
OLD_NAMES = re.compile(
    r"\b(?:Face|Mirrored|Roster|Shelf|Shelves|Desk|Trip|ProviderLeg|LegSecrets|Bulletins?|BulletinStore|Errand|Household|Trail|Blame|House|Front|Ground|Machinery|HomePage|NotHome|Asker|Holder|Keeper|Speaker"
    r"|(?:Authorize|Callback|Consent|Disconnect|Door|Health|Home|Introspect|Layer|Manage|Mcp|Metadata|Register|Revoke|SignIn|SignOut|Throttle|Token|Tools)Room)\b"
    r"|\bmod (?:face|mirror|roster|shelf|desk|news|bulletins?|oauth_legs|errand|household|roll|near|stray|trail|blame|trial|sentinel|zoo|animal|ways|askers?)\b"
)
MOST_TERMS = 40
LOCK_FILES = {"Cargo.lock", "fuzz/Cargo.lock", "tests/load/generator/Cargo.lock"}

findings = []


def finding(where, what):
    findings.append(f"{where}: {what}")


def tracked(*patterns):
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns], check=True, capture_output=True, text=True
    ).stdout
    return [path for path in out.split("\0") if path and Path(path).is_file()]


def check_arrows():
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked"], check=True, capture_output=True, text=True
        ).stdout
    )
    crates = {package["name"]: package for package in metadata["packages"]}
    for name in sorted(set(crates) ^ set(ARROWS)):
        finding("Cargo.toml", f"crate {name} is in the workspace or in the house plan, but not in both: a new crate needs a paragraph in docs/ARCHITECTURE.md")
    for name, package in crates.items():
        normal, dev = set(), set()
        for dependency in package["dependencies"]:
            if name == "portunus-core" and dependency["name"] in CORE_NEVER:
                finding("crates/core/Cargo.toml", f"core must not know {dependency['name']}")
            if dependency["name"] in crates:
                (dev if dependency["kind"] == "dev" else normal).add(dependency["name"])
        for other in sorted(normal - ARROWS.get(name, set())):
            finding(package["manifest_path"], f"{name} must not depend on {other}")
        # A dev-dependency may also repeat an arrow that the crate has anyway.
        for other in sorted(dev - ARROWS.get(name, set()) - DEV_ARROWS.get(name, set())):
            finding(package["manifest_path"], f"{name} must not depend on {other}, not even in tests")
    if metadata["workspace_default_members"] != [crates["portunus"]["id"]]:
        finding("Cargo.toml", "`cargo run` must run the gateway: default-members is the gateway alone")
    print(f"arrows: {len(crates)} crates")


def is_test_file(path):
    parts = Path(path).parts
    return "tests" in parts or Path(path).name in {"tests.rs", "conformance.rs"} or "conformance" in parts


INLINE_TESTS = re.compile(r"^#\[cfg\(test\)\]\n(?:#\[.*\]\n)*mod \w+ \{", re.M)
FUNCTION = re.compile(r"^(?P<indent> *)(?:pub(?:\([^)]*\))? )?(?:const )?(?:async )?(?:extern \"C\" )?fn (?P<name>\w+)", re.M)


def function_lengths(text):
    """Name, first line and length of every function. rustfmt puts a body's closing brace at the indentation of its `fn`."""
    lines = text.split("\n")
    for match in FUNCTION.finditer(text):
        start = text.count("\n", 0, match.start())
        closing = match["indent"] + "}"
        for end in range(start, len(lines)):
            line = lines[end]
            if line == closing or (end > start and line == closing + ","):
                yield match["name"], start + 1, end - start + 1
                break
            # A declaration without a body, or a body on one line.
            if line.endswith((";", "}")) and line.startswith(match["indent"]) and not line[len(match["indent"]) :].startswith(" "):
                break


def check_sizes():
    long_files = []
    sources = tracked("*.rs")
    for path in sources:
        text = Path(path).read_text(encoding="utf-8")
        if not text.startswith("//!"):
            finding(f"{path}:1", "a file opens with `//!`: what lives here, what lives next door")
        if is_test_file(path):
            continue
        tests = INLINE_TESTS.search(text)
        code = text[: tests.start()] if tests else text
        count = code.rstrip("\n").count("\n") + 1
        if tests:
            test_lines = text.count("\n", tests.start())
            if test_lines > INLINE_TESTS_LIMIT:
                finding(path, f"{test_lines} lines of tests inside; more than {INLINE_TESTS_LIMIT} belong in a file of their own")
        if count > FILE_LIMIT:
            finding(path, f"{count} lines of code; the limit is {FILE_LIMIT}")
        elif count > FILE_HABIT:
            long_files.append(f"  {path}: {count} lines of code")
        lines = code.split("\n")
        for name, line, length in function_lengths(code):
            if length <= FUNCTION_LIMIT:
                continue
            above = line - 2
            while above >= 0 and lines[above].lstrip().startswith(("//", "#[")):
                if lines[above].lstrip().startswith("// long: "):
                    break
                above -= 1
            else:
                finding(f"{path}:{line}", f"fn {name} is {length} lines long; the limit is {FUNCTION_LIMIT} (`// long: why` above it lifts that)")
                continue
            if above < 0:
                finding(f"{path}:{line}", f"fn {name} is {length} lines long; the limit is {FUNCTION_LIMIT} (`// long: why` above it lifts that)")
    print(f"sizes: {len(sources)} Rust files")
    if long_files:
        print(f"above the habit of {FILE_HABIT} lines, not an error:", *sorted(long_files), sep="\n")


def check_endpoints_apart():
    """Files of edge/oauth never call each other, but what is in edge/oauth/support: every step returns to the browser, and only authorize decides the next one."""
    folder = Path("crates/gateway/src/edge/oauth")
    if not folder.is_dir():
        print("endpoints: edge/oauth is not there yet")
        return
    entries = {path.stem for path in folder.iterdir() if path.stem not in {"mod", "tests", "support"}}
    for path in sorted(folder.rglob("*.rs")):
        if is_test_file(path) or path.name == "mod.rs" and path.parent == folder:
            continue
        own = path.relative_to(folder).parts[0].removesuffix(".rs")
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if line.lstrip().startswith("//"):
                continue
            for other in entries - {own}:
                if re.search(rf"\b(?:edge::oauth|super)::(?:\{{[^}}]*\b)?{other}\b(?!\()", line) and (
                    "edge::oauth" in line or len(path.relative_to(folder).parts) == 1
                ):
                    finding(f"{path}:{number}", f"{own} refers to {other}: files of edge/oauth never call each other")
    print(f"endpoints: {len(entries)} in edge/oauth")


def check_words():
    paths = tracked()
    for path in paths:
        if path in LOCK_FILES:
            for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), 1):
                if line.startswith("source = ") and line != 'source = "registry+https://github.com/rust-lang/crates.io-index"':
                    finding(f"{path}:{number}", f"a dependency from elsewhere: {line}")
            continue
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.split("\n"), 1):
            for what, pattern in FORBIDDEN.items():
                if pattern.search(line):
                    finding(f"{path}:{number}", f"contains {what}")
        if Path(path).name == "package-lock.json" and '"resolved":' in text:
            finding(path, "records download addresses; `omit-lockfile-registry-resolved=true` in .npmrc leaves them out")
    print(f"words: {len(paths)} files")


def check_names():
    for path in tracked("crates/*.rs", "fuzz/*.rs"):
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), 1):
            old = OLD_NAMES.search(line.split("//")[0])
            if old:
                finding(f"{path}:{number}", f"`{old.group(0)}` has another name now: docs/GLOSSARY.md")
    terms = [line for line in Path("docs/GLOSSARY.md").read_text(encoding="utf-8").split("\n") if line.startswith("| ")][1:]
    names = [line.split("|")[1].strip() for line in terms]
    if names != sorted(names, key=str.lower) or len(set(names)) != len(names):
        finding("docs/GLOSSARY.md", "each term once, in the order of the alphabet")
    if not 0 < len(names) <= MOST_TERMS:
        finding("docs/GLOSSARY.md", f"has {len(names)} terms; more than {MOST_TERMS} is a private language")
    print(f"names: {len(names)} terms")


def check_links():
    """A document's links to files of this repository lead somewhere."""
    documents = tracked("*.md")
    for path in documents:
        text = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), Path(path).read_text(encoding="utf-8"), flags=re.S)
        for match in re.finditer(r"\]\(([^)\s#]+)[^)]*\)", text):
            target = match[1]
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (Path(path).parent / target).exists():
                finding(f"{path}:{text.count(chr(10), 0, match.start()) + 1}", f"links to {target}, which is not there")
    print(f"links: {len(documents)} documents")


def check_rows(file, prefix, what):
    """Tests and rows know each other: what the document names is there, and what is named after a row is in it."""
    document = Path(file)
    name_of = prefix + r"_[a-z0-9_]+"
    named = set(re.findall(rf"`({name_of})`", document.read_text(encoding="utf-8")))
    there = set()
    for path in tracked("*.rs"):
        there |= set(re.findall(rf"fn ({name_of})[(<]", Path(path).read_text(encoding="utf-8")))
    for name in sorted(named - there):
        finding(document, f"names a test that is not there: {name}")
    for name in sorted(there - named):
        finding(document, f"does not name the test {name}")
    print(f"{what}: {len(named)} tests")


def check_doc_examples():
    """`./test unit` runs no examples of documentation, so there may be none that the compiler would take for Rust."""
    for path in tracked("*.rs"):
        is_open = False
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), 1):
            fence = re.match(r"\s*//[/!] ?```(\S*)", line)
            if fence and not is_open and fence[1] not in {"text", "json", "yaml", "sh", "toml"}:
                finding(f"{path}:{number}", "an example in documentation that no step runs: write a test, or name the block's language (text, json, …)")
            is_open ^= bool(fence)


LIMITS = Path("docs/limits.md")
UNITS = {"": 1, "KiB": 1024, "MiB": 1024 * 1024, "s": 1}
# Collections that live longer than one function, and channels.
GROWS = re.compile(
    r"^\s*(?:pub(?:\([^)]*\))? )?\w+: (?!&).*\b(?:HashMap|HashSet|BTreeMap|VecDeque|Cache)<.*,$"
    r"|struct \w+\(.*\b(?:HashMap|HashSet|BTreeMap|VecDeque)<"
    r"|\b(?:mpsc|broadcast)::(?:unbounded_)?channel\b",
    re.M,
)


def constant(path, name):
    """The value of a constant, or of a field's default: products of numbers, or seconds. The default of a setting is text: a number, and a unit perhaps."""
    text = Path(path).read_text(encoding="utf-8")
    setting = re.search(rf'^ +{name}: [^=]+ = "(\d+)(KiB|MiB|)",', text, re.M)
    if setting:
        return int(setting[1]) * UNITS[setting[2]]
    found = re.findall(rf"\bconst {name}: [^=]+= ([^;]+);", text) or re.findall(rf"^ +{name}: ([^,]+),$", text, re.M)
    for expression in found:
        expression = expression.replace("_", "").replace("Duration::fromsecs", "")
        if re.fullmatch(r"[\d *()]+", expression):
            return eval(expression)  # noqa: S307 - digits, stars and parentheses
    return None


def check_width():
    """Comments fit into the width that rustfmt gives the code. Tables do not break, and neither does a usage line."""
    for path in tracked("*.rs"):
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), 1):
            text = line.strip()
            if len(line) > WIDTH and text.startswith("//") and not text.startswith("//! |"):
                finding(f"{path}:{number}", f"a comment of {len(line)} columns; the limit is {WIDTH}")


def check_limits():
    """docs/limits.md says what the code says, and lists every file that keeps a collection."""
    text = LIMITS.read_text(encoding="utf-8")
    figures = re.findall(r"`([\w/.]+\.rs)::(\w+)` = (\d+)(?: (KiB|MiB|s)\b)?", text)
    for path, name, number, unit in figures:
        if not Path(path).is_file():
            finding(LIMITS, f"names {path}, which is not there")
            continue
        value = constant(path, name)
        if value != int(number) * UNITS[unit]:
            finding(LIMITS, f"says {number} {unit} of {name} in {path}, where it is {value}")
    for path in re.findall(r"`(crates/[\w/.]+\.rs)`", text):
        if not Path(path).is_file():
            finding(LIMITS, f"names {path}, which is not there")
    for path in tracked(*(f"crates/{crate}/src/*.rs" for crate in ("gateway", "mcp", "identity", "store"))):
        apart = {"cli", "config", "demo", "conformance"} & set(Path(path).parts)
        if apart or is_test_file(path) or path in text:
            continue
        code = Path(path).read_text(encoding="utf-8")
        tests = INLINE_TESTS.search(code)
        for match in GROWS.finditer(code[: tests.start()] if tests else code):
            line = code.count("\n", 0, match.start()) + 1
            finding(f"{path}:{line}", f"keeps a collection or a queue: say in {LIMITS} what bounds it")
            break
    print(f"limits: {len(figures)} figures")


check_arrows()
check_doc_examples()
check_sizes()
check_endpoints_apart()
check_words()
check_names()
check_links()
check_rows("docs/attacks.md", r"[tf]\d+", "attacks")
check_rows("docs/field.md", r"fb\d\d", "field")
cycles.check(tracked, finding)
if not cycles.self_test():
    finding("tests/lint/cycles.py", "does not find what it should")
loops.check(tracked, finding)
if loops.self_test() is False:
    finding("tests/lint/loops.py", "does not find what it should")
subjects.check(tracked, finding)
if not subjects.self_test():
    finding("tests/lint/subjects.py", "does not find what it should")
check_limits()
check_width()
if findings:
    print(*findings, sep="\n")
    print(f"house: {len(findings)} findings")
    sys.exit(1)
print("house: in order")
