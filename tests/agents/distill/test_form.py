"""The text that a student reads and writes."""

from agents import prompts
from agents.distill.form import PROMPT, START, answer, labels, phrases, question
from agents.profile import render
from agents.shopper import Act, Shopper
from agents.structured import queries

_STRUCTURE = queries(5, 48)


def test_the_question_is_the_prompt_that_a_server_would_be_sent() -> None:
    prompt = prompts.load(PROMPT)
    profile = "bought: party bunting"
    sent = prompt.static(_STRUCTURE) + prompt.turn(profile)
    assert prompt.static(_STRUCTURE) == START
    assert question(profile).startswith(sent)


def test_the_answer_is_the_json_of_the_schema() -> None:
    written = ["party bunting", "jumbo bag"]
    assert answer(written) == _STRUCTURE.dump(written)
    assert _STRUCTURE.parse(answer(written)) == written


def test_phrases_are_what_a_profile_makes_of_titles() -> None:
    assert list(phrases(["PARTY BUNTING", 'Mug "Rosie"; {all}', "party bunting", "***"])) == [
        "party bunting",
        "mug rosie all",
    ]


def test_labels_are_the_titles_of_a_profile_without_the_usual_categories() -> None:
    acts = (
        Act("1", "order", 1, "Jumbo Bag"),
        Act("2", "order", 2, "Clock"),
        Act("3", "view", 3, "Party Bunting"),
    )
    profile = render(Shopper("ann", 4, acts, categories=("Tableware",)), 400)
    assert "usual: tableware" in profile.text
    assert labels(profile.text) == {"jumbo bag", "clock", "party bunting"}
