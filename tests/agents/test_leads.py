"""A model asked from several sides: what each is told, and what becomes of the answers. No model is needed for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agents import Act, AgentSettings, DemandSet, Ladder, LedgerLine, Rung, Shopper, prompts
from agents.demand import Kind
from agents.errors import BadAnswer, GenerationError, PromptError, TooLate
from agents.factors import Kind as FactorKind
from agents.leads import LEDGER, Lead, sides
from agents.preference import Horizon, Preference
from agents.runtime.choice import with_runtime
from agents.runtime.protocol import Generation, Request
from agents.settings import LEADS_PROMPT, RuntimeKind
from agents.shopper import Background
from agents.structured import queries
from tests.agents.test_ladder import Answers

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTRUCTIONS = {Lead(name): line for name, line in prompts.load(LEADS_PROMPT).leads}


def _preference(horizon: Horizon, value: str) -> Preference:
    return Preference(horizon, "garden", FactorKind.THEME, value, 0.5, 3)


_KNOWN = Background(
    preferences=(
        _preference(Horizon.LONG, "rose"),
        _preference(Horizon.RECENT, "striped"),
        _preference(Horizon.POTENTIAL, "owl"),
    ),
    trends=("rattan basket",),
)
_RECENT = (Act("e1", "view", 1, "Spaghetti"), Act("e2", "view", 2, "Tomato Sauce"))
_WHOLE = Shopper(
    "u", 7, _RECENT, (LedgerLine("250505", "garden", 40.0, 8, 4),), ("pasta",), background=_KNOWN
)
_NEW = Shopper("new", 7, _RECENT)


class ByLead(Answers):
    """A runtime that answers by the lead's instruction, which opens each request."""

    def __init__(self, answers: dict[Lead, Sequence[str] | GenerationError]) -> None:
        super().__init__()
        self._by = {_INSTRUCTIONS[lead]: answer for lead, answer in answers.items()}
        self.batches: list[list[str]] = []

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        self.requests += requests
        asked = [one.text.partition("\n")[0] for one in requests]
        self.batches.append(asked)
        given = [self._by[line] for line in asked]
        return [
            one
            if isinstance(one, GenerationError)
            else Generation(queries(4, 32).dump(one), 10, 5, "stop", (0.5, 0.25))
            for one in given
        ]


def _settings(*leads: Lead, **more: object) -> AgentSettings:
    return AgentSettings.model_validate({"runtime": "local", "leads": leads, "explicit": 0, **more})


async def _inferred(
    runtime: Answers, *shoppers: Shopper, leads: Sequence[Lead] = tuple(Lead)
) -> list[DemandSet]:
    return await Ladder(runtime, _settings(*leads)).infer(shoppers or (_WHOLE,))


def test_each_lead_is_told_what_is_known_from_its_side_and_nothing_else() -> None:
    told = {one.lead: one.profile.text.splitlines() for one in sides(_WHOLE, 240, _INSTRUCTIONS)}
    usual = "usual: pasta; garden"
    assert told == {
        Lead.RECENT: [
            _INSTRUCTIONS[Lead.RECENT],
            "lately: striped",
            usual,
            "viewed: spaghetti; tomato sauce",
        ],
        Lead.LONG_TERM: [_INSTRUCTIONS[Lead.LONG_TERM], "likes: rose", usual],
        Lead.POTENTIAL: [_INSTRUCTIONS[Lead.POTENTIAL], "may like: owl", usual],
        Lead.TREND: [_INSTRUCTIONS[Lead.TREND], "likes: rose", "trends: rattan basket", usual],
    }


def test_of_a_new_shopper_only_the_recent_acts_are_asked_about() -> None:
    assert [one.lead for one in sides(_NEW, 240, _INSTRUCTIONS)] == [Lead.RECENT]
    only_trends = {Lead.TREND: "in demand:"}
    assert [one.lead for one in sides(_NEW, 240, only_trends)] == [Lead.RECENT]


def test_without_leads_there_is_one_side_with_everything() -> None:
    (whole,) = sides(_WHOLE, 240, {})
    assert whole.lead is None
    assert [line.partition(":")[0] for line in whole.profile.text.splitlines()] == [
        "likes", "lately", "may like", "trends", "usual", "viewed",
    ]  # fmt: skip


