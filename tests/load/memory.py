"""What the gateway needs when nothing happens: until its first answer, idle, for each idle session, for each idle stream. Sessions are
those of several people, for one person may have no more than 64. Speed is measured by the generator, next door in run.py.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import targets

PEOPLE, SESSIONS, STREAMS = 100, 60, 5
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "memory", "version": "1"}}
SETTLE = 2.0


def resident(pid):
    """Of the process alone, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"no VmRSS for {pid}")


def post(path, token, body, session=None):
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", "authorization": f"Bearer {token}"}
    if session:
        headers |= {"mcp-session-id": session, "mcp-protocol-version": "2025-06-18"}
    request = urllib.request.Request(targets.GATEWAY + path, json.dumps({"jsonrpc": "2.0", **body}).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
        return answer.headers.get("mcp-session-id")


def open_session(path, token):
    session = post(path, token, {"id": 1, "method": "initialize", "params": HELLO})
    post(path, token, {"method": "notifications/initialized"}, session)
    return session


def open_stream(path, token, session):
    """A GET stream, its head read."""
    stream = socket.create_connection(("127.0.0.1", targets.GATEWAY_PORT), timeout=30)
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{targets.GATEWAY_PORT}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n"
        f"Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n\r\n"
    )
    stream.sendall(head.encode())
    status = stream.recv(4096).split(b"\r\n", 1)[0]
    if b" 200 " not in status + b" ":
        raise RuntimeError(f"a stream was answered with {status}")
    return stream


def first_answer(began):
    while time.perf_counter() - began < 60:
        try:
            urllib.request.urlopen(f"{targets.GATEWAY}/health", timeout=5).read()
            return time.perf_counter() - began
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.002)
    raise RuntimeError("the gateway does not answer")


def read(programs, scratch, only):
    """Rows of kind `memory`."""
    if only and "portunus" not in only.split(","):
        return
    cell = targets.cells(programs)[0]
    folder = scratch / "memory"
    command = targets.furnish(folder, cell, programs)
    for left in folder.glob("records.sqlite*"):
        left.unlink()
    starts = []
    for last in (False, False, True):
        with (folder / "gateway.log").open("wb") as log:
            began = time.perf_counter()
            gateway = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            starts.append(first_answer(began))
            if not last:
                continue
            time.sleep(SETTLE)
            idle = resident(gateway.pid)
            people = json.loads(subprocess.run(targets.sign_in(cell, PEOPLE), check=True, capture_output=True, text=True).stdout)["tokens"]
            warm = [open_session(cell.path, token) for token in people]
            time.sleep(SETTLE)
            before = resident(gateway.pid)
            held = [(token, open_session(cell.path, token)) for token in people for _ in range(SESSIONS)]
            time.sleep(SETTLE)
            with_sessions = resident(gateway.pid)
            streams = [open_stream(cell.path, token, session) for n, (token, session) in enumerate(held) if n % SESSIONS < STREAMS]
            time.sleep(SETTLE)
            with_streams = resident(gateway.pid)
            for stream in streams:
                stream.close()
            yield {
                "kind": "memory",
                "start_s": starts,
                "idle_kib": idle,
                "sessions": len(held),
                "kib_per_session": (with_sessions - before) / len(held),
                "streams": len(streams),
                "kib_per_stream": (with_streams - with_sessions) / len(streams),
                "warm": len(warm),
            }
        finally:
            gateway.terminate()
            try:
                gateway.wait(30)
            except subprocess.TimeoutExpired:
                gateway.kill()
                gateway.wait()
