"""deploy/docker/Dockerfile and Dockerfile.node, built and run: the gateway as process 1 of a container that may do nothing, a user who
signs in and calls servers on stdio, the commands of deploy/README.md, stopping. Run by `./test deploy`; files alone are looked at in
test_image.py. """

import json
import os
import shutil
import signal
import unittest

import client
import images
import parrot
from container import Container
from readme import commands, filled_in

BESIDE = "Commands beside a running gateway"
DICE = {"command": "portunus", "args": ["demo-server", "dice"]}
# The files of each image.
roots = {}


def setUpModule():
    assert os.geteuid() == 0, "images are built and run as root: ./test deploy"
    unittest.addModuleCleanup(images.remove_all)
    for image in (images.portunus(), images.portunus_node()):
        roots[image] = unittest.enterModuleContext(images.Root(image))


class Case(unittest.TestCase):
    image = "portunus"
    servers = {"dice": DICE}

    def setUp(self):
        self.folder = images.FOLDER / self.id().split(".")[-1]
        shutil.rmtree(self.folder, ignore_errors=True)
        configuration = self.folder / "etc"
        configuration.mkdir(parents=True)
        self.port, self.provider_port = client.free_port(), client.free_port()
        variables = client.settings(self.port, self.provider_port)
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        files = {".env": "".join(lines), "mcp.json": json.dumps({"mcpServers": self.servers})}
        for name, text in files.items():
            (configuration / name).write_text(text)
            (configuration / name).chmod(0o644)
        self.container = Container(self.image, roots[self.image], self.folder, {"/etc/portunus": configuration})

    def started(self):
        """The container, ready."""
        self.enterContext(self.container)
        client.wait_until(self.is_ready_or_ended, f"the gateway is ready, see {self.container.log}")
        self.assertIsNone(self.container.process.poll(), self.container.log.read_text())
        return self.container

    def is_ready_or_ended(self):
        return self.container.process.poll() is not None or client.is_ready(self.port)

    def signed_in(self, server="dice"):
        return client.Client(self.port, self.provider_port, server)


class Gateway(Case):
    def test_it_serves_with_a_volume_and_a_file_of_variables_alone(self):
        container = self.started()
        database = container.folder / "var-lib-portunus/portunus.sqlite"
        self.assertEqual((database.stat().st_uid, oct(database.stat().st_mode & 0o777)), (65532, "0o600"))
        first = container.processes()[container.pid]
        self.assertEqual((first["Name"], first["NSpid"].split()[-1]), ("portunus", "1"))
        self.assertEqual((first["Uid"].split()[1], first["CapEff"], first["CapBnd"]), ("65532", "0" * 16, "0" * 16))
        kind, *check = container.config["Healthcheck"]["Test"]
        code, said = container.exec(check)
        self.assertEqual((kind, code, json.loads(said)["status"]), ("CMD", 0, "ok"))

    def test_somebody_signs_in_and_calls_a_server_on_stdio(self):
        self.started()
        person = self.signed_in()
        self.assertEqual(person.hello()["serverInfo"]["name"], "dice")
        self.assertRegex(person.call("roll", {"sides": 6}), r"[1-6]")

    def test_what_is_kept_outlives_the_container(self):
        self.started()
        person = self.signed_in()
        self.assertEqual(self.container.stop(), 0)
        self.started()
        person.hello()

    def test_orphans_are_reaped(self):
        container = self.started()
        # What loses its parent in a container falls to its first process.
        code, said = container.exec(["sh", "-c", "sleep 300 >/dev/null 2>&1 &"])
        self.assertEqual(code, 0, said)
        orphans = {pid: status for pid, status in container.processes().items() if status["Name"] == "sleep"}
        self.assertEqual([status["PPid"] for status in orphans.values()], [str(container.pid)])
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        # One that is not reaped stays, as a zombie.
        client.wait_until(lambda: not orphans.keys() & container.processes().keys(), "the orphan is gone")

    def test_it_stops_by_itself_and_leaves_nothing(self):
        container = self.started()
        self.signed_in().hello()
        self.assertGreater(len(container.processes()), 1, "the server is there")
        before = list(container.processes())
        self.assertEqual(container.stop(), 0, container.log.read_text()[-2000:])
        self.assertEqual([pid for pid in before if os.path.exists(f"/proc/{pid}")], [])
        code, said = container.run(["store", "check"])
        self.assertEqual(code, 0, said)

    def test_commands_of_the_readme(self):
        container = self.started()
        person = self.signed_in()
        person.hello()
        person.call("roll", {"sides": 6})
        values = {"alice@acme.com": client.PERSON, "ptn_client_…": person.id}
        said = {}
        for words in commands(BESIDE, "docker exec"):
            line = " ".join(words)
            with self.subTest(line), client.provider(self.provider_port):
                said[line] = self.docker(filled_in(words[1:], values))
        self.assertIn(client.CLIENT, said["docker exec portunus portunus grants list"])
        # As it was when the backup was made: the client was removed before.
        code, clients = container.exec(["portunus", "clients", "list"])
        self.assertEqual(code, 0, clients)
        self.assertNotIn(person.id, clients)

    def docker(self, words):
        """What Docker would do, and what was said meanwhile."""
        match words:
            case ["exec", "portunus", *command]:
                code, said = self.container.exec(command)
            case ["stop", "portunus"]:
                code, said = self.container.stop(), ""
            case ["run", "--rm", "--volumes-from", "portunus", "portunus", *command]:
                code, said = self.container.run(command)
            case ["start", "portunus"]:
                self.started()
                code, said = 0, ""
            case _:
                self.fail(f"not known here: docker {' '.join(words)}")
        self.assertEqual(code, 0, said)
        return said

    def test_commands_for_kubernetes(self):
        """The pod is another, but what is run in it is the same."""
        container = self.started()
        person = self.signed_in()
        values = {"alice@acme.com": client.PERSON, "ptn_client_…": person.id}
        for words in commands(BESIDE, "kubectl"):
            with self.subTest(" ".join(words)), client.provider(self.provider_port):
                self.assertEqual(words[:6], ["kubectl", "--namespace", "portunus", "exec", "deploy/portunus", "--"])
                command = filled_in(words[6:], values)
                # What the shell out here does with the output.
                if command[-1].startswith(">"):
                    command.pop()
                code, said = container.exec(command)
                self.assertEqual(code, 0, said)


class Node(Case):
    image = "portunus-node"
    servers = {"parrot": parrot.server("/etc/portunus")}

    def setUp(self):
        super().setUp()
        parrot.pack(self.folder / "etc")

    def test_a_server_that_npx_starts(self):
        container = self.started()
        person = self.signed_in("parrot")
        self.assertEqual(person.hello()["serverInfo"]["name"], "parrot")
        self.assertEqual(person.call("repeat", {"text": "hello"}), "hello")
        self.assertEqual(container.config["User"], "65532:65532")
        self.assertTrue((container.folder / "var-cache-portunus/.npm").is_dir())
        self.assertEqual(container.stop(), 0)