async def test_all_leads_of_all_shoppers_are_one_batch_the_first_lead_of_everybody_first() -> None:
    runtime = ByLead({lead: ["cheese"] for lead in Lead})
    await _inferred(runtime, _WHOLE, _NEW)
    lines = [_INSTRUCTIONS[lead] for lead in Lead]
    assert runtime.batches == [[lines[0], lines[0], *lines[1:]]]
    assert len({one.seed for one in runtime.requests}) == len(runtime.requests)
    assert len({one.prompt.sha256 for one in runtime.requests}) == 1


async def test_the_leads_take_turns_and_each_gives_its_demands_kind_and_evidence() -> None:
    runtime = ByLead(
        {
            Lead.RECENT: ["tomato knife", "cheese"],
            Lead.LONG_TERM: ["rose bowl"],
            Lead.POTENTIAL: ["owl lamp", "hammock"],
            Lead.TREND: ["rattan chair"],
        }
    )
    (result,) = await _inferred(runtime)
    owl, rattan = "preference:potential:garden:owl", "trend:rattan basket"
    assert [(one.query, one.leads, one.kind, one.evidence) for one in result.demands] == [
        ("tomato knife", (Lead.RECENT,), Kind.COMPLEMENT, ("e2",)),
        ("rose bowl", (Lead.LONG_TERM,), Kind.COMPLEMENT, ("preference:long:garden:rose",)),
        ("owl lamp", (Lead.POTENTIAL,), Kind.EXPLORE, (owl,)),
        ("rattan chair", (Lead.TREND,), Kind.TREND, (rattan,)),
        ("cheese", (Lead.RECENT,), Kind.COMPLEMENT, ("e2", "e1")),
        ("hammock", (Lead.POTENTIAL,), Kind.EXPLORE, (owl,)),
    ]
    assert (result.prompt_tokens, result.output_tokens) == (40, 20)
    assert result.prompt_version == LEADS_PROMPT
    assert [part.partition("\n")[0] for part in result.prompt.split("\n\n")] == list(_INSTRUCTIONS.values())
    assert len(result.raw_output.splitlines()) == 4


async def test_what_two_leads_say_is_one_demand_with_the_evidence_of_both() -> None:
    runtime = ByLead({Lead.RECENT: ["cheese", "owl lamps"], Lead.POTENTIAL: ["lamp, owl", "lamp owl"]})
    (result,) = await _inferred(runtime, leads=(Lead.RECENT, Lead.POTENTIAL))
    assert [(one.query, one.leads, one.kind, one.confidence) for one in result.demands] == [
        ("cheese", (Lead.RECENT,), Kind.COMPLEMENT, 0.5),
        ("lamp, owl", (Lead.POTENTIAL, Lead.RECENT), Kind.EXPLORE, 0.5),
    ]
    assert set(result.demands[1].evidence) == {"preference:potential:garden:owl", "e1", "e2"}
    assert [(one.query, one.reason) for one in result.rejected] == [("lamp owl", "duplicate")]


async def test_a_lead_without_an_answer_costs_its_own_demands_only_and_is_named() -> None:
    runtime = ByLead(
        {Lead.RECENT: ["cheese"], Lead.TREND: BadAnswer("prose."), Lead.LONG_TERM: TooLate("late.")}
    )
    (result,) = await _inferred(runtime, leads=(Lead.RECENT, Lead.LONG_TERM, Lead.TREND))
    assert (result.rung, [one.query for one in result.demands]) == (Rung.LLM, ["cheese"])
    assert result.note == "llm: long-term: late.; llm: trend: prose."


async def test_with_no_lead_answered_the_next_rung_serves_and_says_of_each_why() -> None:
    runtime = ByLead({Lead.RECENT: TooLate("late."), Lead.TREND: BadAnswer("prose.")})
    (result,) = await _inferred(runtime, leads=(Lead.RECENT, Lead.TREND))
    assert result.rung is Rung.PREFERENCE
    assert result.note.startswith("llm: recent: late.; llm: trend: prose.; cached: none")


