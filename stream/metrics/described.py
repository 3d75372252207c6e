"""Every metric of a worker: what it is called, what it says, and what to do when it moves.

Nothing is exported that is not described here, and the page docs/metrics.md is made from it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["METRICS", "Kind", "Metric", "Part"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Part: TypeAlias = Literal["worker", "gate", "infer"]


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: as Prometheus shows it; counters end in ``_total``, times are in seconds.
        part: which workers have it: all, those with the role gate, those with the role infer.
        labels: their names.
        meaning: what a sample says.
        act: what to do when it moves.
    """

    name: str
    kind: Kind
    part: Part
    labels: tuple[str, ...]
    meaning: str
    act: str


_NOTHING = "Nothing by itself; it explains the others."

METRICS: Final[tuple[Metric, ...]] = (
    # Every worker
    Metric(
        "nearline_worker_info", "gauge", "worker", ("worker", "version", "roles"),
        "1; the labels say who this is: name of the worker, version of Nearline, roles.",
        "Two versions for longer than a roll-out takes: finish it.",
    ),
    Metric(
        "nearline_worker_started_timestamp_seconds", "gauge", "worker", (),
        "When the worker started, seconds since 1970.",
        "It moves when a worker was started again: see its last log lines for why.",
    ),
    Metric(
        "nearline_worker_ready", "gauge", "worker", ("check",),
        "1 where the part of the worker has its partitions, else 0; the same as /health/ready.",
        "0 for minutes: broker or Redis away, or fewer partitions than workers.",
    ),
    Metric(
        "nearline_process_cpu_seconds_total", "counter", "worker", (),
        "CPU time of the worker's process, user and system.",
        "A rate near 1 is a full core: add workers, up to the number of partitions.",
    ),
    Metric(
        "nearline_process_resident_memory_bytes", "gauge", "worker", (),
        "Memory of the worker's process.",
        "Grows beyond the container's limit: lower `stream.gate.max_memory_mb`.",
    ),
    # Gate
    Metric(
        "nearline_events_received_total", "counter", "gate", ("partition",),
        "Events taken in from a partition since this worker took it over, whatever became of them.",
        "Flat while the lag grows: the gate stands; see its log for the broker or Redis.",
    ),
    Metric(
        "nearline_events_total", "counter", "gate", ("partition", "outcome"),
        "What became of them: `applied`, `duplicate`, `late` or `dead`. The four add up to those received.",
        "Many duplicates: a producer sends twice. Many late: producers buffer, or clocks differ; see "
        "`stream.gate.lateness_s`.",
    ),
    Metric(
        "nearline_events_limited_total", "counter", "gate", ("partition",),
        "Applied events that were only counted, because their shopper had more than "
        "`stream.gate.user_events_per_minute`.",
        "It rises: a scraper. Nothing need be done for Nearline; the shop may want to block it.",
    ),
    Metric(
        "nearline_event_fields_dropped_total", "counter", "gate", ("partition",),
        "Optional fields that could not be used and were left out; above all items that the catalogue does not have.",
        "It rises with the rate of events: the catalogue is older than the shop's. Publish it again.",
    ),
    Metric(
        "nearline_accounting", "gauge", "gate", ("partition", "kind"),
        "The partition's accounting since its first event, over all its owners: `received`, `applied`, `duplicate`, "
        "`late`, `dead`, `triggers`. It is in every checkpoint.",
        _NOTHING,
    ),
    Metric(
        "nearline_accounting_holds", "gauge", "gate", ("partition",),
        "1 while received = applied + duplicate + late + dead, and no more is accounted for than the source has "
        "read from the broker since the take-over; else 0.",
        "0 is a defect of Nearline: events were lost or counted twice. Keep the log and the partition's key "
        "`nl:offsets:{pN}`, and stop the worker; its checkpoint is whole.",
    ),
    Metric(
        "nearline_dead_events_total", "counter", "gate", ("reason",),
        "Events put on the dead topic, by reason (`stream.events.Defect`).",
        "`nearline dead list` shows them. One reason and one topic: a producer changed. After mending, "
        "`nearline dead redrive`.",
    ),
    Metric(
        "nearline_cloud_events_total", "counter", "gate", ("topic",),
        "Events that came in a CloudEvents envelope.",
        _NOTHING,
    ),
    Metric(
        "nearline_event_lag", "gauge", "gate", ("topic", "partition"),
        "Events on the broker that are not applied yet.",
        "It grows for minutes: more events than the gate can take. Add gate workers up to the number of partitions. "
        "One partition only: a hot shopper, or a worker that stands.",
    ),
    Metric(
        "nearline_events_waiting", "gauge", "gate", (),
        "Events read and not applied yet.",
        "Near the product of four and `stream.gate.batch_events`: Redis or the broker of the triggers is slow.",
    ),
    Metric(
        "nearline_records_unacknowledged", "gauge", "gate", (),
        "Triggers and dead events that the broker has not acknowledged.",
        "It stays above 0: the broker is slow, or too few replicas are in sync.",
    ),
    Metric(
        "nearline_triggers_total", "counter", "gate", ("rule",),
        "Triggers published, by rule. Beyond 200 rules the rest is `other`.",
        "A jump after a change of rules: `nearline rules rollback`. None at all: see whether events are applied.",
    ),
    Metric(
        "nearline_event_to_trigger_seconds", "histogram", "gate", (),
        "From the moment the event was sent (its Kafka timestamp) until its trigger was made.",
        "Above a quarter of a second while the lag is small: the merge waits for a slow topic, or the worker's core "
        "is taken. With lag: see `nearline_event_lag`.",
    ),
    Metric(
        "nearline_checkpoint_age_seconds", "gauge", "gate", (),
        "Since the last checkpoint was written; none before the first.",
        "It grows: Redis does not take writes. Until it does, a crash repeats work from the last checkpoint; nothing "
        "is lost.",
    ),
    Metric(
        "nearline_checkpoint_seconds", "histogram", "gate", (),
        "How long checkpoints took to write.",
        "Above a tenth of a second at live rates: Redis or the way to it is slow.",
    ),
    Metric(
        "nearline_checkpoint_bytes_total", "counter", "gate", (),
        "Bytes of shoppers' states written in checkpoints.",
        "For sizing Redis' network and append-only file.",
    ),
    Metric(
        "nearline_checkpoint_states_total", "counter", "gate", (),
        "Shoppers' states written in checkpoints.",
        _NOTHING,
    ),
    Metric(
        "nearline_users_in_memory", "gauge", "gate", ("partition",),
        "Shoppers whose activity is in memory.",
        _NOTHING,
    ),
    Metric(
        "nearline_users_memory_bytes", "gauge", "gate", (),
        "About how much memory they take; kept under `stream.gate.max_memory_mb`.",
        "At the limit with many evictions: raise it, or add workers.",
    ),
    Metric(
        "nearline_users_evicted_total", "counter", "gate", (),
        "Shoppers forgotten to stay within the memory; they are read back when they return.",
        "A high rate beside many reads of Redis: the memory is too small for the active shoppers.",
    ),
    Metric(
        "nearline_rules_version", "gauge", "gate", (),
        "Number of the newest rules this worker knows; 0 for the rules file.",
        "Workers differ for more than a second: one has lost Redis, or refuses the version (below).",
    ),
    Metric(
        "nearline_rules_version_in_force", "gauge", "gate", ("partition",),
        "Number of the rules that the partition is evaluated by.",
        "Behind the newest for minutes: its owner has not caught up since a crash.",
    ),
    Metric(
        "nearline_rules_refused", "gauge", "gate", (),
        "1 while this worker cannot read the newest rules and keeps those before; else 0.",
        "1: the log names the rule and field. Mend it with `nearline rules set`.",
    ),
    # Inference
    Metric(
        "nearline_trigger_lag", "gauge", "infer", (),
        "Triggers on the broker that this worker has not served yet, as of its last batch.",
        "It grows: add infer workers or make the model faster. Only each shopper's newest is thought about.",
    ),
    Metric(
        "nearline_triggers_served_total", "counter", "infer", ("outcome",),
        "What became of triggers: `served`, `superseded` by a newer one, `duplicate` after a crash, or `dead`.",
        "Dead: `nearline dead list` has them with the reason. Mostly superseded: inference is behind.",
    ),
    Metric(
        "nearline_slates_total", "counter", "infer", ("rung",),
        "Slates written, by rung of the ladder: `llm`, `cached`, `preference`, `popular`.",
        "Rungs below `llm`: the model is slow or away; see `nearline_breaker_state` and the model server.",
    ),
    Metric(
        "nearline_stage_seconds", "histogram", "infer", ("stage",),
        "Time by stage from trigger to slate: `queue` (until read), `prepare` (reading what was served), `profile`, "
        "`model` (the batch's call), `judge`, `encode`, `search`, `rank`, `recall` (the three with their joining), "
        "`write`, and `total` (trigger made to slate in Redis).",
        "`queue`: too few workers. `model`: the model server. `encode`, `search`, `rank`: the machine's cores are "
        "taken. `write`: Redis.",
    ),
    Metric(
        "nearline_event_to_slate_seconds", "histogram", "infer", (),
        "From the moment the event was sent until the slate was in Redis.",
        "What a shopper feels. See which of `nearline_event_to_trigger_seconds` and `nearline_stage_seconds` moved.",
    ),
    Metric(
        "nearline_model_tokens_total", "counter", "infer", ("direction",),
        "Tokens of the shopper's own part of prompts (`in`) and of answers (`out`).",
        "For sizing the model server.",
    ),
    Metric(
        "nearline_breaker_state", "gauge", "infer", ("state",),
        "1 for the state that the model's circuit breaker is in: `closed`, `open` or `half-open`; 0 for the others.",
        "Open: the model failed several times in a row and is left alone; the log says why.",
    ),
    Metric(
        "nearline_demands_total", "counter", "infer", ("verdict",),
        "Queries that the model wrote: `kept` or `rejected`.",
        _NOTHING,
    ),
    Metric(
        "nearline_demands_rejected_total", "counter", "infer", ("reason",),
        "Those rejected by cleaning or the judge, by reason (`agents.demand.Reason`).",
        "`judged` rises: the model writes what the catalogue does not have, or the judge's calibration is old. "
        "`copy of the input` rises: the prompt or the model changed.",
    ),
    Metric(
        "nearline_slate_places_total", "counter", "infer", ("channel",),
        "Places of slates, by the channel that found the item.",
        "A channel at 0 that had a share: what it needs is missing; the log at start says what.",
    ),
    Metric(
        "nearline_slate_discovery_places_total", "counter", "infer", ("kind",),
        "Places of slates with an item that is `new` to the shop, and of a category the shopper has not touched "
        "(`unseen_category`); an item can be both. Divided by all places it is the share of discovery.",
        "Far from `index.recall.discovery_share`: few new items, or shoppers without categories.",
    ),
    Metric(
        "nearline_items", "gauge", "infer", (),
        "Items that can be recalled.",
        "A drop: removals on the `catalog` topic, or a new version with fewer items.",
    ),
    Metric(
        "nearline_index_version", "gauge", "infer", (),
        "Number of the version of the index that serves; 0 for a catalogue that was only built.",
        "Workers differ for minutes: one refuses the new version (below).",
    ),
    Metric(
        "nearline_index_switches_total", "counter", "infer", (),
        "Versions of the index taken up while serving.",
        _NOTHING,
    ),
    Metric(
        "nearline_index_refused", "gauge", "infer", (),
        "1 while this worker refuses the newest version and serves the last one; else 0.",
        "1: /stats and the log say why. Build it again; the last one goes on serving.",
    ),
    Metric(
        "nearline_catalog_changes_total", "counter", "infer", ("outcome",),
        "Changes read from the `catalog` topic since the version was taken up: `applied` or `rejected`.",
        "Rejected: `nearline dead list` has them with the reason.",
    ),
    Metric(
        "nearline_catalog_delta_items", "gauge", "infer", ("kind",),
        "Changes kept beside the version: `changed` in all, `new` rows, and `not_offered` (removed or sold out).",
        "Far above `stream.catalog.fold_at`: folding fails; the log says why.",
    ),
    Metric(
        "nearline_model_info", "gauge", "infer", ("model", "runtime", "prompt"),
        "1; the labels say which model, runtime and version of the prompt serve.",
        "Two values for longer than a roll-out takes: finish it.",
    ),
)  # fmt: skip
"""All metrics, in the order of the page."""
