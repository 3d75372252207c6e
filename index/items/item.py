"""One item of the catalogue, as it is checked when it enters."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from index.items.cleaning import clean_text, strict_id

__all__ = ["UNCATEGORISED", "Item", "fault"]

UNCATEGORISED: Final = "uncategorised"
"""Category of the items that come without one."""

MAX_ID: Final = 256
MAX_TITLE: Final = 1_000
MAX_NAME: Final = 200
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTE: Final = 500
MAX_NUMBER: Final = 1e12


def _title(value: object) -> str:
    title = clean_text(value, MAX_TITLE)
    if not any(char.isalnum() for char in title):
        raise ValueError("empty, or nothing but punctuation")
    return title


def _name(value: object) -> str | None:
    return None if value is None else clean_text(value, MAX_NAME) or None


def _category(value: object) -> str:
    return _name(value) or UNCATEGORISED


def _number(value: object) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"expected a number, found {type(value).__name__}")  # noqa: TRY004 - pydantic collects ValueError only
    if isinstance(value, str) and (len(value) > 40 or "_" in value):
        raise ValueError("expected a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("expected a number") from None
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError(f"expected a number from 0 to {MAX_NUMBER:.0e}")
    return number


def _attributes(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")  # noqa: TRY004 - as above
    if len(value) > MAX_ATTRIBUTES:
        raise ValueError(f"more than {MAX_ATTRIBUTES}")
    return {clean_text(key, MAX_NAME): _attribute(one) for key, one in value.items() if one is not None}


def _attribute(value: object) -> str:
    if isinstance(value, bool | int | float):
        value = str(value)
    return clean_text(value, MAX_ATTRIBUTE)


class Item(BaseModel):
    """An item that may be recommended. Text is cleaned by the rule in `index.items.cleaning`.

    Numbers may be written as text (as in CSV). A price of nothing is unknown, which is not zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: Annotated[str, BeforeValidator(lambda value: strict_id(value, MAX_ID))]
    title: Annotated[str, BeforeValidator(_title)]
    category: Annotated[str, BeforeValidator(_category)] = UNCATEGORISED
    price: Annotated[float | None, BeforeValidator(_number)] = None
    brand: Annotated[str | None, BeforeValidator(_name)] = None
    popularity: Annotated[float | None, BeforeValidator(_number)] = None
    attributes: Annotated[dict[str, str], BeforeValidator(_attributes)] = Field(default_factory=dict)


def fault(error: ValidationError) -> tuple[str, str]:
    """The field and the reason of the first thing that is wrong with an item."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    reason = (
        "missing or empty" if first["type"] == "missing" else str(first["msg"]).removeprefix("Value error, ")
    )
    return str(first["loc"][0]), reason
