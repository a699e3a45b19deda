"""The metrics as Prometheus takes them: Debian's own scrapes a gateway, and answers every query of the alerts and the dashboard.

Run by `./test telemetry`. Nobody signs in at the gateway: what is counted then is tried by crates/gateway/tests/ops/metrics.rs.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEPLOY = ROOT / "deploy/prometheus"
PORTUNUS = ROOT / "target/debug/portunus"
# A gateway whose provider nobody can reach.
CONFIG = """
public_url: http://localhost:{port}
listen: 127.0.0.1:{port}
auth_secret: not-a-secret-but-long-enough-for-a-test
providers:
  - {{name: company, issuer: "http://127.0.0.1:{nobody}", client_id: portunus, client_secret: not-a-secret}}
proxies:
  - {{pattern: /mcp/legacy/, target_url: "http://127.0.0.1:{nobody}"}}
metrics: {{listen: "127.0.0.1:{metrics}"}}
"""
# Of everything that is waited for. A machine that is busy takes longer than one would think.
PATIENCE = 60


def free_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, found):
    for _ in range(PATIENCE * 4):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            value = found()
            if value:
                return value
        time.sleep(0.25)
    raise AssertionError(f"waited in vain: {what}")


@contextlib.contextmanager
def running(command, folder, log):
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def alerts():
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries():
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in queries]


def metrics_of(query):
    return set(re.findall(r"\b(?:portunus|process)_[a-z_]+", query))


class Prometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = Path(os.environ["SCRATCH"])
        scratch.mkdir(parents=True, exist_ok=True)
        cls.exits = contextlib.ExitStack()
        folder = Path(cls.exits.enter_context(tempfile.TemporaryDirectory(dir=scratch)))
        cls.metrics, port = free_port(), free_port()
        (folder / "config.yaml").write_text(CONFIG.format(port=free_port(), nobody=free_port(), metrics=cls.metrics))
        cls.exits.enter_context(
            running(
                [PORTUNUS, "serve", "--config", "config.yaml"],
                folder,
                scratch / "gateway.log",
            )
        )
        cls.page = wait_for("the metrics are served", lambda: get(f"http://127.0.0.1:{cls.metrics}/metrics"))
        settings = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["rule_files"] = [str(DEPLOY / name) for name in settings["rule_files"]]
        settings["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{cls.metrics}"]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
        cls.exits.enter_context(
            running(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                folder,
                scratch / "prometheus.log",
            )
        )
        cls.prometheus = f"http://127.0.0.1:{port}"
        wait_for("the gateway is scraped", lambda: cls.query('up{job="portunus"} == 1'))

    @classmethod
    def tearDownClass(cls):
        cls.exits.close()

    @classmethod
    def query(cls, query):
        answer = json.loads(get(f"{cls.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def test_the_files_are_what_prometheus_reads(self):
        for command in (["check", "config", "prometheus.yaml"], ["check", "rules", "alerts.yaml"]):
            done = subprocess.run(["promtool", *command], cwd=DEPLOY, capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_alert_is_raised_by_what_it_is_for(self):
        done = subprocess.run(["promtool", "test", "rules", "alerts.yaml"], cwd=HERE, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tests = yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"]
        tried = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
        self.assertEqual(tried, {rule["alert"] for rule in alerts()})

    def test_the_page_is_sound(self):
        done = subprocess.run(["promtool", "check", "metrics"], input=self.page, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_every_query_is_answered_and_asks_for_what_there_is(self):
        documented = (ROOT / "docs/metrics.md").read_text()
        queries = [rule["expr"] for rule in alerts()] + dashboard_queries()
        for query in queries:
            with self.subTest(query=query):
                self.query(query)
                for metric in metrics_of(query):
                    self.assertIn(f"`{re.sub('_bucket$', '', metric)}`", documented)
        self.assertGreaterEqual(len(queries), 20)
        for query in ("portunus_build_info", "process_resident_memory_bytes", 'portunus_store_seconds_count{kind="read"}'):
            self.assertTrue(self.query(query), query)

    def test_every_metric_of_the_page_is_documented_and_the_reverse(self):
        documented = set(re.findall(r"`((?:portunus|process)_[a-z_]+)`", (ROOT / "docs/metrics.md").read_text()))
        served = set(re.findall(r"^# TYPE (\S+)", self.page, re.MULTILINE))
        # With SQLite there are no other gateways.
        self.assertEqual(documented, served | {"portunus_node_is_member"})

    def test_no_alert_is_on_at_a_gateway_that_is_well(self):
        wait_for("the rules are evaluated", lambda: self.query('up{job="portunus"}'))
        self.assertEqual(self.query('ALERTS{alertstate="firing"}'), [])


if __name__ == "__main__":
    unittest.main()
