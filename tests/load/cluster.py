"""Gateways on one Redis behind nginx, for the scaling reading (scaling.py): started, signed in at, asked what they cost, ended by their own
ids. What they are configured with is what their users would write.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import targets

HERE = Path(__file__).parent
FRONT, FIRST, REDIS = 3400, 3401, 6400
PUBLIC = f"http://localhost:{FRONT}"
NGINX = """daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  {temporary}
  upstream gateways {{ {servers} keepalive 64; }}
  server {{
    listen 127.0.0.1:{front};
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
    }}
  }}
}}
"""


@contextlib.contextmanager
def ending(process):
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextlib.contextmanager
def backend(echo_server):
    with ending(subprocess.Popen([echo_server, "--port", str(targets.LEGACY_PORT)], stdout=subprocess.DEVNULL)):
        yield


def wait_for(port):
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on {port}")


class Cluster:
    def __init__(self, folder, portunus, nodes):
        self.folder, self.portunus, self.nodes = folder, portunus, nodes
        self.url = f"http://127.0.0.1:{FRONT}"
        self.people = []
        self.ends = contextlib.ExitStack()

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "redis").mkdir(parents=True)
        with contextlib.ExitStack() as ends:
            start = lambda command, log, **how: ends.enter_context(ending(self.start(command, log, **how)))
            redis = shutil.which("redis-server") or shutil.which("redis-check-rdb")
            server = [redis, "--port", str(REDIS), "--bind", "127.0.0.1", "--dir", str(self.folder / "redis")]
            # Debian's redis-tools has the server by another name, and it goes by the name it is called by.
            server[0] = "redis-server"
            self.redis = start([*server, "--appendonly", "yes", "--save", ""], "redis", executable=redis).pid
            wait_for(REDIS)
            secret = secrets.token_hex(32)
            self.gateways = [start(self.gateway(n, secret), f"gateway-{n}").pid for n in range(self.nodes)]
            for n in range(self.nodes):
                wait_for(FIRST + n)
            self.nginx = start(["/usr/sbin/nginx", "-c", str(self.balance()), "-p", str(self.folder)], "nginx").pid
            wait_for(FRONT)
            self.ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self.ends.close()

    def start(self, command, log, **how):
        with (self.folder / f"{log}.log").open("wb") as file:
            return subprocess.Popen(command, stdout=file, stderr=file, cwd=self.folder, **how)

    def gateway(self, n, secret):
        own = self.folder / f"gateway-{n}"
        own.mkdir()
        (own / "mcp.json").write_text(json.dumps({"mcpServers": {"echo": targets.LEGACY}}))
        (own / "config.yaml").write_text(
            f"public_url: {PUBLIC}\nlisten: 127.0.0.1:{FIRST + n}\nauth_secret: {secret}\n"
            f"store: {{ redis: {{ url: 'redis://127.0.0.1:{REDIS}' }} }}\nstop_delay: 0s\n"
            f"allowed_hosts: ['127.0.0.1:{FRONT}']\n"
            # Many people sign in at once from one address.
            "limits: { authorize: unlimited, token: unlimited, token_client: unlimited }\n"
            "providers:\n"
            f"  - {{ name: load, preset: oidc, issuer: 'http://localhost:{targets.PROVIDER_PORT}', client_id: portunus-load, "
            "client_secret: a-secret-known-to-this-reading-only }\n"
        )
        return [str(self.portunus), "serve", "--config", f"{own}/config.yaml", "--mcp-config", f"{own}/mcp.json"]

    def balance(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {self.folder}/nginx-{kind};" for kind in kinds)
        servers = " ".join(f"server 127.0.0.1:{FIRST + n};" for n in range(self.nodes))
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder, temporary=temporary, servers=servers, front=FRONT))
        return config

    def nginx_processes(self):
        children = Path(f"/proc/{self.nginx}/task/{self.nginx}/children").read_text().split()
        return [self.nginx, *map(int, children)]

    def sign_in(self, people, called="person", keep=False):
        """Access tokens. With `keep`, these are the people that other steps are done with."""
        arguments = [PUBLIC, f"{PUBLIC}/mcp/echo", str(targets.PROVIDER_PORT), str(people), called]
        said = subprocess.run(["node", str(HERE / "sign_in.mjs"), *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
        found = json.loads(said)
        if keep:
            self.people, self.client = list(zip(found["tokens"], found["refreshTokens"])), found["client"]
        return found["tokens"]

    def refresh_all(self):
        people = []
        for _, refresh in self.people:
            form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": self.client}
            body = urllib.parse.urlencode(form).encode()
            answer = json.loads(self.post("/auth/token", {"content-type": "application/x-www-form-urlencoded"}, body)[1])
            people.append((answer["access_token"], answer["refresh_token"]))
        self.people = people

    def open_sessions(self):
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "scaling", "version": "1"}}
        for access, _ in self.people:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
            headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", "authorization": f"Bearer {access}"}
            self.post("/mcp/echo", headers, body)

    def post(self, path, headers, body):
        request = urllib.request.Request(self.url + path, body, {**headers, "host": f"localhost:{FRONT}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read()[:200]!r}") from error

    def info(self, section):
        """A part of what Redis says of itself."""
        with socket.create_connection(("127.0.0.1", REDIS)) as redis, redis.makefile("rb") as answer:
            redis.sendall(f"INFO {section}\r\n".encode())
            length = int(answer.readline()[1:])
            lines = answer.read(length).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def commands(self):
        """All that were carried out so far, those inside of scripts too."""
        return int(self.info("stats")["total_commands_processed"])

    def memory(self):
        return int(self.info("memory")["used_memory"])
