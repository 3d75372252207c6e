"""Times as people write them on the command line."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

from console.errors import ConsoleError

__all__ = ["moment"]

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str, option: str) -> int:
    """``24h`` (ago), or a time as ISO 8601 has it (UTC unless it says otherwise), in milliseconds.

    Raises:
        ConsoleError: naming the option, if it is neither.
    """
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])(?: ago)?", text.strip()):
        return int((time.time() - float(match[1]) * _UNITS_S[match[2]]) * 1000)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConsoleError(
            f"{option} {text!r} is no time.", way_out="Give one such as 24h (ago) or 2025-05-04T12:00 (UTC)."
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
