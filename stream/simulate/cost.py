"""What the firings of a rule set would cost in calls, tokens and seconds of the language model.

Calls are counted, not guessed: live, of a shopper's triggers that are read together only the newest is
thought about, so triggers of one shopper within ``Rates.together_s`` of event time count as one call. How
many are read together depends on how busy the model is; with 0 every trigger that is not of the same event is a call.
Prompts are rendered from a sample of the triggers themselves, with the code that renders them live. Tokens
are characters by a measured rate.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from agents import prompts
from agents.leads import instructions, sides
from agents.structured import queries
from stream.infer.shopper import shopper_of
from stream.triggers import decode_trigger

if TYPE_CHECKING:
    from agents.settings import AgentSettings
    from stream.infer.shopper import Titles

__all__ = ["Cost", "CostMeter", "NoTitles", "Rates"]

_SEED = 0


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Measured rates of the model. The defaults are of the packaged 270M model on two CPU cores.

    Attributes:
        seconds_per_call: CPU seconds of the model for one shopper's demands
            (``bench/u2q_local.py --n 32``, batches of 16: 0.37).
        output_tokens: tokens written in one call (the same run: 27.2 tokens/s at 2.25 sets/s).
        chars_per_token: characters of a profile per token of the prompt (the model's tokenizer over the
            profiles of 200 real baskets: 45.0 tokens of 165 characters).
        static_chars_per_token: the same for the part that is the same for all (u2q-fewshot-1: 328 tokens of 1,331 characters).
        together_s: triggers of a shopper within this time count as one call. The default is what a batch
            of 16 takes on that machine.
        source: where the rates come from, in words.
    """

    seconds_per_call: float = 0.37
    output_tokens: float = 12.1
    chars_per_token: float = 3.67
    static_chars_per_token: float = 4.06
    together_s: float = 7.0
    source: str = "bench/u2q_local.py: gemma3-270m in-process, two CPU cores, batches of 16"


class Cost(msgspec.Struct, kw_only=True):
    """What the triggers of one rule set would cost.

    Attributes:
        triggers: all that fired.
        superseded: triggers that a newer one of the same shopper replaces before the model sees them.
        unreadable: estimated triggers without any text to think about, from the sample; no call is made.
        calls: calls of the model that remain; each of `agents.leads` that a shopper's events are enough for is one.
        sample: how many triggers' prompts were rendered for the means.
        static_tokens: tokens of the part of each prompt that is the same for all (a prefix cache keeps it).
        own_tokens: mean tokens of a shopper's own part.
        prompt_tokens: static and own, over all calls.
        output_tokens: written, over all calls.
        model_seconds: of the model, over all calls.
        rates: what was assumed.
    """

    triggers: int
    superseded: int
    unreadable: int
    calls: int
    sample: int
    static_tokens: float
    own_tokens: float
    prompt_tokens: int
    output_tokens: int
    model_seconds: float
    rates: Rates


class NoTitles:
    """A catalogue without items: only the words of searches are known."""

    def row(self, item_id: str) -> int | None:  # noqa: ARG002  # the protocol has it
        """None: there are no items."""
        return None

    def short_title(self, row: int) -> str:
        """Never asked: there is no row."""
        raise IndexError(row)

    def category(self, row: int) -> str:
        """Never asked: there is no row."""
        raise IndexError(row)


class CostMeter:
    """Counts the calls of one rule set and keeps an even sample of its triggers.

    Args:
        rates: what the model was measured at.
        agents: prompt and profile as they are rendered live.
        titles: the catalogue's words.
        sample: how many triggers to render prompts of.
    """

    def __init__(self, rates: Rates, agents: AgentSettings, titles: Titles, sample: int = 200) -> None:
        self._rates = rates
        self._agents = agents
        self._titles = titles
        self._size = sample
        self._sample: list[bytes] = []
        self._random = random.Random(_SEED)
        self._together_ms = rates.together_s * 1000
        self._since: dict[str, int] = {}
        self._event: tuple[str, str] | None = None
        self.triggers = 0
        self.superseded = 0

    def add(self, user: str, event_id: str, ts: int, record: bytes) -> None:
        """Count one trigger, given as the record that would be published."""
        self.triggers += 1
        event = (user, event_id)
        since = self._since.get(user)
        same = event == self._event
        self._event = event
        if same or (since is not None and 0 <= ts - since < self._together_ms):
            self.superseded += 1
        else:
            self._since[user] = ts
        # Algorithm R (Vitter 1985): every trigger has the same chance to be in the sample.
        if len(self._sample) < self._size:
            self._sample.append(record)
        elif (place := self._random.randrange(self.triggers)) < self._size:
            self._sample[place] = record

    def cost(self) -> Cost:
        """The cost of what was added so far."""
        rates, agents = self._rates, self._agents
        prompt = prompts.load(agents.prompt)
        structure = queries(agents.queries, agents.query_chars)
        static = len(prompt.static(structure)) / rates.static_chars_per_token
        leads = instructions(prompt, agents.leads)
        own, thought = [], 0
        for record in self._sample:
            shopper = shopper_of(decode_trigger(record), self._titles)
            texts = [side.profile.text for side in sides(shopper, agents.profile_chars, leads)]
            own += [len(prompt.turn(text)) / rates.chars_per_token for text in texts if text]
            thought += any(texts)
        many = max(1, len(self._sample))
        asked = self.triggers - self.superseded
        readable = round(asked * (thought / many if self._sample else 1.0))
        calls = round(readable * (len(own) / thought)) if thought else readable
        mean = sum(own) / len(own) if own else 0.0
        return Cost(
            triggers=self.triggers,
            superseded=self.superseded,
            unreadable=asked - readable,
            calls=calls,
            sample=len(self._sample),
            static_tokens=round(static, 1),
            own_tokens=round(mean, 1),
            prompt_tokens=round(calls * (static + mean)),
            output_tokens=round(calls * rates.output_tokens),
            model_seconds=round(calls * rates.seconds_per_call, 2),
            rates=rates,
        )
