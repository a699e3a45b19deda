"""deploy/systemd as files: systemd understands every line, of one gateway and of several; finds them closed enough; and the gateway
understands portunus.env. Installed and started they are in test_installed.py. Run by `./test deploy`."""

import re
import shutil
import tempfile
import unittest
from pathlib import Path

from common import DEPLOY, PORTUNUS, check, longest_stop, run, with_config

FOLDER = DEPLOY / "systemd"
UNIT = FOLDER / "portunus.service"
# Of 100, in systemd's own count: 92 is a unit with no restriction at all.
EXPOSURE = 15


def settings(path):
    found = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def variables(*instead_of):
    """Those of portunus.env. With names, the lines that are comments there count in place of these."""
    text = (FOLDER / "portunus.env").read_text()
    found = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    if instead_of:
        found = {name: value for name, value in found.items() if name not in instead_of} | dict(re.findall(r"^#(\w+)=(.*)$", text, re.M))
    return found


class Systemd(unittest.TestCase):
    def setUp(self):
        self.settings = settings(UNIT)

    def only(self, name):
        (value,) = self.settings[name]
        return value

    def test_systemd_understands_it(self):
        for name, drop_in in [("portunus.service", None), ("portunus@.service", "instances.conf")]:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                unit = Path(folder, name)
                # The program is not installed here.
                unit.write_text(UNIT.read_text().replace("/usr/local/bin/portunus", str(PORTUNUS)))
                if drop_in:
                    unit.with_name(f"{name}.d").mkdir()
                    shutil.copy(FOLDER / drop_in, unit.with_name(f"{name}.d"))
                code, said = run("systemd-analyze", "verify", "--man=no", unit.with_name(name.replace("@", "@1")))
                self.assertEqual((code, said), (0, ""))
                code, said = run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE}", unit)
                self.assertEqual(code, 0, said)

    def test_the_unit_has_no_configuration_of_its_own(self):
        """What it had, commands beside it would not know: `sudo -u portunus portunus grants list` reads the same files and nothing else."""
        self.assertEqual(self.settings["Environment"], ["HOME=/var/cache/portunus"])
        self.assertNotIn("EnvironmentFile", self.settings)
        self.assertEqual(settings(FOLDER / "instances.conf")["Environment"], ["PORT=300%i"])
        self.assertEqual(self.only("WorkingDirectory"), "/etc/portunus")

    def test_the_gateway_understands_it(self):
        own = {name: (DEPLOY / name).read_text() for name in ["config.yaml", "mcp.json"]}
        said = with_config(check(variables(), own), "5s")
        self.assertIn("SQLite, /var/lib/portunus/portunus.sqlite", said)
        self.assertIn("127.0.0.1:3000", said)
        said = with_config(check(variables("DB_PATH") | {"PORT": "3002"}, own), "5s")
        self.assertIn("Redis, redis://10.0.0.9:6379", said)
        for balancer in ["nginx/portunus.conf", "haproxy/haproxy.cfg"]:
            self.assertIn("127.0.0.1:3002", (DEPLOY / balancer).read_text())

    def test_it_is_not_killed_before_it_has_ended(self):
        self.assertGreater(int(self.only("TimeoutStopSec")), longest_stop("5s"))
        # Otherwise the calls under way at child processes would end with SIGTERM.
        self.assertEqual((self.only("KillMode"), self.only("KillSignal")), ("mixed", "SIGTERM"))

    def test_what_it_may_write_is_where_it_is_told_to(self):
        state, cache = (f"/var/{kind}/{self.only(name)}" for kind, name in [("lib", "StateDirectory"), ("cache", "CacheDirectory")])
        self.assertEqual(Path(variables()["DB_PATH"]).parent, Path(state))
        self.assertEqual(self.settings["Environment"], [f"HOME={cache}"])
        self.assertIn(f"u {self.only('User')} - \"Portunus\" {state}\n", (FOLDER / "portunus.sysusers").read_text())

    def test_servers_can_be_confined(self):
        allowed = " ".join(self.settings["SystemCallFilter"]).split()
        for call in ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]:
            self.assertIn(call, allowed)

    def test_nothing_secret_is_in_the_environment(self):
        text = UNIT.read_text() + (FOLDER / "portunus.env").read_text()
        self.assertEqual(re.findall(r"\w*(?:SECRET|PASSWORD)=", text), [])
