"""Everything that can go wrong in inference.

AgentError
├── PromptError        a prompt file is missing or malformed
├── LexiconError       a lexicon of decision factors cannot be written or read
├── HistoryError       a purchase or a ledger line cannot be used
├── CalibrationError   what the judge learnt cannot be read, or cannot be learnt
├── TrendError         documents of trends cannot be read
├── DistillError       pairs or a student cannot be read, or training cannot go on
├── ModelError         the in-process model cannot be found, converted or loaded
└── GenerationError    one request got no usable answer; returned as a value, never raised past a runtime
    ├── Unreachable    nobody answers at the model server's address
    ├── Refused        the server answered with an error (429, 4xx, 5xx)
    ├── BadAnswer      the answer is no JSON of the schema (HTML, prose, cut short)
    └── TooLate        the deadline passed before a first demand was complete
"""

# ruff: noqa: N818  # the base class says "error"; these say which

from __future__ import annotations

from nearline import NearlineError

__all__ = [
    "AgentError",
    "BadAnswer",
    "CalibrationError",
    "DistillError",
    "GenerationError",
    "HistoryError",
    "LexiconError",
    "ModelError",
    "PromptError",
    "Refused",
    "TooLate",
    "TrendError",
    "Unreachable",
]


class AgentError(NearlineError):
    """Root of the errors of inference."""


class PromptError(AgentError):
    """A prompt file is missing or does not have its parts; name a version that exists."""


class LexiconError(AgentError):
    """A lexicon of decision factors cannot be written or read; mine it again from the catalogue."""


class HistoryError(AgentError):
    """A purchase or a ledger line cannot be used; the message names it and what was expected."""


class CalibrationError(AgentError):
    """What the judge learnt cannot be read, or cannot be learnt from what was labelled; fit it anew."""


class TrendError(AgentError):
    """Documents of trends cannot be read; the message names the file and line."""


class DistillError(AgentError):
    """Pairs or a student cannot be read, or training cannot go on; the message names the file and line."""


class ModelError(AgentError):
    """The in-process model cannot be found, converted or loaded; install the extra or name a folder."""


class GenerationError(AgentError):
    """One request got no usable answer; the ladder takes the next rung and records this message."""

    kind = "failed"


class Unreachable(GenerationError):
    """Nobody answers at the model server's address: is it up, and is the URL right?"""

    kind = "unreachable"


class Refused(GenerationError):
    """The server answered with an error status; its log says more."""

    kind = "refused"

    def __init__(self, message: str, *, status: int, way_out: str = "") -> None:
        super().__init__(message, way_out=way_out)
        self.status = status


class BadAnswer(GenerationError):
    """The answer is no JSON of the schema; check that the server supports structured outputs."""

    kind = "bad_answer"


class TooLate(GenerationError):
    """The deadline passed first; raise it, add workers, or use a smaller model."""

    kind = "too_late"
