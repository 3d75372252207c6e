"""Writes docs/metrics.md from the descriptions: ``python -m stream.metrics.page``."""

from __future__ import annotations

import sys
from typing import Final

from stream.metrics.described import METRICS
from stream.metrics.latency import BOUNDS_S

__all__ = ["metrics_page"]

_HEAD = """# Metrics

Every worker has its metrics on `/metrics` of its port (`stream.web`), for Prometheus, and every two seconds in Redis under
`nl:worker:{name}` (contract: [heartbeat](contracts/heartbeat.schema.json)), where the console reads them. This page is
generated from the descriptions that the worker exports by (`make docs`); nothing else is exported.

Reading them costs an event nothing: the gate's own counts are read when somebody asks. Labels are bounded: partitions, topics,
stages and outcomes are few; rules are at most 200, more are counted as `other`. No label has a shopper, an item or a query.

Counters of a partition begin at 0 when a worker takes it over, so `rate()` is right across restarts and moves; the
accounting since the partition's first event is `nearline_accounting`.

`deploy/prometheus/alerts.yaml` has the alerts, `deploy/grafana/dashboards/nearline.json` the dashboard; both name only
metrics of this page. `docker-compose.yml` starts Prometheus and Grafana with them.
"""
_TITLES: Final = {
    "worker": "Every worker",
    "gate": "Gate: events to triggers",
    "infer": "Infer: triggers to slates",
}


def metrics_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for part, title in _TITLES.items():
        parts += ["", f"## {title}", "", "| metric | kind | labels | meaning | when it moves |"]
        parts.append("| --- | --- | --- | --- | --- |")
        for metric in METRICS:
            if metric.part == part:
                labels = ", ".join(f"`{label}`" for label in metric.labels)
                cells = (f"`{metric.name}`", metric.kind, labels, metric.meaning, metric.act)
                parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    bounds = ", ".join(f"{bound:g}" for bound in BOUNDS_S)
    parts += [
        "",
        "## Histograms",
        "",
        f"All are in seconds, with buckets up to {bounds} and above; `histogram_quantile` interpolates between them.",
        "The heartbeat has each one's `_sum`, `_count` and, reckoned in the same way, `_p50`, `_p95` and `_p99`.",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
