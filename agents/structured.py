"""The schema of the model's output, one for every runtime.

In-process it is compiled to a grammar that masks the decoder; to a server the very same schema goes
as ``response_format``. It is kept plain on purpose (an object, an array, strings with a length) so
that every constrained decoder supports all of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model

from agents.errors import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SHORTEST_QUERY", "Structure", "queries"]

# Shorter than this no search says anything ("tv" does).
SHORTEST_QUERY = 2

_SHOWN = 120


@dataclass(frozen=True)
class Structure:
    """A named output model with its JSON schema.

    ``at_most`` and ``longest`` bound the number of queries and their length in characters.
    """

    name: str
    model: type[BaseModel]
    at_most: int
    longest: int

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema, as sent to servers and compiled to a grammar."""
        return self.model.model_json_schema()

    @cached_property
    def response_format(self) -> dict[str, Any]:
        """The ``response_format`` of the OpenAI API; vLLM reads the same."""
        return {
            "type": "json_schema",
            "json_schema": {"name": self.name, "schema": self.schema, "strict": True},
        }

    def dump(self, texts: Sequence[str]) -> str:
        """Compact JSON in the form of the schema, as few-shot examples show it."""
        return json.dumps({"queries": list(texts)}, separators=(",", ":"), ensure_ascii=False)

    def parse(self, text: str) -> list[str]:
        """The queries of an answer.

        Raises:
            BadAnswer: the text is no JSON of this schema; the message quotes its beginning.
        """
        try:
            answer = self.model.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole answer"
            raise BadAnswer(
                f"the model's answer does not follow the schema ({where}: {first['msg']}): {text[:_SHOWN]!r}.",
                way_out="Check that the server supports response_format json_schema and that max_tokens suffices.",
            ) from error
        return list(answer.queries)  # type: ignore[attr-defined]  # the field is made by create_model


def queries(at_most: int, longest: int) -> Structure:
    """The structure ``{"queries": [...]}`` with 1 to ``at_most`` strings of up to ``longest`` characters."""
    query = Annotated[str, StringConstraints(min_length=SHORTEST_QUERY, max_length=longest)]
    model = create_model(
        "Queries",
        __config__=ConfigDict(extra="forbid"),
        queries=(list[query], Field(min_length=1, max_length=at_most)),
    )
    return Structure("queries", model, at_most, longest)
