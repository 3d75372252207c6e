"""Alerts, Prometheus' configuration and the dashboard are accepted, and name only metrics that workers have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from stream.embedded.ports import LOOPBACK, free_ports
from stream.metrics.described import METRICS
from stream.metrics.latency import Latency
from stream.metrics.worker import CONTENT_TYPE, WorkerMetrics
from tests.conftest import missing_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.metrics.readings import Readings

pytestmark = pytest.mark.real

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
NAME = re.compile(r"\bnearline_[a-z_]+")
BY_NAME = {metric.name: metric for metric in METRICS}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing_part(f"{name} of the package prometheus")
    return found or ""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DEPLOY / "grafana" / "dashboards" / "nearline.json").read_text()))


def expressions() -> dict[str, str]:
    """Every expression of the alerts and of the dashboard, with the dashboard's variables filled in."""
    rules = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"][0]["rules"]
    found = {rule["alert"]: rule["expr"] for rule in rules}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            told = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
            found[f"{panel['title']} {target['refId']}"] = told
    for note in dashboard()["annotations"]["list"]:
        found[note["name"]] = note["expr"]
    return found


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
    folder = tmp_path_factory.mktemp("prometheus")
    settings = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(PROMETHEUS / "alerts.yaml")]
    settings["scrape_configs"] = [
        {"job_name": "nearline", "static_configs": [{"targets": [f"{LOOPBACK}:{page.server_port}"]}]}
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_ports(1)[0]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://{LOOPBACK}:{port}"
    try:
        deadline = time.monotonic() + 60
        while not samples(url, "count(count_over_time(nearline_events_received_total[5m]) >= 3)"):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        page.shutdown()


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)["data"]


def samples(url: str, expression: str) -> list[Any]:
    try:
        return list(ask(url, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"])
    except OSError:
        return []


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
