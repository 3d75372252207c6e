"""What needs a look, in words, with what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.web.live.beats import has_role, largest, total, versions_of
from console.web.live.stations import OLD_CHECKPOINT_S, is_behind
from console.web.words import amount, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from console.web.live.accounts import PartitionAccount
    from console.web.live.watch import Watch
    from stream.metrics.heartbeat import Beat

__all__ = ["Finding", "findings"]

_BELOW_MODEL = 0.2
_DEAD_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: ``bad`` or ``warn``, what, and what to do."""

    level: str
    what: str
    act: str = ""


def findings(
    watch: Watch,
    beats: Sequence[Beat],
    accounts: Sequence[PartitionAccount],
    rungs: list[tuple[str, float, float]],
    broker: str = "",
) -> list[Finding]:
    """What needs a look now; ``rungs`` with slates so far and a second, ``broker`` why it does not answer."""
    found: list[Finding] = []
    if broker:
        found.append(
            Finding(
                "bad",
                f"The broker does not answer. {broker}",
                "No event is lost: producers keep what they cannot send, and workers go on where they stopped. Slates "
                "in Redis are served as before.",
            )
        )
    for beat, seconds in watch.lost():
        found.append(
            Finding(
                "bad",
                f"Worker {beat.worker} ({', '.join(beat.roles)}) fell silent {span(seconds)} ago.",
                "Its partitions move to the others within seconds; see its log, and start it again.",
            )
        )
    for role, does in (("gate", "Events wait on their topics."), ("infer", "Triggers wait on their topic.")):
        if not has_role(beats, role):
            found.append(
                Finding(
                    "bad",
                    f"No worker with the role {role} runs. {does}",
                    f"Start one: nearline worker --roles {role}.",
                )
            )
    broken = [one.partition for one in accounts if not one.holds]
    if broken:
        found.append(
            Finding(
                "bad",
                f"The accounting of partition {', '.join(broken)} does not add up.",
                "This is a defect: keep the log and nl:offsets of the partition, and stop the worker.",
            )
        )
    found += _figures(watch, beats)
    below = sum(rate for name, _, rate in rungs if name != "llm")
    whole = sum(rate for _, _, rate in rungs)
    if whole and below / whole > _BELOW_MODEL:
        found.append(
            Finding(
                "warn",
                f"{below / whole:.0%} of the slates of the last seconds are from below the language model.",
                "The model is slow or away: see its server, or lower the rate of triggers.",
            )
        )
    for what, values in versions_of(beats).items():
        if len(values) > 1 and what != "nearline":
            found.append(
                Finding(
                    "warn",
                    f"Workers differ in {what}: {', '.join(values)}.",
                    "Normal for a moment after a change.",
                )
            )
    return found


def _figures(watch: Watch, beats: Sequence[Beat]) -> Iterable[Finding]:
    """What single figures say."""
    lag = total(beats, "nearline_event_lag")
    received = watch.per_second("nearline_events_received_total")
    if is_behind(lag, received):
        yield Finding(
            "warn",
            f"{amount(lag)} events wait on their topics.",
            "The gate catches up, or needs more workers, up to the number of partitions.",
        )
    checkpoint = largest(beats, "nearline_checkpoint_age_seconds")
    if checkpoint is not None and checkpoint > OLD_CHECKPOINT_S:
        yield Finding(
            "bad",
            f"The last checkpoint is {span(checkpoint)} old.",
            "Redis does not take writes; nothing is lost yet.",
        )
    dead, came = (
        watch.grew("nearline_events_total", outcome="dead"),
        watch.grew("nearline_events_received_total"),
    )
    if came and dead / came > _DEAD_SHARE:
        yield Finding(
            "warn",
            f"{dead / came:.1%} of the events of the last seconds cannot be used.",
            "See Dead events for their reasons; a producer may have changed.",
        )
    for metric, what in (
        ("nearline_rules_refused", "A worker refuses the newest rules and keeps those before."),
        ("nearline_index_refused", "A worker refuses the newest index and serves the last one."),
    ):
        if total(beats, metric):
            yield Finding("bad", what, "Its log names the reason.")
    if total(beats, "nearline_breaker_state", state="open"):
        yield Finding("bad", "The model is left alone after failing several times.", "See the model server.")
