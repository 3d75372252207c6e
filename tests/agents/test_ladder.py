"""The ladder over a runtime made of plain answers: its logic needs no model."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence

import pytest

from agents import Act, AgentSettings, Demand, Ladder, Rung, Shopper
from agents.errors import BadAnswer, GenerationError, TooLate, Unreachable
from agents.prompts import Prompt
from agents.runtime.protocol import Generation, Request
from agents.structured import Structure

# What the shopper says themselves has tests of its own.
_SETTINGS = AgentSettings.model_validate(
    {"breaker": {"failures": 2, "pause": 10}, "deadline": 5, "explicit": 0}
)


class Answers:
    """A runtime that gives the answers it was made with, in turn, and keeps the requests."""

    name = "answers"
    model = "none"

    def __init__(self, *answers: str | GenerationError, takes: float = 0.0) -> None:
        self._answers = list(answers)
        self._takes = takes
        self.requests: list[Request] = []

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        return None

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        await asyncio.sleep(self._takes)
        self.requests += requests
        given = [self._answers.pop(0) for _ in requests]
        return [Generation(a, 10, 5, "stop", (0.5, 0.25)) if isinstance(a, str) else a for a in given]

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _shopper(name: str = "u", **more: object) -> Shopper:
    known: dict[str, object] = {
        "recent": (Act("e1", "view", 1, "Spaghetti"), Act("e2", "view", 2, "Tomato Sauce")),
        "categories": ("Pasta",),
    }
    return Shopper(name, 7, **(known | more))  # type: ignore[arg-type]


_CACHED = (Demand("basil plant", "llm", ("e0",), 0.5),)


async def test_the_models_demands_come_with_evidence_confidence_and_the_prompts_version() -> None:
    ladder = Ladder(Answers('{"queries":["tomato knife","parmesan"]}'), _SETTINGS)
    (result,) = await ladder.infer([_shopper()])
    assert result.rung is Rung.LLM
    assert [demand.query for demand in result.demands] == ["tomato knife", "parmesan"]
    assert result.demands[0].evidence == ("e2",)
    assert set(result.demands[1].evidence) == {"e1", "e2"}
    assert [demand.confidence for demand in result.demands] == [0.5, 0.25]
    assert result.prompt_version == _SETTINGS.prompt
    assert result.prompt == "usual: pasta\nviewed: spaghetti; tomato sauce"
    assert result.raw_output == '{"queries":["tomato knife","parmesan"]}'
    assert result.note == ""
    assert {"profile", "model", "clean"} <= set(result.timings_ms)


async def test_confidence_stays_with_its_query_when_an_earlier_one_is_removed() -> None:
    ladder = Ladder(Answers('{"queries":["spaghetti","parmesan"]}'), _SETTINGS)
    (result,) = await ladder.infer([_shopper()])
    assert [(demand.query, demand.confidence) for demand in result.demands] == [("parmesan", 0.25)]
    assert [each.reason for each in result.rejected] == ["copy of the input"]


async def test_copies_alone_fall_to_the_next_rung_and_stay_on_record() -> None:
    ladder = Ladder(Answers('{"queries":["SPAGHETTI","tomato sauces"]}'), _SETTINGS)
    (result,) = await ladder.infer([_shopper(cached=_CACHED)])
    assert result.rung is Rung.CACHED
    assert [demand.query for demand in result.demands] == ["basil plant"]
    assert len(result.rejected) == 2
    assert "copy of the input" in result.note


@pytest.mark.parametrize(
    "error",
    [Unreachable("nobody answers."), TooLate("too late."), BadAnswer("prose."), GenerationError("broken.")],
)
async def test_an_error_costs_only_its_own_shopper_and_is_noted(error: GenerationError) -> None:
    ladder = Ladder(Answers(error, '{"queries":["parmesan"]}'), _SETTINGS)
    first, second = await ladder.infer([_shopper("a", cached=_CACHED), _shopper("b")])
    assert (first.rung, second.rung) == (Rung.CACHED, Rung.LLM)
    assert error.message in first.note


async def test_without_cached_demands_code_writes_them_from_titles_and_categories() -> None:
    (result,) = await Ladder(Answers(TooLate("late.")), _SETTINGS).infer([_shopper()])
    assert result.rung is Rung.PREFERENCE
    assert [demand.query for demand in result.demands] == ["tomato sauce", "spaghetti", "pasta"]
    assert result.demands[0].evidence == ("e2",)


async def test_of_a_shopper_without_a_readable_word_popular_items_remain() -> None:
    runtime = Answers()
    (result,) = await Ladder(runtime, _SETTINGS).infer(
        [_shopper(recent=(Act("e", "view", 1, "???"),), categories=())]
    )
    assert result.rung is Rung.POPULAR
    assert result.demands == ()
    assert "nothing readable" in result.note
    assert runtime.requests == []


async def test_a_shopper_whose_deadline_has_passed_does_not_wait_for_the_model() -> None:
    clock, runtime = Clock(), Answers('{"queries":["parmesan"]}')
    late, early = await Ladder(runtime, _SETTINGS, clock=clock).infer(
        [_shopper("a"), _shopper("b")], [99.0, 101.0]
    )
    assert (late.rung, early.rung) == (Rung.PREFERENCE, Rung.LLM)
    assert len(runtime.requests) == 1


async def test_a_runtime_that_ignores_its_deadline_is_given_up() -> None:
    settings = AgentSettings.model_validate({"deadline": 0.05})
    (result,) = await Ladder(Answers('{"queries":["parmesan"]}', takes=60), settings).infer([_shopper()])
    assert result.rung is Rung.PREFERENCE
    assert "deadline" in result.note


async def test_the_breaker_spares_a_dead_model_and_finds_it_again() -> None:
    clock = Clock()
    runtime = Answers(
        Unreachable("dead."), Unreachable("dead."), '{"queries":["parmesan"]}', '{"queries":["basil"]}'
    )
    ladder = Ladder(runtime, _SETTINGS, clock=clock)
    await ladder.infer([_shopper(), _shopper()])
    (spared,) = await ladder.infer([_shopper()])
    assert "circuit breaker" in spared.note
    assert len(runtime.requests) == 2
    clock.now += 10
    (probe,) = await ladder.infer([_shopper()])
    (after,) = await ladder.infer([_shopper()])
    assert (probe.rung, after.rung) == (Rung.LLM, Rung.LLM)


async def test_the_same_trigger_gives_the_same_request_and_another_moment_another_seed() -> None:
    runtime = Answers(*['{"queries":["parmesan"]}'] * 3)
    ladder = Ladder(runtime, _SETTINGS)
    later = Shopper("u", 8, _shopper().recent, categories=("Pasta",))
    await ladder.infer([_shopper(), _shopper(), later])
    one, two, three = runtime.requests
    assert (one.seed, one.text, one.banned) == (two.seed, two.text, two.banned)
    assert one.seed != three.seed


async def test_titles_and_the_examples_queries_are_banned_in_the_request() -> None:
    runtime = Answers('{"queries":["parmesan"]}')
    ladder = Ladder(runtime, _SETTINGS)
    await ladder.infer([_shopper()])
    assert {"spaghetti", "tomato sauce"} <= runtime.requests[0].banned
    assert len(runtime.requests[0].banned) > 10


async def test_results_keep_the_order_of_the_shoppers() -> None:
    runtime = Answers('{"queries":["parmesan"]}', '{"queries":["parmesan"]}')
    people = [_shopper("a"), _shopper("b", recent=(), categories=()), _shopper("c")]
    results = await Ladder(runtime, _SETTINGS).infer(people)
    assert [result.user_id for result in results] == ["a", "b", "c"]


async def test_as_many_deadlines_as_shoppers_are_expected() -> None:
    with pytest.raises(ValueError, match="expected 1 deadlines"):
        await Ladder(Answers(), _SETTINGS).infer([_shopper()], [1.0, 2.0])


def test_importing_the_room_brings_no_torch() -> None:
    code = "import agents, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
