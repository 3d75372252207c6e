"""The roles of a worker that works on a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.gate.role import add_gate
from stream.replay.wire.gate import ReplayedGateRole
from stream.worker import Role

if TYPE_CHECKING:
    from collections.abc import Collection

    from stream.replay.wire.plan import Plan
    from stream.worker import Worker

__all__ = ["add_replayed"]


def add_replayed(worker: Worker, plan: Plan, roles: Collection[Role]) -> None:
    """Let ``worker`` play these roles in a replay; errors as those of the live ones."""
    if Role.GATE in roles:
        add_gate(worker, ReplayedGateRole)
    if Role.INFER in roles:
        from stream.replay.wire.infer import add_replayed_infer  # noqa: PLC0415  # loads models and index

        add_replayed_infer(worker, plan)
