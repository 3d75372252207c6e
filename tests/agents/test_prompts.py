import json

import pytest

from agents import prompts
from agents.errors import PromptError
from agents.leads import Lead
from agents.settings import LEADS_PROMPT, AgentSettings
from agents.structured import queries

_GOOD = "[rules]\nWrite searches.\n\n[example]\nviewed: tea\n=> milk | sugar\n"


def test_the_default_prompt_is_installed_and_its_answers_follow_the_schema() -> None:
    settings = AgentSettings()
    prompt = prompts.load(settings.prompt)
    structure = queries(settings.queries, settings.query_chars)
    assert prompt.version == settings.prompt
    assert len(prompt.sha256) == 64
    for example in prompt.examples:
        assert structure.parse(structure.dump(example.queries)) == list(example.queries)


def test_the_hash_changes_with_the_text() -> None:
    assert prompts.parse("a", _GOOD).sha256 != prompts.parse("a", _GOOD + " ").sha256


def test_a_base_model_reads_rules_examples_and_then_the_shopper() -> None:
    prompt, structure = prompts.parse("a", _GOOD), queries(4, 32)
    whole = prompt.static(structure) + prompt.turn("viewed: soap")
    assert whole == (
        'Write searches.\n\nviewed: tea\nnext: {"queries":["milk","sugar"]}\n\nviewed: soap\nnext: '
    )


def test_an_instructed_model_reads_a_chat() -> None:
    messages = prompts.parse("a", _GOOD).chat("viewed: soap", queries(4, 32))
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert json.loads(messages[2]["content"]) == {"queries": ["milk", "sugar"]}
    assert messages[-1]["content"] == "viewed: soap"


def test_an_unknown_version_names_those_there_are() -> None:
    with pytest.raises(PromptError, match="u2q-fewshot-1"):
        prompts.load("u2q-fewshot-0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[example]\na\n=> b\n",
        "[rules]\nx\n[rules]\ny",
        "[rules]\nx\n[example]\nno answer\n",
        "[rules]\nx\n[example]\n=> b",
    ],
)
def test_a_malformed_file_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="expected"):
        prompts.parse("broken", text)


def test_the_instruction_of_a_lead_stands_before_the_profile_of_its_examples() -> None:
    prompt = prompts.parse(
        "a", "[rules]\nWrite.\n\n[lead trend]\nin demand:\n\n[example trend]\nusual: tea\n=> mugs\n"
    )
    assert prompt.instruction("trend") == "in demand:"
    assert prompt.examples[0].profile == "in demand:\nusual: tea"
    with pytest.raises(PromptError, match="no lead 'recent', only trend"):
        prompt.instruction("recent")


def test_the_prompt_of_leads_knows_them_all_shows_each_and_follows_the_schema() -> None:
    prompt, settings = prompts.load(LEADS_PROMPT), AgentSettings()
    structure = queries(settings.queries, settings.query_chars)
    assert {name for name, _ in prompt.leads} == set(Lead)
    shown = [example.profile.partition("\n")[0] for example in prompt.examples]
    assert set(shown) == {line for _, line in prompt.leads}
    for example in prompt.examples:
        assert structure.parse(structure.dump(example.queries)) == list(example.queries)


@pytest.mark.parametrize(
    "text", ["[lead trend]\n\n", "[lead trend]\na\nb\n", "[example trend]\nusual: tea\n=> mugs\n"]
)
def test_a_lead_without_one_line_of_instruction_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="lead trend"):
        prompts.parse("broken", f"[rules]\nWrite.\n\n{text}")
