"""What pydantic found wrong with settings, in the words of somebody who wrote them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = ["problems"]

_SHOWN = 60
"""Characters of a wrong value; a longer one is not shown."""
_OWN_WORDS = "Value error, "


def problems(error: ValidationError, model: type[BaseModel]) -> str:
    """Everything that is wrong, each with its setting, what was expected, and what was found unless it is secret.

    Args:
        error: Of the validation.
        model: What was validated; unknown settings are answered with the known one nearest to them.
    """
    return "; ".join(_problem(one, model) for one in error.errors(include_url=False))


def _problem(one: ErrorDetails, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in one["loc"])
    field, beside = _named(one["loc"], model)
    if one["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(one["loc"][-1]), beside, n=1)
        return f"{place}: there is no such setting" + (f" (did you mean {near[0]}?)" if near else "")
    said = one["msg"].removeprefix(_OWN_WORDS)
    # What a validator of ours says names what it found.
    shown = one["msg"] == said and field is not None and not _secret(field.annotation)
    found = one["input"]
    if shown and isinstance(found, str | int | float) and len(repr(found)) <= _SHOWN:
        said = f"{said}, found {found!r}"
    return f"{place}: {said}" if place else said


def _named(place: tuple[int | str, ...], model: type[BaseModel]) -> tuple[FieldInfo | None, list[str]]:
    """The field at a place, None where there is none; and the names of those in the same model."""
    fields: Mapping[str, FieldInfo] = model.model_fields
    field: FieldInfo | None = None
    for at, part in enumerate(place):
        field = fields.get(str(part))
        inner = _model(field.annotation) if field is not None else None
        if inner is None or at == len(place) - 1:
            break
        fields = inner.model_fields
    return field, list(fields)


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model within an annotation such as ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_secret(part) for part in get_args(annotation))
