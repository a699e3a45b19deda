"""deploy/systemd, installed on a machine with systemd as deploy/README.md says, line by line: one gateway with SQLite, its servers on
stdio within the unit's restrictions, the commands beside it, stopping; then several on one Redis. The machine is machine.py's; the files
alone are looked at in test_systemd.py. Run by `./test deploy`. """

import contextlib
import json
import os
import re
import shutil
import subprocess
import unittest

import client
import images
import parrot
from common import DEPLOY
from machine import Machine
from readme import blocks, commands, filled_in

INSTALL, BESIDE, REPLACE = "One gateway, with systemd", "Commands beside a running gateway", "Stopping and replacing gateways"
# Where the source lies on that machine.
SOURCE = "/usr/src/portunus"
REDIS_PASSWORD = "a-password-of-this-test-only"
CACHE = "/var/cache/portunus"
SERVERS = {
    "dice": {"command": "/usr/local/bin/portunus", "args": ["demo-server", "dice"]},
    "parrot": parrot.server("/srv"),
    # It may write to the cache, and sees nothing of the database.
    "confined": {**parrot.server("/srv"), "cwd": CACHE, "confine": {"read": ["/srv", "/proc"], "write": [CACHE]}},
}


def setUpModule():
    global machine, port, provider_port
    assert os.geteuid() == 0, "a machine is booted as root: ./test deploy"
    machine = unittest.enterModuleContext(Machine())
    port, provider_port = client.free_port(), client.free_port()
    source = machine.root / SOURCE.lstrip("/")
    (source / "target/release").mkdir(parents=True)
    shutil.copy(images.program(), source / "target/release/portunus")
    shutil.copytree(DEPLOY, source / "deploy")
    (source / "okta_secret").write_text(client.CLIENT_SECRET + "\n")
    parrot.pack(machine.root / "srv")


def typed(line):
    code, said = machine.run(line, SOURCE)
    assert code == 0, f"{line}: exit code {code}\n{said}\n{machine.run('journalctl --no-pager | tail -n 40')[1]}"
    return said


def change(file, *changes):
    """What an administrator does in an editor: each pattern must be there once."""
    path = machine.root / "etc/portunus" / file
    text = path.read_text()
    for pattern, by in changes:
        text, count = re.subn(pattern, by, text, flags=re.M)
        assert count == 1, f"{file} has {pattern} {count} times"
    path.write_text(text)


def write_configuration():
    """The example, for the provider and the servers of this test."""
    change(
        ".env",
        ("^BASE_URL=.*", f"BASE_URL=http://localhost:{port}"),
        ("^PORT=.*", f"PORT={port}"),
        ("^AUTH_PROVIDER=.*", "AUTH_PROVIDER=load"),
        ("^AUTH_OKTA_ID=.*", f"AUTH_LOAD_ID={client.CLIENT_ID}"),
        ("^AUTH_OKTA_ISSUER=.*", f"AUTH_LOAD_ISSUER=http://localhost:{provider_port}"),
        ("^AUTH_OKTA_SECRET_FILE=", "AUTH_LOAD_SECRET_FILE="),
    )
    (machine.root / "etc/portunus/mcp.json").write_text(json.dumps({"mcpServers": SERVERS}))


def ready(port):
    client.wait_until(lambda: client.is_ready(port), f"a gateway is ready at {port}\n{machine.run('journalctl --no-pager | tail -n 40')[1]}")


