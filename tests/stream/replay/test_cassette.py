"""A cassette answers what it was asked before, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import prompts
from agents.errors import BadAnswer, TooLate
from agents.runtime import Generation, Request
from agents.structured import queries
from stream.replay.calls import Call, Mode, Model
from stream.replay.cassette import Cassette
from stream.replay.errors import CallMissingError, CassetteError, OtherModelError
from stream.replay.recorded_encoder import RecordedEncoder
from stream.replay.recorded_runtime import RecordedRuntime
from tests.stream.replay.shop import Letters, Next

if TYPE_CHECKING:
    from pathlib import Path

MODEL = Model("llm", "local", "next", "sha256:1")
CODER = Model("embedding", "local", "letters", "sha256:letters")


def request(text: str, **more: Any) -> Request:
    given_: dict[str, Any] = {
        "prompt": prompts.load("u2q-fewshot-1"),
        "text": text,
        "structure": queries(4, 32),
        "max_tokens": 32,
        "temperature": 0.3,
        "seed": 1,
        **more,
    }
    return Request(**given_)


def runtime(cassette: Cassette, inner: Any, model: Model = MODEL, **parameters: Any) -> RecordedRuntime:
    return RecordedRuntime(cassette, model, parameters, lambda: inner)


def ask(on: RecordedRuntime, *requests: Request) -> list[Any]:
    return asyncio.run(on.generate(requests))


def never() -> Any:
    raise AssertionError("the model was loaded")


def test_what_was_recorded_is_played_back_without_the_model(tmp_path: Path) -> None:
    asked = [request("views: milk"), request("views: tea"), request("views: milk")]
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        inner = Next()
        first = ask(runtime(cassette, inner), *asked)
        assert cassette.misses == 3
    with Cassette(tmp_path / "c", Mode.STRICT) as cassette:
        played = RecordedRuntime(cassette, MODEL, {}, never)
        assert asyncio.run(played.ready())
        assert ask(played, *asked) == first
        assert first[0].confidences == (0.7,)
        assert (cassette.hits, cassette.misses, played.called) == (3, 0, 0)


@pytest.mark.parametrize(
    ("asked", "model", "parameters"),
    [
        (request("views: tea"), MODEL, {}),
        (request("views: milk", seed=2), MODEL, {}),
        (request("views: milk", max_tokens=31), MODEL, {}),
        (request("views: milk", temperature=0.0), MODEL, {}),
        (request("views: milk", structure=queries(3, 32)), MODEL, {}),
        (request("views: milk", banned=frozenset({"milk"})), MODEL, {}),
        (request("views: milk"), MODEL, {"dtype": "bfloat16"}),
    ],
)
def test_a_call_that_differs_in_anything_is_missing_and_shown(
    tmp_path: Path, asked: Request, model: Model, parameters: dict[str, Any]
) -> None:
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        ask(runtime(cassette, Next()), request("views: milk"))
    with Cassette(tmp_path / "c", Mode.STRICT) as cassette:
        played = RecordedRuntime(cassette, model, parameters, never)
        with pytest.raises(CallMissingError, match="u2q-fewshot-1") as told:
            ask(played, asked)
    assert repr(asked.text) in str(told.value)
    assert "--mode replay" in told.value.way_out


def test_a_replay_asks_the_model_for_what_is_missing_and_marks_it(tmp_path: Path) -> None:
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        ask(runtime(cassette, Next()), request("views: milk"))
    inner = Next()
    with Cassette(tmp_path / "c", Mode.REPLAY) as cassette:
        ask(runtime(cassette, inner), request("views: milk"), request("views: tea"))
        assert inner.calls == 1
        (held,) = cassette.summary()
        assert (held.model, held.calls, held.marked) == (MODEL, 2, 1)
    with Cassette(tmp_path / "c", Mode.STRICT) as cassette:
        ask(RecordedRuntime(cassette, MODEL, {}, never), request("views: milk"), request("views: tea"))


@pytest.mark.parametrize("mode", [Mode.RECORD, Mode.REPLAY])
def test_of_two_processes_that_make_the_same_call_the_first_ones_answer_counts_for_both(
    tmp_path: Path, mode: Mode
) -> None:
    call, old = Call(MODEL, "p-1", {}, "milk"), Call(MODEL, "p-1", {}, "tea")
    with Cassette(tmp_path / "c", Mode.RECORD) as before:
        before.put([(old, b"old")])
    with Cassette(tmp_path / "c", mode) as one, Cassette(tmp_path / "c", mode, since=one.since) as other:
        assert one.get([call]) == other.get([call]) == [None]
        assert one.put([(call, b"one")]) == [b"one"]
        assert other.put([(call, b"other")]) == [b"one"]
        assert other.get([call]) == [b"one"]
        # What was recorded before counts in a replay, and is made anew in a recording.
        assert one.get([old]) == [None if mode is Mode.RECORD else b"old"]
        assert one.put([(old, b"new")]) == [b"new" if mode is Mode.RECORD else b"old"]
    with Cassette(tmp_path / "c", Mode.STRICT) as played:
        assert played.get([call]) == [b"one"]


def test_the_answers_of_another_model_are_not_taken_for_its_own(tmp_path: Path) -> None:
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        ask(runtime(cassette, Next()), request("views: milk"))
    other = MODEL._replace(hash="sha256:2")
    for mode in (Mode.REPLAY, Mode.STRICT):
        with (
            Cassette(tmp_path / "c", mode) as cassette,
            pytest.raises(OtherModelError, match="sha256:1") as told,
        ):
            runtime(cassette, Next(), other)
        assert "sha256:2" in str(told.value)
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        ask(runtime(cassette, Next(), other), request("views: milk"))
        assert [one.calls for one in cassette.summary()] == [1, 1]


class Fails:
    """A runtime that answers one request in prose and is late for the others."""

    name, model = "local", "next"

    async def generate(self, requests: Any, deadline: float | None = None) -> list[Any]:
        return [BadAnswer("prose.") if "milk" in one.text else TooLate("late.") for one in requests]


def test_prose_is_kept_as_the_models_answer_and_lateness_is_not(tmp_path: Path) -> None:
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        found = ask(runtime(cassette, Fails()), request("milk"), request("tea"))
        assert [type(one) for one in found] == [BadAnswer, TooLate]
    with Cassette(tmp_path / "c", Mode.STRICT) as cassette:
        played = RecordedRuntime(cassette, MODEL, {}, never)
        (prose,) = ask(played, request("milk"))
        assert (type(prose), prose.message) == (BadAnswer, "prose.")
        with pytest.raises(CallMissingError):
            ask(played, request("tea"))


def test_vectors_are_played_back_bit_for_bit_in_the_order_asked(tmp_path: Path) -> None:
    inner = Letters()
    with Cassette(tmp_path / "c", Mode.RECORD) as cassette:
        coder = RecordedEncoder(cassette, CODER, 26, lambda: inner)
        first = coder.encode(["milk", "tea", "milk"])
        again = coder.encode(["tea", "soap"])
        assert inner.texts == 3
    assert np.array_equal(first[1], again[0])
    with Cassette(tmp_path / "c", Mode.STRICT) as cassette:
        coder = RecordedEncoder(cassette, CODER, 26, never)
        assert coder.encode(["milk", "tea", "milk"]).tobytes() == first.tobytes()
        assert coder.encode([]).shape == (0, 26)
        with pytest.raises(CallMissingError, match="'rope'"):
            coder.encode(["milk", "rope"])
        with pytest.raises(OtherModelError):
            RecordedEncoder(cassette, CODER._replace(hash="sha256:other"), 26, never)


def test_calls_are_found_by_their_address_and_compaction_forgets_a_model(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with Cassette(path, Mode.RECORD) as cassette:
        ask(runtime(cassette, Next()), *(request(f"views: milk {n}") for n in range(400)))
        RecordedEncoder(cassette, CODER, 26, Letters).encode(["milk"])
        every = list(cassette.find(""))
        assert len(every) == 401
        one = every[7]
        assert [found.call for found in cassette.find(one.key.hex()[:20].upper())] == [one.call]
        assert one.call.key == one.key
        with pytest.raises(CassetteError, match="no model whose hash"):
            cassette.compact(drop=["sha256:9"])
        gone, before, after = cassette.compact(drop=[MODEL.hash])
        assert gone == 400
        assert before > after == path.stat().st_size
        assert [held.model for held in cassette.summary()] == [CODER]


def test_what_is_no_cassette_or_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="There is no cassette"):
        Cassette(tmp_path / "c", Mode.STRICT)
    (tmp_path / "text").write_text("hello" * 500)
    with pytest.raises(CassetteError, match="cannot be opened"):
        Cassette(tmp_path / "text", Mode.REPLAY)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE a (b)").connection.close()
    with pytest.raises(CassetteError, match="is no cassette"):
        Cassette(tmp_path / "other", Mode.REPLAY)
    Cassette(tmp_path / "new", Mode.RECORD).close()
    connection = sqlite3.connect(tmp_path / "new")
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(CassetteError, match="of version 9"):
        Cassette(tmp_path / "new", Mode.REPLAY)


texts = st.text(max_size=20)
calls = st.builds(
    Call,
    st.builds(Model, texts, texts, texts, texts),
    texts,
    st.dictionaries(texts, st.integers(-9, 9), max_size=3),
    texts,
)


@given(calls, calls)
def test_two_calls_share_an_address_only_if_they_are_the_same(one: Call, other: Call) -> None:
    assert (one.key == other.key) == (one == other)


@given(st.text(), st.lists(st.floats(0, 1), max_size=4), st.integers(0, 999))
def test_an_answer_survives_the_cassette_exactly(text: str, confidences: list[float], tokens: int) -> None:
    from stream.replay.recorded_runtime import _read, _written

    answer = Generation(text, tokens, 3, "stop", tuple(confidences))
    written = _written(answer)
    assert written is not None
    assert _read(written) == answer
