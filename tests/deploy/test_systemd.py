"""deploy/systemd: systemd understands every line, finds the unit closed enough, and the gateway understands what it is told there. Run by
`./test deploy`."""

import re
import tempfile
import unittest
from pathlib import Path

from desk import DEPLOY, PORTUNUS, check, longest_stop, run, with_config

UNIT = DEPLOY / "systemd/portunus@.service"
# Of 100, in systemd's own count: 92 is a unit with no restriction at all.
EXPOSURE = 15


class Systemd(unittest.TestCase):
    def setUp(self):
        lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
        self.settings = {}
        for name, _, value in (line.partition("=") for line in lines):
            self.settings.setdefault(name, []).append(value)

    def only(self, name):
        (value,) = self.settings[name]
        return value

    def test_systemd_understands_it(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = Path(folder, UNIT.name)
            # The program is not installed here.
            unit.write_text(UNIT.read_text().replace("/usr/local/bin/portunus", str(PORTUNUS)))
            code, said = run("systemd-analyze", "verify", "--man=no", unit.with_name("portunus@1.service"))
            self.assertEqual((code, said), (0, ""))
            code, said = run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE}", unit)
            self.assertEqual(code, 0, said)

    def test_the_gateway_understands_it(self):
        environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(self.settings["Environment"])))
        lines = (DEPLOY / "systemd/environment").read_text().splitlines()
        environment |= dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        environment["PORT"] = environment["PORT"].replace("%i", "2")
        credentials = {credential.split(":")[0] for credential in self.settings["LoadCredential"]}
        files = {value.removeprefix("%d/") for name, value in environment.items() if name.endswith("_FILE")}
        self.assertEqual(files, credentials)
        own = {name: (DEPLOY / name).read_text() for name in ["config.yaml", "mcp.json"]}
        said = with_config(check(environment, own), "5s")
        self.assertIn("127.0.0.1:3002", said)
        self.assertIn("127.0.0.1:3002", (DEPLOY / "nginx/portunus.conf").read_text())
        self.assertIn("127.0.0.1:3002", (DEPLOY / "haproxy/haproxy.cfg").read_text())

    def test_it_is_not_killed_before_it_has_ended(self):
        self.assertGreater(int(self.only("TimeoutStopSec")), longest_stop("5s"))
        # Otherwise the calls under way at child processes would end with SIGTERM.
        self.assertEqual((self.only("KillMode"), self.only("KillSignal")), ("mixed", "SIGTERM"))

    def test_servers_can_be_confined(self):
        allowed = " ".join(self.settings["SystemCallFilter"]).split()
        for call in ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]:
            self.assertIn(call, allowed)

    def test_nothing_secret_is_in_the_environment(self):
        text = UNIT.read_text() + (DEPLOY / "systemd/environment").read_text()
        self.assertEqual(re.findall(r"\w*(?:SECRET|PASSWORD)=", text), [])
