"""deploy/docker/compose.yaml: valid, its parts fit together, and the gateway understands what it is told there. Run by `./test deploy`."""

import re
import unittest

from common import DEPLOY, TOOLS, check, documents, image_variables, longest_stop, run, seconds, with_config

FOLDER = DEPLOY / "docker"


class Compose(unittest.TestCase):
    def setUp(self):
        (self.file,) = documents("docker/compose.yaml")
        self.services = self.file["services"]
        self.gateways = {name: service for name, service in self.services.items() if name.startswith("portunus-")}

    def test_schema(self):
        code, said = run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", FOLDER / "compose.yaml")
        self.assertEqual(code, 0, said)

    def test_the_gateway_understands_it(self):
        own = {"config.yaml": (FOLDER / "config.yaml").read_text(), "mcp.json": (DEPLOY / "mcp.json").read_text()}
        for service in self.gateways.values():
            said = with_config(check(image_variables() | service["environment"], own), "5s")
            self.assertIn("Redis, redis://valkey:6379", said)

    def test_it_is_not_killed_before_it_has_ended(self):
        for service in self.gateways.values():
            self.assertGreater(seconds(service["stop_grace_period"]), longest_stop("5s"))

    def test_what_is_mounted_is_there(self):
        # The operator brings secrets and certificates.
        brought = ("./certs",)
        for name, service in self.services.items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith(".") and source not in brought:
                    self.assertTrue((FOLDER / source).exists(), f"{name} mounts {source}")
                elif not source.startswith("."):
                    self.assertIn(source, self.file["volumes"])
            for secret in service.get("secrets", []):
                self.assertIn(secret, self.file["secrets"], name)
            build = service.get("build")
            if build:
                self.assertTrue((FOLDER / build["context"] / build["dockerfile"]).is_file())

    def test_the_balancer_finds_the_gateways(self):
        names = self.services["haproxy"]["environment"]
        self.assertEqual(sorted(names.values()), [f"{name}:3000" for name in sorted(self.gateways)])
        used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "haproxy/haproxy.cfg").read_text()))
        self.assertEqual(used, set(names))

    def test_gateways_believe_the_balancer_alone(self):
        on = {network: {name for name, service in self.services.items() if network in service["networks"]} for network in self.file["networks"]}
        gateways = set(self.gateways)
        self.assertEqual(on["front"], gateways | {"haproxy"})
        self.assertEqual(on["back"], gateways | {"valkey"})
        self.assertEqual([network for network, names in on.items() if "haproxy" in names and names & gateways], ["front"])
        subnets = [config["subnet"] for config in self.file["networks"]["front"]["ipam"]["config"]]
        (config,) = documents("docker/config.yaml")
        self.assertEqual(config["trusted_proxies"], subnets)

    def test_valkey_keeps_what_it_is_told(self):
        command = self.services["valkey"]["command"][-1]
        for part in ["--appendonly yes", "--maxmemory-policy noeviction", "--requirepass"]:
            self.assertIn(part, command)
        self.assertIn("valkey:/data", self.services["valkey"]["volumes"])
