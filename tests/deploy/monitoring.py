"""The dashboard's and the alerts' expressions, and a real Prometheus to ask them of."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stream.embedded.ports import LOOPBACK, free_ports
from tests.conftest import missing_part

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing_part(f"{name} of the package prometheus")
    return found or ""


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


@contextmanager
def prometheus_of(port: int, folder: Path) -> Iterator[str]:
    """The address of a real Prometheus with our alerts, that has scraped the worker at ``port`` three times."""
    settings = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(PROMETHEUS / "alerts.yaml")]
    settings["scrape_configs"] = [
        {"job_name": "nearline", "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}]}
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    own = free_ports(1)[0]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{own}",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://{LOOPBACK}:{own}"
    try:
        deadline = time.monotonic() + 120
        while not samples(url, "count(count_over_time(nearline_worker_info[5m]) >= 3)"):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)["data"]


def samples(url: str, expression: str) -> list[Any]:
    try:
        return list(ask(url, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"])
    except OSError:
        return []
