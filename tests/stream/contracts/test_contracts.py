"""docs/contracts/ is what the types say, and says of messages what the code says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts import SCHEMAS, asyncapi_document, contract_files, schema_of
from stream.events import EVENT_TYPES, DefectiveEventError, EventDecoder
from stream.gate.rules.ruleset import DEFAULT_RULES
from stream.settings import EventTopic, KafkaSettings

FOLDER = Path(__file__).parents[3] / "docs" / "contracts"
NOW = 1_760_000_000_000
VIEW = {"event_id": "e1", "user_id": "ann", "type": "view", "ts": NOW, "item_id": "i1"}


def test_the_files_in_the_docs_are_what_the_types_generate() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert kept == contract_files(), "run `make docs`"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


def test_every_topic_of_the_settings_is_in_the_document_and_every_reference_leads_somewhere() -> None:
    kafka = KafkaSettings(prefix="shop.", event_topics=[EventTopic(topic="clickstream")])
    document = asyncapi_document(kafka)
    addresses = {channel["address"] for channel in document["channels"].values()}
    own = {kafka.triggers_topic, kafka.slates_topic, kafka.dead_topic, kafka.catalog_topic}
    assert addresses == {"shop.clickstream"} | own

    def follow(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if reference is not None and reference.startswith("#/"):
                found: Any = document
                for step in reference[2:].split("/"):
                    found = found[step]
            elif reference is not None:
                assert reference.removeprefix("./") in contract_files()
            for value in node.values():
                follow(value)
        elif isinstance(node, list):
            for value in node:
                follow(value)

    follow(document)
    assert yaml.safe_load(contract_files()["asyncapi.yaml"])["asyncapi"] == "3.0.0"


_IDS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=130)
_EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "event_id": _IDS,
        "user_id": _IDS | st.integers(),
        "type": st.sampled_from([*sorted(EVENT_TYPES), "levitate"]),
        "ts": st.sampled_from([NOW, 12, "soon", 1.5]),
        "item_id": st.none() | _IDS,
        "query": st.none() | st.sampled_from(["", " ", "oat milk", 7]),
        "quantity": st.none() | st.integers(-1, 2) | st.just(2_000_000),
        "amount": st.none() | st.sampled_from([-0.5, 0, 9.99, 2e9]),
        "scene": st.none() | _IDS,
        "other": st.integers(),
    },
)


EVENT_SCHEMA = jsonschema.Draft202012Validator(schema_of("event"))


@settings(deadline=None)
@given(_EVENTS)
def test_an_event_that_fits_the_schema_is_never_dead_and_a_dead_one_never_fits(event: dict[str, Any]) -> None:
    fits = EVENT_SCHEMA.is_valid(event)
    try:
        EventDecoder().decode(json.dumps(event).encode(), NOW)
        dead = False
    except DefectiveEventError:
        dead = True
    # The other way round is not so: what optional fields say wrongly is dropped, and the event is used.
    assert not (fits and dead), event


def test_what_the_schema_refuses_and_the_gate_cannot_use_is_the_same_for_each_needed_field() -> None:
    schema = jsonschema.Draft202012Validator(schema_of("event"))
    assert schema.is_valid(VIEW)
    for missing in VIEW:
        event = {name: value for name, value in VIEW.items() if name != missing}
        assert not schema.is_valid(event), missing
        with pytest.raises(DefectiveEventError):
            EventDecoder().decode(json.dumps(event).encode(), NOW)


def test_the_default_rules_fit_their_schema() -> None:
    rules = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
    schema = jsonschema.Draft202012Validator(schema_of("rules"))
    schema.validate(rules)
    rules["rules"][0]["cooldwon"] = 1
    assert not schema.is_valid(rules)
