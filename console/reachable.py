"""Whether rules can fire on the topics that are configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.errors import RulesError
from stream.events import EVENT_TYPES
from stream.gate.rules.checks import unreachable

if TYPE_CHECKING:
    from stream.gate.rules.ruleset import RuleSet
    from stream.settings import KafkaSettings

__all__ = ["refuse_unreachable"]


def refuse_unreachable(ruleset: RuleSet, source: str, kafka: KafkaSettings) -> None:
    """Return if each rule can fire on what the topics of ``kafka`` bring; ``source`` is what errors call the rules.

    Raises:
        RulesError: naming the rules that never can.
    """
    types = {kind for kind in EVENT_TYPES if kafka.topic_of(kind) is not None}
    found = [(rule.id, finding) for rule in ruleset.rules for finding in unreachable(rule, types)]
    if found:
        raise RulesError(
            "\n".join(f"{source}: rule {name}: {finding.what}." for name, finding in found),
            way_out="Nothing was changed; correct the rule, or configure the topic.",
        )
