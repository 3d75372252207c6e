"""Alerts, Prometheus' configuration and the dashboard are accepted, and name only metrics that workers have."""

from __future__ import annotations

import re
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from stream.embedded.ports import LOOPBACK
from stream.metrics.described import METRICS
from stream.metrics.latency import Latency
from stream.metrics.worker import CONTENT_TYPE, WorkerMetrics
from tests.deploy.monitoring import (
    DEPLOY,
    PROMETHEUS,
    ask,
    dashboard,
    expressions,
    program,
    prometheus_of,
    samples,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.metrics.readings import Readings

pytestmark = pytest.mark.real

NAME = re.compile(r"\bnearline_[a-z_]+")
BY_NAME = {metric.name: metric for metric in METRICS}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    promtool = program("promtool")
    for command in (("check", "config"), ("check", "rules")):
        file = "prometheus.yml" if command[1] == "config" else "alerts.yaml"
        done = run(promtool, *command, str(PROMETHEUS / file))
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_none_when_all_is_well() -> None:
    done = run(program("promtool"), "test", "rules", str(PROMETHEUS / "alerts.test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yaml").read_text())["tests"]
    alerts = {name for name in expressions() if name.startswith("Nearline")}
    for one in tests:
        assert {case["alertname"] for case in one["alert_rule_test"]} == alerts, one["name"]


def test_alerts_and_dashboard_name_only_metrics_that_workers_have_with_labels_that_they_have() -> None:
    for where, expression in expressions().items():
        for name in NAME.findall(expression):
            bare = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in BY_NAME or (bare in BY_NAME and BY_NAME[bare].kind == "histogram"), (where, name)
        for name, inside in re.findall(r"(nearline_[a-z_]+)\{([^}]*)\}", expression):
            metric = BY_NAME.get(name) or BY_NAME[re.sub(r"_(bucket|sum|count)$", "", name)]
            used = set(re.findall(r"([a-z_]+)[!=]", inside)) - {"instance", "le"}
            assert used <= set(metric.labels), (where, name, used)


def everything(readings: Readings) -> None:
    """A sample of every metric of a worker with both roles."""
    latency = Latency()
    for ms in (3, 40, 900):
        latency.note(ms / 1000)
    for metric in METRICS:
        if metric.part == "worker":
            continue
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind == "histogram":
            readings.times(metric.name, latency, **{**labels, **({"stage": "total"} if labels else {})})
        else:
            readings.say(metric.name, 1, **labels)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus with our alerts, which scrapes a page as workers have it."""
    metrics = WorkerMetrics("w", ["gate", "infer"], {"gate": lambda: True})
    metrics.add("gate", everything)
    metrics.add("infer", lambda _: None)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.exposition().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    page = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    try:
        with prometheus_of(page.server_port, tmp_path_factory.mktemp("prometheus")) as url:
            yield url
    finally:
        page.shutdown()


def test_prometheus_loads_the_alerts_and_answers_every_panel_of_the_dashboard(prometheus: str) -> None:
    rules = ask(prometheus, "/api/v1/rules")["groups"][0]["rules"]
    assert {rule["name"] for rule in rules} == {n for n in expressions() if n.startswith("Nearline")}
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    for where, expression in expressions().items():
        # Only whether it can be reckoned: a rate of nothing is no number, and an alert at rest has no sample.
        answer = ask(prometheus, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        assert answer["resultType"] == "vector", where
    assert samples(prometheus, "min(nearline_accounting_holds)")[0]["value"][1] == "1"


def test_the_dashboard_uses_the_provisioned_data_source_and_no_panel_covers_another() -> None:
    source = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"][0]
    board = dashboard()
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        at = panel["gridPos"]
        mine = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not mine & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= mine
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": source["type"], "uid": source["uid"]}
