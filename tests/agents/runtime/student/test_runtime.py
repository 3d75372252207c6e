"""The packaged student as a runtime: a batch is shared out among its threads, and nobody's answer goes to another."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from agents import AgentSettings, open_runtime, prompts
from agents.runtime import Generation, Request, student
from agents.structured import queries

pytestmark = pytest.mark.real

_STUDENT = Path(student.__file__).parent / "packaged" / "completejourney"
_KINDS = ("soft drinks", "yogurt", "cat food", "shampoo", "baby diapers", "ice cream", "bananas")


async def _wanted(threads: int, batch: int, texts: list[str], *sizes: int) -> list[list[str]]:
    settings = AgentSettings.model_validate(
        {"runtime": "student", "student": {"model": str(_STUDENT), "threads": threads, "batch": batch}}
    )
    prompt, structure = prompts.load(settings.prompt), queries(5, settings.query_chars)
    runtime = open_runtime(settings)
    await runtime.prepare(prompt, structure)
    answers: list[list[str]] = []
    requests = [Request(prompt, text, structure, settings.max_tokens, 0.0, 0) for text in texts]
    for size in sizes:
        found = await runtime.generate(requests[len(answers) : len(answers) + size])
        assert all(isinstance(one, Generation) for one in found), found
        answers += [json.loads(one.text)["queries"] for one in found if isinstance(one, Generation)]
    await runtime.close()
    return answers


async def test_a_batch_on_two_threads_is_answered_as_each_shopper_alone_is() -> None:
    texts = [
        "bought: " + "; ".join(_KINDS[(first + at) % len(_KINDS)] for at in range(1 + (5 * first) % 6))
        for first in range(11)
    ]
    alone = await _wanted(1, 1, texts, *[1] * len(texts))
    assert len({tuple(one) for one in alone}) > 5
    assert await _wanted(2, 4, texts, 7, 4) == alone
