"""Events in CloudEvents envelopes mean what the events in them mean."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from stream.events import DefectiveEventError, EventDecoder

NOW = 1_760_000_000_000
EVENT = {"event_id": "e1", "user_id": "ann", "type": "view", "ts": NOW - 5, "item_id": "i1"}


def envelope(data: Any = None, **other: Any) -> bytes:
    head = {"specversion": "1.0", "id": "c1", "source": "/shop", "type": "com.example.view"}
    inside = {} if data is None else {"data": data, "datacontenttype": "application/json"}
    return json.dumps({**head, **inside, **other}).encode()


def test_an_event_in_an_envelope_is_that_event() -> None:
    decoder = EventDecoder()
    assert decoder.decode(envelope(EVENT), NOW) == decoder.decode(json.dumps(EVENT).encode(), NOW)
    assert decoder.cloud_events == 1


def test_what_the_event_does_not_say_the_envelope_says() -> None:
    event = EventDecoder().decode(
        envelope({"item_id": "i1"}, subject="ann", time="2025-10-09T08:53:19.995Z"), NOW
    )
    said = (event.event_id, event.user_id, event.type, event.ts, event.item_id)
    assert said == ("c1", "ann", "view", NOW - 5, "i1")


def test_a_topic_with_names_and_a_type_of_its_own_reads_envelopes_too() -> None:
    decoder = EventDecoder(fields={"user_id": "uid", "ts": "at"}, event_type="click")
    event = decoder.decode(envelope({"uid": "ann", "at": NOW, "item_id": "i1"}, id="c9"), NOW)
    assert (event.event_id, event.user_id, event.type) == ("c9", "ann", "click")


def test_data_may_come_as_base64() -> None:
    data = base64.b64encode(json.dumps(EVENT).encode()).decode()
    assert EventDecoder().decode(envelope(data_base64=data), NOW).event_id == "e1"


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (envelope(EVENT, specversion="0.3"), "expected '1.0'"),
        (envelope(), "it has no data"),
        (envelope("text"), "Expected `object | null`"),
        (envelope(data_base64="%%%"), "base64"),
        (envelope(EVENT, time="yesterday"), "RFC3339"),
        (envelope({"item_id": "i1"}, time="2025-10-09T08:53:19Z"), "missing required field `user_id`"),
        (envelope(json.loads(envelope(EVENT)), time="2025-10-09T08:53:19Z"), "missing required field"),
    ],
    ids=["version", "no data", "text", "base64", "time", "nobody", "twice wrapped"],
)
def test_an_envelope_without_an_event_is_dead_with_what_is_wrong(value: bytes, detail: str) -> None:
    decoder = EventDecoder()
    with pytest.raises(DefectiveEventError) as caught:
        decoder.decode(value, NOW)
    assert caught.value.defect == "wrong_type"
    assert detail in caught.value.detail
    assert decoder.cloud_events == 0
