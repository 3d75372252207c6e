"""The samples of one scrape, checked against the descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from stream.metrics.described import METRICS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stream.metrics.described import Metric, Part
    from stream.metrics.latency import Latency

__all__ = ["MOST_LABELS", "Family", "Readings", "bounded"]

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

MOST_LABELS = 200
_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


class Readings:
    """Takes samples of the metrics of some parts; each part's metrics are there, also without a sample.

    Attributes:
        values: every sample as ``name{label="value"}``; of a histogram its ``_sum``, ``_count`` and, where there is
            one, its percentiles as ``name_p50`` and so on.
    """

    def __init__(self, parts: Collection[Part]) -> None:
        self._metrics = {metric.name: metric for metric in METRICS if metric.part in parts}
        self._singles = {m.name: _single(m) for m in self._metrics.values() if m.kind != "histogram"}
        self._times = {
            m.name: HistogramMetricFamily(m.name, m.meaning, labels=m.labels)
            for m in self._metrics.values()
            if m.kind == "histogram"
        }
        self.values: dict[str, float] = {}

    @property
    def families(self) -> Iterable[Family]:
        """The metrics with their samples, as `prometheus_client` wants them."""
        return [*self._singles.values(), *self._times.values()]

    def say(self, name: str, value: float, **labels: str) -> None:
        """Take one sample of a counter or gauge. Raises ``KeyError`` where metric or label is not described."""
        values = self._labels(name, labels)
        self._singles[name].add_metric(values, value)
        self.values[_key(name, labels)] = value

    def say_all(self, name: str, counts: Mapping[str, float], label: str) -> None:
        """Take a sample for each entry, under one label."""
        for value, count in counts.items():
            self.say(name, count, **{label: value})

    def times(self, name: str, latency: Latency, **labels: str) -> None:
        """Take a histogram of seconds."""
        values = self._labels(name, labels)
        self._times[name].add_metric(values, buckets=latency.cumulative(), sum_value=latency.total_s)
        self.values[_key(name + "_sum", labels)] = latency.total_s
        self.values[_key(name + "_count", labels)] = float(latency.count)
        for suffix, share in _QUANTILES:
            found = latency.quantile(share)
            if found is not None:
                self.values[_key(f"{name}_{suffix}", labels)] = found

    def _labels(self, name: str, labels: Mapping[str, str]) -> list[str]:
        wanted = self._metrics[name].labels
        if labels.keys() != set(wanted):
            raise KeyError(f"{name} has the labels {', '.join(wanted)}; got {', '.join(labels)}")
        return [labels[label] for label in wanted]


def bounded(counts: dict[str, int], name: str, most: int = MOST_LABELS) -> None:
    """Count ``name``; where ``most`` names are there already, a new one counts as ``other``."""
    if name not in counts and len(counts) >= most:
        name = "other"
    counts[name] = counts.get(name, 0) + 1


def _single(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name.removesuffix("_total"), metric.meaning, labels=metric.labels)


def _key(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    inside = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{inside}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
