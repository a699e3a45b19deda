"""The images of deploy/docker, built by buildah from the files as they stand, without an image registry and without compiling anything.
In the place of the images that they begin with there are others of the same names:

    debian   this machine's Debian, as mmdebstrap makes it (`./test` does that): the program was built for it
    rust     the same, with a `cargo` that hands out the program that is built already
    node     this machine's node and npm

How an image is run stands in container.py. Needs root: layers are unpacked with their owners.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from common import DEPLOY, PORTUNUS, ROOT

FOLDER = Path(os.environ.get("SCRATCH", ROOT / ".test/deploy"))
DOCKER = DEPLOY / "docker"
CARGO = """#!/bin/sh
# In the place of the compiler: what is built already, if it was asked for as the Dockerfile should, with the sources at hand.
set -e
test "$*" = "build --release --locked -p portunus"
test -f Cargo.lock && test -f crates/gateway/src/main.rs && test -f crates/testkit/Cargo.toml
install -D /built/portunus target/release/portunus
"""


def buildah(*words):
    command = ["buildah", "--root", FOLDER / "storage", "--runroot", FOLDER / "storage-run", "--storage-driver", "vfs", *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"buildah {words[0]} failed:\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def build(name, dockerfile, context, *words):
    # Docker's format, for HEALTHCHECK is not in the other. No cache: a layer that is there already would be taken for the new one.
    options = ["--isolation", "chroot", "--pull-never", "--format", "docker", "--no-cache", "--quiet", *words]
    return buildah("build-using-dockerfile", *options, "--tag", name, "--file", dockerfile, context)


def begins_with(dockerfile, program):
    """The image of that program which the file begins with."""
    return re.search(rf"^FROM ({program}:\S+)", (DOCKER / dockerfile).read_text(), re.M)[1]


def stand_in(image, text, files):
    """An image by that name, from these lines and files."""
    context = FOLDER / "stand-ins" / image.split(":")[0]
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    for name, source in files.items():
        if isinstance(source, str):
            (context / name).write_text(source)
            (context / name).chmod(0o755)
        elif source.is_dir():
            shutil.copytree(source, context / name, symlinks=True)
        else:
            os.link(source, context / name) if same_disk(source, context) else shutil.copyfile(source, context / name)
    (context / "Dockerfile").write_text(text)
    build(f"docker.io/library/{image}", context / "Dockerfile", context)


def same_disk(file, folder):
    return file.stat().st_dev == folder.stat().st_dev


def program():
    """The built program without what debuggers want: a fifth of the size, and it is copied often."""
    stripped = FOLDER / "portunus"
    subprocess.run(["strip", "-o", stripped, PORTUNUS], check=True, timeout=60)
    return stripped


def portunus():
    """The image of Dockerfile. Returns its name."""
    debian = begins_with("Dockerfile", "debian")
    stand_in(debian, "FROM scratch\nADD root.tar /\n", {"root.tar": FOLDER / "root.tar"})
    rust = f"FROM docker.io/library/{debian}\nCOPY cargo /usr/local/bin/cargo\nCOPY --chmod=755 portunus /built/portunus\n"
    stand_in(begins_with("Dockerfile", "rust"), rust, {"cargo": CARGO, "portunus": program()})
    build("portunus", DOCKER / "Dockerfile", ROOT, "--ignorefile", DOCKER / "Dockerfile.dockerignore")
    return "portunus"


def portunus_node():
    """The image of Dockerfile.node, on top of that."""
    node, npm = (Path(shutil.which(name)).resolve() for name in ("node", "npm"))
    text = "FROM scratch\nCOPY --chmod=755 node /usr/local/bin/node\nCOPY npm /usr/local/lib/node_modules/npm\n"
    stand_in(begins_with("Dockerfile.node", "node"), text, {"node": node, "npm": npm.parents[1]})
    build("portunus-node", DOCKER / "Dockerfile.node", DOCKER)
    return "portunus-node"


def config(image):
    """What the image says of itself, in Docker's words."""
    return json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]


class Root:
    """The image's files in a folder, for as long as the block runs."""

    def __init__(self, image):
        self.image = image

    def __enter__(self):
        self.container = buildah("from", "--pull-never", self.image)
        return Path(buildah("mount", self.container))

    def __exit__(self, *_):
        buildah("rm", self.container)


def remove_all():
    """Images, containers and what they left: several copies of a whole Debian."""
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")