# In the order of their names: a machine is installed once.
class Installed(unittest.TestCase):
    is_installed = False

    def setUp(self):
        first = self.id().endswith("test_1_it_is_installed_and_started_as_the_readme_says")
        self.assertTrue(first or Installed.is_installed, "it is not installed")

    def test_1_it_is_installed_and_started_as_the_readme_says(self):
        install, start = blocks(INSTALL)[:2]
        for line in install:
            typed(line)
        write_configuration()
        with client.provider(provider_port):
            for line in start:
                typed(line)
        ready(port)
        Installed.is_installed = True
        # Which is whose is read in there, where the numbers have names.
        owners = typed("stat -c '%U %a' /var/lib/portunus /var/lib/portunus/portunus.sqlite /var/cache/portunus")
        self.assertEqual(owners.splitlines(), ["portunus 700", "portunus 600", "portunus 700"])
        self.assertEqual(typed("find /etc/portunus -writable -user portunus -o -perm /o+rwx -not -type l"), "")
        self.assertEqual(typed("ps -o user= -C portunus | sort -u").split(), ["portunus"])

    def test_2_servers_run_within_the_unit(self):
        repeat = ("repeat", {"text": "hello"}, "hello")
        for server, call in {"dice": ("roll", {"sides": 6}, "[1-6]"), "parrot": repeat, "confined": repeat}.items():
            with self.subTest(server):
                person = client.Client(port, provider_port, server)
                person.hello()
                tool, arguments, expected = call
                self.assertRegex(person.call(tool, arguments), expected)

    def test_3_commands_of_the_readme(self):
        person = client.Client(port, provider_port, "dice")
        person.hello()
        values = {"alice@acme.com": client.PERSON, "ptn_client_…": person.id}
        said = {}
        for words in commands(BESIDE, "sudo -u portunus"):
            line = " ".join(filled_in(words, values))
            with self.subTest(line), client.provider(provider_port):
                said[line] = typed(line)
        ready(port)
        self.assertIn(client.CLIENT, said["sudo -u portunus env -C /etc/portunus portunus grants list"])
        self.assertNotIn(person.id, typed("sudo -u portunus env -C /etc/portunus portunus clients list"))
        self.assertEqual(person.post({"id": 3, "method": "tools/list"})[0], 401)

    def test_4_it_is_told_when_files_change_and_stops_by_itself(self):
        client.Client(port, provider_port, "parrot").hello()
        typed("systemctl reload portunus && systemctl is-active portunus")
        typed("systemctl stop portunus")
        state = typed("systemctl show portunus -p Result -p ExecMainCode -p ExecMainStatus")
        self.assertEqual(set(state.split()), {"Result=success", "ExecMainCode=1", "ExecMainStatus=0"})
        self.assertEqual(machine.run("ps -u portunus -o args=")[1], "")

    def test_5_several_share_a_redis(self):
        for instance in (3001, 3002, 3003):
            client.must_be_free(instance)
        redis_port = client.free_port()
        self.enterContext(redis(redis_port))
        address, password = ("^#KVS_ADDR=.*", f"KVS_ADDR=127.0.0.1:{redis_port}"), ("^#KVS_PASSWORD_FILE", "KVS_PASSWORD_FILE")
        change(".env", ("^DB_PATH=", "#DB_PATH="), address, password, ("^BASE_URL=.*", "BASE_URL=http://localhost:3002"))
        typed(f"echo {REDIS_PASSWORD} | install -g portunus -m 0640 /dev/stdin /etc/portunus/secrets/kvs_password")
        for line in blocks(INSTALL)[2]:
            typed(line)
        for instance in (3001, 3002, 3003):
            ready(instance)
        person = client.Client(3002, provider_port, "dice")
        person.hello()
        self.assertRegex(person.call("roll", {"sides": 6}), r"[1-6]")
        self.assertIn(client.CLIENT, typed("sudo -u portunus env -C /etc/portunus portunus grants list"))
        # One after another is replaced; the session goes on at whichever it comes to.
        (replace,) = blocks(REPLACE)
        typed("\n".join(replace))
        self.assertRegex(person.call("roll", {"sides": 6}), r"[1-6]")
        typed("systemctl stop 'portunus@*'")


@contextlib.contextmanager
def redis(port):
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--requirepass", REDIS_PASSWORD, "--dir", images.FOLDER]
    with (images.FOLDER / "redis.log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()
