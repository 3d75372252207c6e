"""Lines of the log: JSON with the triggers they are about, and never a password."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from stream.logs import JsonLines, TextLines, about_triggers, without_secrets


def record(message: str, *about: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("stream.infer", logging.WARNING, __file__, 1, message, about, None)
    vars(made).update(extra)
    return made


def test_a_line_is_one_json_object_with_the_triggers_it_is_about() -> None:
    lines = JsonLines("host-6066")
    with about_triggers(["t1", "t2"]):
        line = json.loads(lines.format(record("two\nlines %d", 7, partition=3)))
    assert line["triggers"] == ["t1", "t2"]
    assert line["message"] == "two\nlines 7"
    assert (line["worker"], line["level"], line["logger"], line["partition"]) == (
        "host-6066",
        "warning",
        "stream.infer",
        3,
    )
    assert line["at"].endswith("Z")
    assert "\n" not in lines.format(record("two\nlines"))
    assert "triggers" not in json.loads(lines.format(record("later")))


async def test_threads_begun_for_a_trigger_name_it_and_other_tasks_do_not() -> None:
    lines, begun = JsonLines("w"), asyncio.Event()

    async def other() -> str:
        await begun.wait()
        return lines.format(record("other"))

    task = asyncio.create_task(other())
    with about_triggers(["t1"]):
        mine = await asyncio.to_thread(lines.format, record("mine"))
        begun.set()
        await asyncio.sleep(0)
        assert "triggers" not in json.loads(await task)
    assert json.loads(mine)["triggers"] == ["t1"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no Redis at redis://nearline:hunter2@redis:6379/0 (x)", "no Redis at redis://***@redis:6379/0 (x)"),
        ("rediss://:hunter2@[::1]:6379", "rediss://***@[::1]:6379"),
        ("http://hunter2@llm/v1 and https://a:hunter2@b", "http://***@llm/v1 and https://***@b"),
        ("kafka-1:9092, ann@example.org, http://llm:8000/v1", None),
    ],
)
def test_what_stands_before_the_at_of_an_address_is_left_out(text: str, kept: str | None) -> None:
    assert without_secrets(text) == (kept or text)
    for lines in (JsonLines("w"), TextLines()):
        made = record("%s", text, address=text)
        made.exc_info = (OSError, OSError(text), None)
        assert ("hunter2" in lines.format(made)) == (kept is None and "hunter2" in text)
