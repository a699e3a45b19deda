"""What the tests of deploy/ share: where things are, how long a stop takes, and `portunus check` asked about an environment. The tests of
the files by themselves are next door, in test_image.py, test_kubernetes.py, test_systemd.py and test_compose.py; what is built and run is
in test_built_image.py and test_installed.py."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PORTUNUS = Path(os.environ.get("PORTUNUS", ROOT / "target/debug/portunus"))
TOOLS = Path(sys.executable).parent
# As long as the shortest that the gateway accepts.
SECRET = "a-secret-of-nobody-that-is-long-enough-0123"


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **options)
    return done.returncode, done.stdout + done.stderr


def instructions(dockerfile="Dockerfile"):
    """Of a file of deploy/docker: name and rest of each, continued lines as one."""
    text = re.sub(r"^ *#.*\n", "", (DEPLOY / "docker" / dockerfile).read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def image_variables():
    """What the image of Dockerfile sets."""
    return dict(word.split("=", 1) for name, rest in instructions() if name == "ENV" for word in rest.split())


def documents(path):
    return [document for document in yaml.safe_load_all((DEPLOY / path).read_text()) if document]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", str(text)).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def source_seconds(path, constant):
    """A duration that stands in the gateway's source."""
    source = (ROOT / "crates/gateway/src" / path).read_text()
    return int(re.search(rf"const {constant}: Duration = Duration::from_secs\((\d+)\)", source)[1])


def longest_stop(delay):
    """From SIGTERM to the end of the process, at worst."""
    return seconds(delay) + source_seconds("edge/server.rs", "DRAIN") + source_seconds("gateway/lifecycle.rs", "CHILDREN_DEADLINE")


def check(environment, files):
    """What `portunus check` says of this environment, and of these files in its folder. Secrets are in files that are made up."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder, "secret")
        secret.write_text(SECRET)
        for name, text in files.items():
            Path(folder, name).write_text(text)
        environment = {name: str(secret) if name.endswith("_FILE") else value for name, value in environment.items()}
        return run(PORTUNUS, "check", "--files-only", cwd=folder, env=environment)


def with_config(text, delay):
    """Whatever is odd about an environment is told there, and must not be."""
    code, said = text
    assert code == 0, said
    assert "Probably not meant" not in said, said
    assert re.search(rf"stop delay +{delay}\n", said), said
    assert re.search(r"trusted proxies +\d", said), said
    return said
