"""The gate role of a replay's worker: the live one, but rules change at their recorded offsets and no clock is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stream.gate.agent import GateAgent
from stream.gate.gate import Outcome
from stream.gate.role import GateRole
from stream.gate.rules.conditions import CompiledRules
from stream.gate.rules.in_force import begin
from stream.gate.rules.ruleset import parse_rules
from stream.replay.errors import WireError
from stream.replay.fired import by_rules, placed
from stream.replay.rules_kept import Stretch, stretches_of
from stream.replay.wire.messages import PlacedTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.gate.gate import Arrival, Gate, Partition
    from stream.gate.rules.live import LiveRules
    from stream.gate.state.checkpoint import CheckpointStore
    from stream.replay.wire.plan import Plan

__all__ = ["RecordedRules", "ReplayedGate", "ReplayedGateRole"]


class RecordedRules:
    """The rules of a plan, in the place of :class:`~stream.gate.rules.live.LiveRules`: they follow no book."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._otherwise = parse_rules(plan.rules, "the rules of the replay", strict=False)
        self.seed = self.newest = CompiledRules(self._otherwise)
        self.refused: tuple[int, str] | None = None

    async def start(self) -> None:
        """Nothing to find out."""

    async def refresh(self) -> bool:
        """Nothing is ever new."""
        return False

    def stretches(self, number: int) -> list[Stretch]:
        """The rules of a partition, each with the offsets from which it evaluates events."""
        if self._plan.given:
            return [Stretch(self.seed, begin(self.seed), {})]
        return stretches_of(self._plan.kept, number, self._otherwise)


class ReplayedGate(GateAgent):
    """Applies batches under the rules that each event stood under; a trigger is made when its event happened."""

    _stretches: dict[int, list[Stretch]]

    def replay(self, rules: RecordedRules) -> None:
        """Follow these; called once, before a partition is taken over."""
        self._recorded = rules
        self._stretches = {}

    async def change_rules(self) -> int:
        """Nothing to change: what an event stands under is decided by its offset."""
        return 0

    async def _enter(self, partition: Partition) -> None:
        """Under the rules of the checkpoint, or the first ones."""
        stretches = self._recorded.stretches(partition.number)
        if partition.in_force is not None:
            while stretches[0].in_force.generation < partition.in_force.generation:
                del stretches[0]
        partition.rules, partition.in_force = stretches[0].rules, stretches[0].in_force
        partition.settled = True
        self._stretches[partition.number] = stretches

    def _evaluate(self, partition: Partition, batch: Sequence[Arrival]) -> Outcome:
        found = Outcome()
        for run in by_rules(partition, batch, self._stretches[partition.number]):
            outcome = self._gate.apply(partition, run, 0)
            found.dead += outcome.dead
            found.reasons += outcome.reasons
            found.fired += outcome.fired
            for at, trigger in placed(outcome):
                value = PlacedTrigger(**msgspec.structs.asdict(trigger), place=at)
                found.triggers.append((trigger.user.encode(), msgspec.json.encode(value)))
        return found


class ReplayedGateRole(GateRole):
    """The live role with the rules and the agent of a replay."""

    def _make_rules(self) -> LiveRules:
        plan = self._worker.plan
        if plan is None:
            raise WireError("This worker has no plan.", way_out="Start it with --replay PLAN.")
        self._future_from = plan.until
        return RecordedRules(plan)  # type: ignore[return-value]  # answers what is asked of it here

    def _make_agent(self, gate: Gate, store: CheckpointStore) -> GateAgent:
        stream = self._worker.stream
        agent = ReplayedGate(gate, store, self._outbox, self.rules, stream.kafka, stream.gate)
        agent.replay(self.rules)  # type: ignore[arg-type]  # made above
        return agent
