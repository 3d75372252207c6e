import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agents.errors import GenerationError, TooLate
from agents.prompts import load
from agents.runtime.protocol import Generation, Request
from agents.trends import Document, grounded, points, points_by_model

TEXT = Document(
    "d",
    "Mushroom lamps light up living rooms",
    "Everybody wants a mushroom lamp this winter. Hand-blown glass shades glow warm; hand-blown glass is made in Venice.",
    1,
    "s",
)


def test_the_phrases_of_the_title_and_those_that_come_again_weigh_most() -> None:
    found = points(TEXT, 4)
    assert "hand-blown glass shades glow" in found
    assert any("mushroom lamp" in phrase for phrase in found)


@given(st.text(max_size=200), st.text(max_size=60))
def test_every_point_stands_in_its_text(text: str, title: str) -> None:
    document = Document("d", title, text, 1, "s")
    assert grounded(points(document), document) == [p for p in points(document) if grounded([p], document)]
    whole = f"{title} {text}".lower()
    for phrase in points(document):
        assert all(word in whole for word in phrase.split())
        assert 2 <= len(phrase.split()) <= 4


def test_what_does_not_stand_in_the_text_is_not_grounded() -> None:
    assert grounded(["Mushroom Lamp", "mushroom soup", ""], TEXT) == ["Mushroom Lamp"]


class Answers:
    name = "answers"
    model = "none"

    def __init__(self, *answers: str | GenerationError) -> None:
        self.answers = answers

    async def prepare(self, *_: object) -> None:
        return None

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        await asyncio.sleep(0)
        return [Generation(a, 1, 1, "stop") if isinstance(a, str) else a for a in self.answers]

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


async def test_what_a_model_names_is_checked_against_the_text_and_code_names_points_where_it_fails() -> None:
    runtime = Answers('{"queries":["glass shades","smart speaker"]}', "prose", TooLate("late."))
    named, prose, late = await points_by_model([TEXT] * 3, runtime, load("trend-points-1"))
    assert named == ["glass shades"]
    assert prose == late == points(TEXT)
