"""What is measured: the baselines, and the gateway in front of servers of each kind. Each target of the gateway has a folder with the
configuration its users would write, its records and its log. How one is measured stands in measure.py, in which order in run.py.
"""

import json
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).parent
GATEWAY_PORT, PROVIDER_PORT, LEGACY_PORT = 3300, 9310, 9311
GATEWAY = f"http://127.0.0.1:{GATEWAY_PORT}"
PUBLIC = f"http://localhost:{GATEWAY_PORT}"
BACKEND = "http://127.0.0.1:9000/mcp"
# What is behind the gateway: the generator's server answers both eras, so that the gateway finds it modern; ours is legacy alone.
MODERN = {"url": BACKEND}
LEGACY = {"url": f"http://127.0.0.1:{LEGACY_PORT}/mcp"}

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
    # Ours, which is there already; or the generator's, which is started for it.
    own_server: bool = True
    # Lines of config.yaml beside those that all have.
    config: str = ""


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


def access_cells(eras):
    """Cells of these names with and without the audit trail and access rules, by name."""
    configs = {
        "nothing": "audit: { enabled: false }\n",
        "audit": "",
        "20 rules": "audit: { enabled: false }\n" + access_rules(20),
        "audit, 20 rules": access_rules(20),
        "audit, 1,000 rules": access_rules(1000),
    }
    return {f"{era}, {name}": replace(cell, name=f"{era} {name}".replace(",", ""), config=config) for era, cell in eras.items() for name, config in configs.items()}


def access_rules(number):
    """So many rules of all kinds, of which the last allows the call."""
    kinds = [
        "{{ name: rule {0}, who: {{ groups: [group-{0}] }}, servers: [echo] }}",
        "{{ name: rule {0}, who: {{ people: [person-{0}@example.com] }}, servers: [echo], tools: ['get_{0}_*'] }}",
        "{{ name: rule {0}, effect: deny, who: {{ groups: [group-{0}] }}, tools: ['delete_{0}_*'] }}",
        "{{ name: rule {0}, effect: deny, who: anyone, resources: ['file:///{0}/*'] }}",
    ]
    rules = [kinds[at % len(kinds)].format(at) for at in range(number - 1)]
    rules.append("{ name: the call, who: anyone, servers: [echo], tools: [echo] }")
    return "access:\n" + "".join(f"  - {rule}\n" for rule in rules)


def furnish(folder, cell, programs):
    """The folder of one cell, ready to be started in. Returns the command."""
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
        f"client_secret: a-secret-known-to-this-reading-only }}\n{cell.config}"
    )
    return [str(programs["portunus"]), "serve", "--config", f"{folder}/config.yaml", "--mcp-config", f"{folder}/mcp.json"]


def sign_in(cell, people=1):
    return ["node", str(HERE / "sign_in.mjs"), PUBLIC, PUBLIC + cell.path, str(PROVIDER_PORT), str(people)]


@dataclass
class Target:
    """What measure.py needs to know of anything that is measured."""

    name: str
    url: str
    command: list = None
    folder: Path = None
    sign_in: list = None
    arguments: list = field(default_factory=list)
    # The generator's server has to run; ours is there already.
    needs_backend: bool = True

    def begin_anew(self):
        """Nothing is left of an earlier round."""
        if self.folder:
            for left in self.folder.glob("records.sqlite*"):
                left.unlink()


def baselines(binaries, scratch, threads=2):
    """The client and the server alone, and two proxies between them: `direct` comes first, it tells when the server is up."""
    folder = scratch / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text((HERE / "nginx.conf").read_text().replace("FOLDER", str(folder)))
    return [
        Target("direct", BACKEND),
        Target("hyper", "http://127.0.0.1:3101/mcp", [binaries / "hyperproxy", "--port", 3101, "--threads", threads]),
        Target("nginx", "http://127.0.0.1:3200/mcp", ["/usr/sbin/nginx", "-c", folder / "nginx.conf"]),
    ]


def gateways(scratch, programs, legacy_server):
    """`legacy_server` is the process id of our server, which is no noise."""
    for cell in cells(programs):
        yield gateway(scratch, programs, legacy_server, cell)


def gateway(scratch, programs, legacy_server, cell):
    """The gateway as one cell has it."""
    folder = scratch / cell.name.replace(" ", "-")
    arguments = ["--tool", cell.tool] + (["--stateless"] if cell.client == "modern" else [])
    if cell.own_server:
        arguments += ["--backend-pid", legacy_server]
    command = furnish(folder, cell, programs)
    return Target(cell.name, GATEWAY + cell.path, command, folder, sign_in(cell), arguments, needs_backend=not cell.own_server)
