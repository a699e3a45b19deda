"""What is measured: the baselines of the generator's folder, and the gateway in front of servers of each kind. Each target of the
gateway has a folder with the configuration its users would write, its records and its log. Who measures them is run.py, next door.
"""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
GATEWAY_PORT, PROVIDER_PORT, LEGACY_PORT = 3300, 9310, 9311
GATEWAY = f"http://127.0.0.1:{GATEWAY_PORT}"
PUBLIC = f"http://localhost:{GATEWAY_PORT}"
# What is behind the gateway: the generator's server answers both eras, so that the gateway finds it modern; ours is legacy alone.
MODERN = {"url": "http://127.0.0.1:9000/mcp"}
LEGACY = {"url": f"http://127.0.0.1:{LEGACY_PORT}/mcp"}

CALLS = [["call", 1], ["call", 16], ["call", 64]]
BASELINES = {"direct": "client and server alone", "hyper": "a minimal hyper reverse proxy", "nginx": "nginx as a reverse proxy"}


@dataclass
class Cell:
    """One way through the gateway."""

    name: str
    what: str
    servers: dict
    path: str = "/mcp/echo"
    tool: str = "echo"
    client: str = "legacy"
    # The generator's own server is started for it, or ours is there already.
    own_server: bool = True
    args: list = field(default_factory=list)


def cells(programs):
    stdio = {"command": str(programs["echo-server"]), "args": ["--stdio"]}
    return [
        Cell("portunus", "`/mcp/{server}`: legacy client, legacy server on HTTP", {"echo": LEGACY}),
        Cell("portunus modern", "`/mcp/{server}`: modern client, modern server on HTTP", {"echo": MODERN}, client="modern", own_server=False),
        Cell("portunus modern-legacy", "`/mcp/{server}`: modern client, legacy server on HTTP", {"echo": LEGACY}, client="modern"),
        Cell("portunus legacy-modern", "`/mcp/{server}`: legacy client, modern server on HTTP", {"echo": MODERN}, own_server=False),
        Cell("portunus merged", "`/mcp` over two HTTP servers: legacy client, legacy server", {"echo": LEGACY, "other": MODERN}, path="/mcp", tool="echo_echo", own_server=False),
        Cell("portunus stdio", "`/mcp/{server}`: legacy client, legacy server on stdio; CPU and memory with the child's", {"echo": stdio}),
    ]


def furnish(folder, cell, programs):
    """The folder of one cell, ready to be started in. Returns the command and its environment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": cell.servers}, indent=2))
    # As in production: the log of requests is on, and goes to a file.
    (folder / "config.yaml").write_text(
        f"public_url: {PUBLIC}\nlisten: 127.0.0.1:{GATEWAY_PORT}\nauth_secret: {secrets.token_hex(32)}\n"
        f"store: {{ sqlite: {{ path: {folder}/records.sqlite }} }}\n"
        # A hundred people sign in at once from one address.
        "limits: { authorize: unlimited, token_client: unlimited }\n"
        "providers:\n"
        f"  - {{ name: load, preset: oidc, issuer: 'http://localhost:{PROVIDER_PORT}', client_id: portunus-load, "
        "client_secret: a-secret-known-to-this-reading-only }\n"
    )
    return [str(programs["portunus"]), "serve", "--config", f"{folder}/config.yaml", "--mcp-config", f"{folder}/mcp.json"]


def sign_in(cell, people=1):
    return ["node", str(HERE / "sign_in.mjs"), PUBLIC, PUBLIC + cell.path, str(PROVIDER_PORT), str(people)]


def write(path, generator, scratch, programs, legacy_server):
    """Writes the targets file of a batch. `legacy_server` is the process id of our server, which is no noise."""
    baselines = json.loads((generator / "targets.json").read_text())
    targets = {name: {**baselines[name], "plan": CALLS, "sessions": 0} for name in BASELINES}
    for cell in cells(programs):
        folder = scratch / cell.name.replace(" ", "-")
        arguments = ["--tool", cell.tool] + (["--stateless"] if cell.client == "modern" else [])
        target = {
            "cmd": furnish(folder, cell, programs),
            "cwd": str(folder),
            "url": GATEWAY + cell.path,
            "pre": [f"rm -f '{folder}'/records.sqlite*"],
            "post": " ".join(f"'{word}'" for word in sign_in(cell)),
            "args": arguments,
            "plan": CALLS,
            "sessions": 0,
        }
        if cell.own_server:
            target["backend"] = "none"
            target["args"] += ["--backend-pid", str(legacy_server)]
        targets[cell.name] = target
    path.write_text(json.dumps(targets, indent=1))
