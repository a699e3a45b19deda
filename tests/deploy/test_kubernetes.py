"""deploy/kubernetes: valid for Kubernetes as old as it says and as new as is known here; its parts fit together; the gateway understands
what it is told there. Run by `./test deploy`."""

import unittest

from common import DEPLOY, TOOLS, check, documents, image_variables, longest_stop, run, with_config

FILE = "kubernetes/portunus.yaml"


class Kubernetes(unittest.TestCase):
    def setUp(self):
        self.kinds = {document["kind"]: document for document in documents(FILE)}
        self.template = self.kinds["Deployment"]["spec"]["template"]
        self.pod = self.template["spec"]
        (self.container,) = self.pod["containers"]
        self.labels = self.template["metadata"]["labels"]
        self.env = {entry["name"]: entry.get("value", "10.1.2.3") for entry in self.container["env"]}
        self.env = {name: value.replace("$(POD_IP)", "10.1.2.3") for name, value in self.env.items()}

    def test_schemas(self):
        for version in ["1.27", "1.37"]:
            code, said = run(TOOLS / "kubernetes-validate", "--strict", "-k", version, DEPLOY / FILE)
            self.assertEqual(code, 0, said)
            self.assertEqual(said.count(" passed for resource "), len(self.kinds), said)

    def test_the_gateway_understands_it(self):
        environment = image_variables() | {name: value for name, value in self.env.items() if name != "POD_IP"}
        said = with_config(check(environment, self.kinds["ConfigMap"]["data"]), self.env["STOP_DELAY"])
        self.assertIn("Redis, redis://valkey:6379", said)
        self.assertEqual((self.env["CLUSTER_LISTEN"], self.env["CLUSTER_URL"]), ("10.1.2.3:7946", "http://10.1.2.3:7946"))

    def test_it_is_not_killed_before_it_has_ended(self):
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], longest_stop(self.env["STOP_DELAY"]))
        ready = self.container["readinessProbe"]
        notices = ready["periodSeconds"] * ready["failureThreshold"]
        self.assertGreater(longest_stop(self.env["STOP_DELAY"]) - longest_stop("0s"), notices)

    def test_probes_ask_what_they_should(self):
        paths = {name: self.container[name]["httpGet"] for name in ["startupProbe", "livenessProbe", "readinessProbe"]}
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.assertEqual(ports["http"], 3000, "the default")
        self.assertEqual({probe["port"] for probe in paths.values()}, {"http"})
        self.assertEqual(paths["readinessProbe"]["path"], "/ready")
        # A store that is down is no reason to start gateways anew.
        self.assertEqual({paths["startupProbe"]["path"], paths["livenessProbe"]["path"]}, {"/health"})

    def test_nobody_but_gateways_reaches_the_cluster_port(self):
        policy = self.kinds["NetworkPolicy"]["spec"]
        self.assertEqual(policy["podSelector"]["matchLabels"], self.labels)
        self.assertEqual(policy["policyTypes"], ["Ingress"])
        for rule in policy["ingress"]:
            ports = {port["port"] for port in rule["ports"]}
            if ports != {"http"}:
                self.assertEqual(ports, {"cluster"})
                self.assertEqual(rule["from"], [{"podSelector": {"matchLabels": self.labels}}])
        service = self.kinds["Service"]["spec"]
        self.assertEqual([port["targetPort"] for port in service["ports"]], ["http"])

    def test_selectors_find_the_pods(self):
        self.assertEqual(self.kinds["Deployment"]["spec"]["selector"]["matchLabels"], self.labels)
        self.assertEqual(self.kinds["Service"]["spec"]["selector"], self.labels)
        self.assertEqual(self.kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], self.labels)
        self.assertLess(self.kinds["PodDisruptionBudget"]["spec"]["minAvailable"], self.kinds["Deployment"]["spec"]["replicas"])

    def test_secrets_are_referred_to(self):
        self.assertNotIn("Secret", self.kinds)
        for name, value in self.env.items():
            if name.endswith(("SECRET", "PASSWORD")):
                self.fail(f"{name} stands in the manifest")
            if name.endswith("_FILE"):
                self.assertTrue(value.startswith("/run/secrets/portunus/"), name)
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        self.assertEqual(mounts["secrets"], "/run/secrets/portunus")

    def test_the_container_may_do_little(self):
        may = self.container["securityContext"]
        self.assertTrue(may["readOnlyRootFilesystem"])
        self.assertFalse(may["allowPrivilegeEscalation"])
        self.assertEqual(may["capabilities"], {"drop": ["ALL"]})
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        self.assertFalse(self.pod["automountServiceAccountToken"])
