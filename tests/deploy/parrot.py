"""The package of parrot.mjs, next door, as a registry would have it, and how npx starts it: unpacked into its cache, without asking
a registry."""

import io
import json
import tarfile

from common import ROOT

MANIFEST = {"name": "parrot", "version": "1.0.0", "bin": "parrot.mjs"}
FILE = "parrot-1.0.0.tgz"


def pack(folder):
    """Writes the package into the folder."""
    files = {"package.json": json.dumps(MANIFEST).encode(), "parrot.mjs": (ROOT / "tests/deploy/parrot.mjs").read_bytes()}
    with tarfile.open(folder / FILE, "w:gz") as package:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mode = len(content), 0o755
            package.addfile(member, io.BytesIO(content))


def server(folder):
    """The entry of mcp.json for a package in that folder."""
    return {"command": "npx", "args": ["--yes", "--offline", f"file:{folder}/{FILE}"], "env": {"npm_config_update_notifier": "false"}}
