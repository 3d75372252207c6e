"""One shopper's chain in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.slates import Trace

__all__ = ["tell"]

_DID = {
    "view": "looked at",
    "click": "clicked on",
    "search": "searched for",
    "favorite": "saved",
    "cart": "put into the cart",
    "order": "bought",
    "inquiry": "asked about",
    "image_search": "searched by picture for",
    "impression": "was shown",
}
_MOST_ACTS = 8
_MOST_ITEMS = 8


def tell(trace: Trace) -> list[str]:
    """The story of ``trace``, a paragraph a string."""
    acts = [event for event in trace.events if event["type"] != "impression"][-_MOST_ACTS:]
    day = datetime.fromtimestamp(acts[-1]["ts"] / 1000, tz=UTC).strftime("%A %d %B %Y") if acts else ""
    did = _sentence([f"{_DID.get(act['type'], act['type'])} “{act['text']}”" for act in _merged(acts)])
    paragraphs = [
        f"Shopper {trace.user}, {day}. Lately they {did}.",
        f"That made the rule “{trace.fired['rule']}” fire.",
    ]
    demands = [f"“{demand['query']}”" for demand in trace.demands]
    if trace.rung == "llm":
        paragraphs.append(f"The language model inferred that they may next want {_sentence(demands)}.")
    elif demands:
        paragraphs.append(
            f"Without the language model (rung “{trace.rung}”), the demands were {_sentence(demands)}."
        )
    if trace.rejected:
        thrown = _sentence([f"“{r['query']}” ({r['reason']})" for r in trace.rejected])
        paragraphs.append(f"Thrown out again: {thrown}.")
    shown = [f"“{candidate['title']}”" for candidate in _by_title(trace.candidates)[:_MOST_ITEMS]]
    paragraphs.append(
        f"They would be shown {_sentence(shown)}, and more: {len(trace.candidates)} items in all."
    )
    return paragraphs


def _merged(acts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Acts without immediate repetitions."""
    return [
        act
        for act, before in zip(acts, [None, *acts], strict=False)
        if before is None or (act["type"], act["text"]) != (before["type"], before["text"])
    ]


def _by_title(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first candidate of each title: packs of one thing read as one."""
    return list({candidate["title"]: candidate for candidate in reversed(candidates)}.values())[::-1]


def _sentence(parts: list[str]) -> str:
    if not parts:
        return "nothing"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
