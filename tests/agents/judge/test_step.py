"""Judging in the ladder: the model's part is plain answers, as its logic needs no model."""

import asyncio
from collections.abc import Sequence

from agents import Act, AgentSettings, Ladder, Rung, Shopper
from agents.errors import BadAnswer, GenerationError
from agents.judge import Calibration, Case, Judge
from agents.judge.opinion import opinions
from agents.prompts import Prompt, load
from agents.runtime.protocol import Generation, Request
from agents.structured import Structure
from nearline import NearlineError


class Answers:
    """A runtime that gives the answers it was made with, in turn."""

    name = "answers"
    model = "none"

    def __init__(self, *answers: str | GenerationError) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        return None

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        await asyncio.sleep(0)
        self.requests += requests
        given = [self.answers.pop(0) for _ in requests]
        return [Generation(a, 10, 5, "stop") if isinstance(a, str) else a for a in given]

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


SHOPPER = Shopper(
    "u", 9, (Act("e1", "order", 1, "Red retrospot lunch bag", "bags", "i1"),), categories=("bags",)
)
GOOD, ABSENT = "pink lunch bag", "leather saddle"
WRITTEN = f'{{"queries":["{GOOD}","{ABSENT}"]}}'


def _ladder(runtime: Answers, shop: object, **judge: object) -> Ladder:
    settings = AgentSettings.model_validate({"judge": judge})
    return Ladder(runtime, settings, judge=lambda: Judge(shop, Calibration.load(), settings.judge.threshold))  # type: ignore[arg-type]


async def test_a_rejected_demand_is_on_record_with_reason_and_score_and_the_kept_one_is_scored(shop) -> None:
    (result,) = await _ladder(Answers(WRITTEN), shop).infer([SHOPPER])
    assert result.rung is Rung.LLM
    assert [demand.query for demand in result.demands] == [GOOD]
    assert result.demands[0].judged is not None
    (rejected,) = result.rejected
    assert rejected.query == ABSENT
    assert rejected.reason.startswith("judged: ")
    assert rejected.judged is not None
    assert rejected.judged < result.demands[0].judged
    assert "judge" in result.timings_ms


async def test_a_batch_is_judged_in_one_call(shop) -> None:
    await _ladder(Answers(WRITTEN, WRITTEN, WRITTEN), shop).infer([SHOPPER] * 3)
    assert shop.asked == 1


async def test_where_nothing_is_left_the_next_rung_serves_and_says_why(shop) -> None:
    (result,) = await _ladder(Answers(WRITTEN), shop, threshold=1.0).infer([SHOPPER])
    assert result.rung is Rung.PREFERENCE
    assert "no demand was left after judging" in result.note
    assert len(result.rejected) == 2


async def test_without_a_judge_nothing_is_judged() -> None:
    (result,) = await Ladder(Answers(WRITTEN), AgentSettings()).infer([SHOPPER])
    assert len(result.demands) == 2
    assert all(demand.judged is None for demand in result.demands)


async def test_a_shop_that_cannot_be_asked_leaves_the_demands_and_a_note() -> None:
    class Away:
        def judge(self, cases: Sequence[Case]) -> list[list[object]]:
            raise NearlineError("the encoder is away.")

    ladder = Ladder(Answers(WRITTEN), AgentSettings(), judge=Away)  # type: ignore[arg-type]
    (result,) = await ladder.infer([SHOPPER])
    assert len(result.demands) == 2
    assert result.note == "judge: the encoder is away."
    assert result.demands[0].judged is None


async def test_the_models_opinion_rejects_what_it_does_not_stand_by(shop) -> None:
    runtime = Answers('{"queries":["pink lunch bag","cake tin"]}', '{"queries":["Pink lunch bags"]}')
    (result,) = await _ladder(runtime, shop, threshold=0.0, opinion="judge-opinion-1").infer([SHOPPER])
    assert [demand.query for demand in result.demands] == ["pink lunch bag"]
    assert "does not stand by it" in result.rejected[-1].reason
    assert "proposed: pink lunch bag; cake tin" in runtime.requests[1].text


async def test_an_opinion_that_names_nothing_proposed_is_none_and_the_word_none_is_one() -> None:
    prompt = load("judge-opinion-1")
    runtime = Answers('{"queries":["something else"]}', '{"queries":["none"]}', "<html>")
    case = Case(SHOPPER, (GOOD, ABSENT))
    beside, nothing, prose = await opinions([case] * 3, runtime, prompt)
    assert isinstance(beside, BadAnswer)
    assert nothing == (False, False)
    assert isinstance(prose, BadAnswer)


async def test_a_failed_opinion_costs_no_demand(shop) -> None:
    runtime = Answers('{"queries":["pink lunch bag"]}', GenerationError("gone."))
    (result,) = await _ladder(runtime, shop, threshold=0.0, opinion="judge-opinion-1").infer([SHOPPER])
    assert [demand.query for demand in result.demands] == ["pink lunch bag"]
    assert "judge's model: gone." in result.note
