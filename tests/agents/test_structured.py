import pytest

from agents.errors import BadAnswer
from agents.structured import queries


def test_an_answer_of_the_schema_gives_its_queries() -> None:
    assert queries(4, 32).parse('{"queries":["garlic bread","red wine"]}') == ["garlic bread", "red wine"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure! Here are some ideas:",
        "<html><body>502</body></html>",
        '{"queries":["garlic br',
        '{"queries":[]}',
        '{"queries":["a","b"]}',
        '{"queries":["one","two","three"]}',
        '{"queries":["ok"],"admin":true}',
        '{"queries":"tea"}',
        '["tea"]',
        '{"queries":["' + "x" * 33 + '"]}',
    ],
)
def test_any_other_answer_is_refused_with_its_beginning(text: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        queries(2, 32).parse(text)
    assert repr(text[:20])[1:-1] in str(caught.value)


def test_the_same_schema_goes_to_servers_and_to_the_grammar() -> None:
    structure = queries(3, 20)
    sent = structure.response_format
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] is structure.schema
    assert structure.schema["additionalProperties"] is False
    assert structure.schema["properties"]["queries"]["maxItems"] == 3
    assert structure.schema["properties"]["queries"]["items"]["maxLength"] == 20