async def test_the_breaker_counts_a_shopper_once_whatever_the_number_of_leads() -> None:
    late = dict.fromkeys(Lead, TooLate("late."))
    ladder = Ladder(ByLead(late), _settings(*Lead, breaker={"failures": 2, "pause": 10}))
    await ladder.infer([_WHOLE])
    (second,) = await ladder.infer([_WHOLE])
    assert "late." in second.note
    (third,) = await ladder.infer([_WHOLE])
    assert third.note.startswith("llm: the circuit breaker is open")


async def test_without_exact_preferences_the_long_term_rests_on_the_ledger() -> None:
    shopper = Shopper("u", 7, _RECENT, _WHOLE.ledger, ("garden",))
    (result,) = await _inferred(ByLead({Lead.LONG_TERM: ["watering can"]}), shopper, leads=(Lead.LONG_TERM,))
    assert result.demands[0].evidence == (LEDGER,)


async def test_asked_once_the_kind_follows_from_what_the_query_shares_words_with() -> None:
    told = AgentSettings.model_validate({"runtime": "local", "explicit": 0})
    answer = queries(4, 32).dump(["tomato owl", "owl lamp", "rattan chair", "cheese"])
    (result,) = await Ladder(Answers(answer), told).infer([_WHOLE])
    assert [one.kind for one in result.demands] == [
        Kind.COMPLEMENT,
        Kind.EXPLORE,
        Kind.TREND,
        Kind.COMPLEMENT,
    ]
    assert {one.leads for one in result.demands} == {()}


def test_leads_need_a_prompt_that_knows_them_and_get_it_where_none_is_named() -> None:
    assert _settings(Lead.TREND).prompt == LEADS_PROMPT
    assert _settings().prompt == "u2q-fewshot-1"
    with pytest.raises(PromptError, match="no lead 'trend'") as raised:
        Ladder(Answers(), _settings(Lead.TREND, prompt="u2q-fewshot-1"))
    assert LEADS_PROMPT in raised.value.way_out
    with pytest.raises(ValueError, match="leads"):
        AgentSettings.model_validate({"leads": ["recent", "horoscope"]})


def test_a_server_is_asked_from_all_sides_unless_something_else_is_said() -> None:
    server = {"runtime": "server", "server": {"model": "m"}}
    made = AgentSettings.model_validate(server)
    assert (made.leads, made.prompt) == (tuple(Lead), LEADS_PROMPT)
    once = AgentSettings.model_validate({**server, "leads": []})
    assert (once.leads, once.prompt) == ((), "u2q-fewshot-1")
    own = AgentSettings.model_validate({**server, "prompt": "u2q-student-1"})
    assert (own.leads, own.prompt) == ((), "u2q-student-1")


@pytest.mark.parametrize("first", list(RuntimeKind))
@pytest.mark.parametrize("then", list(RuntimeKind))
@pytest.mark.parametrize("more", [{}, {"leads": ["trend"]}, {"leads": []}, {"queries": 7}])
def test_with_another_runtime_its_own_defaults_hold_and_what_was_said_stays(
    first: RuntimeKind, then: RuntimeKind, more: dict[str, object]
) -> None:
    made = with_runtime(AgentSettings.model_validate({"runtime": first, **more}), then)
    assert made == AgentSettings.model_validate({"runtime": then, **more})


async def test_a_student_is_asked_once_under_its_own_form() -> None:
    settings = with_runtime(AgentSettings.model_validate({"leads": list(Lead)}), RuntimeKind.STUDENT)
    assert settings.prompt == "u2q-student-1"
    title = "set of 4 knick knack tins in the old style"
    runtime = Answers(queries(20, 48).dump([title]))
    (result,) = await Ladder(runtime, settings.model_copy(update={"explicit": 0})).infer([_NEW])
    assert [one.text for one in runtime.requests] == ["viewed: spaghetti; tomato sauce"]
    assert [(one.query, one.kind, one.leads) for one in result.demands] == [(title, Kind.COMPLEMENT, ())]


async def test_a_prompted_model_may_not_write_more_words_than_a_search_has() -> None:
    settings = AgentSettings.model_validate({"runtime": "local", "query_chars": 64, "explicit": 0})
    long = "set of 4 knick knack tins in the old style"
    (result,) = await Ladder(Answers(queries(4, 64).dump([long, "cheese"])), settings).infer([_NEW])
    assert [one.query for one in result.demands] == ["cheese"]
    assert [one.reason for one in result.rejected] == ["too long"]
