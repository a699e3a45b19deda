"""A person with an MCP client at a gateway that the tests started: signs in through the gateway's own OAuth (tests/load/sign_in.mjs, with
the provider of that folder), says hello, calls tools. Who starts gateways is next door: container.py and machine.py. """

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

from common import ROOT, SECRET

LOAD = ROOT / "tests/load"
# What the provider knows the gateway by.
CLIENT_ID, CLIENT_SECRET = "portunus-load", "a-secret-known-to-this-reading-only"
# The person who signs in, as the provider calls it, and the client, as it calls itself.
PERSON, CLIENT = "person-0", "Speed reading"
PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def must_be_free(port):
    """Where a port cannot be chosen: another gateway there would be taken for the one that is tested."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))


def settings(port, provider_port):
    """Variables of a gateway at this port, with a provider at the other."""
    return {
        "BASE_URL": f"http://localhost:{port}",
        "PORT": str(port),
        "AUTH_SECRET": SECRET,
        "AUTH_PROVIDER": "load",
        "AUTH_LOAD_ID": CLIENT_ID,
        "AUTH_LOAD_SECRET": CLIENT_SECRET,
        "AUTH_LOAD_ISSUER": f"http://localhost:{provider_port}",
    }


def wait_until(holds, what):
    """Asks again and again; what never holds is a failure."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(f"not in {PATIENCE} s: {what}")


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/ready", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class provider:
    """The identity provider, for as long as the block runs; not while a client signs in, which brings it along."""

    def __init__(self, port):
        script = f"import {{ startProvider }} from '{LOAD}/provider.mjs'; await startProvider({port}, () => '{PERSON}');"
        self.port, self.command = port, ["node", "--input-type=module", "-e", script]

    def __enter__(self):
        self.process = subprocess.Popen(self.command)
        keys = f"http://localhost:{self.port}/keys"
        wait_until(lambda: answers(keys), "the provider answers")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()
        return True
    except (urllib.error.URLError, ConnectionError):
        return False


class Client:
    """A user who has signed in, at one server of the gateway."""

    def __init__(self, port, provider_port, server):
        self.url = f"http://localhost:{port}/mcp/{server}"
        command = ["node", LOAD / "sign_in.mjs", f"http://localhost:{port}", self.url, provider_port]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        self.token, self.id, self.session = found["token"], found["client"], None

    def post(self, message):
        """Status and body; the body is the last event where the answer is a stream."""
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        headers["authorization"] = f"Bearer {self.token}"
        if self.session:
            headers |= {"mcp-session-id": self.session, "mcp-protocol-version": "2025-06-18"}
        request = urllib.request.Request(self.url, json.dumps({"jsonrpc": "2.0", **message}).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                self.session = answer.headers.get("mcp-session-id") or self.session
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        events = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:") and "{" in line]
        return answer.status, json.loads(events[-1] if events else text) if text.strip() else None

    def hello(self):
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "deploy", "version": "1"}}
        status, said = self.post({"id": 1, "method": "initialize", "params": params})
        assert status == 200 and "result" in said, (status, said)
        status, body = self.post({"method": "notifications/initialized"})
        assert status == 202, (status, body)
        return said["result"]

    def call(self, tool, arguments):
        """The text that the tool answers with."""
        status, said = self.post({"id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        assert status == 200 and "result" in said, (status, said)
        return said["result"]["content"][0]["text"]
