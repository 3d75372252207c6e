import json
from collections.abc import Sequence

import pytest

from agents.errors import BadAnswer, GenerationError, Unreachable
from agents.portrait import Buyer, Portrait
from agents.portrait_wording import PROMPT, borne_out, word
from agents.price_bands import Band
from agents.prompts import Prompt, load
from agents.runtime import Generation, Request
from agents.structured import Structure

_PORTRAIT = Portrait(
    "m",
    Buyer.SHOP,
    (("Bags and purses", 0.4),),
    Band.LOW,
    20.0,
    9,
    40,
    ("jumbo bag", "owl"),
    "restocks jumbo bag, owl",
)


class Told:
    """A runtime that gives the same answer to everything, for the pure logic around it."""

    name = "told"
    model = "told-1"

    def __init__(self, answer: str | GenerationError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        pass

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        self.asked += [request.text for request in requests]
        if isinstance(self.answer, GenerationError):
            return [self.answer] * len(requests)
        return [Generation(self.answer, 1, 1, "stop")] * len(requests)

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        pass


async def test_a_wording_of_the_facts_words_is_taken_and_says_who_wrote_it() -> None:
    told = Told(json.dumps({"queries": ["Shop buyer after owl bags"]}))
    (made,) = await word([_PORTRAIT], told)
    assert isinstance(made, Portrait)
    assert (made.wording, made.worded_by) == ("shop buyer after owl bags", "told-1")
    assert told.asked == [f"facts: {_PORTRAIT.facts()}"]


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"queries": ["shop buyer after wedding dresses"]}),
        json.dumps({"queries": ["shop buyer"]}),
        json.dumps({"queries": ["owl 99"]}),
        "The shopper likes owls.",
        "<html>",
        BadAnswer("no JSON"),
    ],
)
async def test_anything_else_leaves_the_words_of_code(answer: str | GenerationError) -> None:
    assert await word([_PORTRAIT], Told(answer)) == [_PORTRAIT]


async def test_without_an_answer_the_error_is_given_back_so_that_it_can_be_asked_again() -> None:
    away = Unreachable("nobody answers")
    assert await word([_PORTRAIT], Told(away)) == [away]


async def test_no_portraits_ask_nothing() -> None:
    told = Told("")
    assert await word([], told) == []
    assert told.asked == []


def test_the_examples_of_the_prompt_keep_its_own_rule() -> None:
    for example in load(PROMPT).examples:
        _, *middle, last = example.profile.removeprefix("facts: ").split("; ")
        shown = Portrait(
            "m",
            Buyer(example.profile.removeprefix("facts: ").split()[0]),
            tuple((part.rpartition(" ")[0], 0.1) for part in middle[0].split(", ")),
            Band.LOW,
            None,
            1,
            1,
            tuple(last.removeprefix("after ").split(", ")),
            "",
        )
        assert all(borne_out(query, shown) for query in example.queries)
