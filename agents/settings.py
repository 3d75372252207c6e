"""What inference can be told: which runtime, which model, how long, how many failures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from agents.background import BackgroundSettings
from agents.leads import Lead

__all__ = [
    "LEADS_PROMPT",
    "AgentSettings",
    "BreakerSettings",
    "Dtype",
    "JudgeSettings",
    "LocalSettings",
    "Mode",
    "RuntimeKind",
    "ServerSettings",
    "StudentSettings",
    "WordingSettings",
]


LEADS_PROMPT: Final = "u2q-leads-1"
"""The prompt of models that are asked by leads."""


class RuntimeKind(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    """The student where one is named or a packaged one knows the catalogue, else the in-process model."""
    LOCAL = "local"
    """In this process, with transformers on the CPU."""
    STUDENT = "student"
    """In this process, the shop's own distilled student."""
    SERVER = "server"
    """Behind an OpenAI-compatible server such as vLLM."""


class Mode(StrEnum):
    """Which endpoint of a server is used."""

    CHAT = "chat"
    """/v1/chat/completions, for instruction-tuned models."""
    COMPLETION = "completion"
    """/v1/completions, for base models."""


class Dtype(StrEnum):
    """Number format of the in-process model's layers."""

    FLOAT32 = "float32"
    """Fastest on processors without bfloat16 instructions; the default."""
    BFLOAT16 = "bfloat16"
    """Half the memory; slower unless the processor has AMX or AVX512-BF16."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalSettings(_Model):
    """The in-process runtime."""

    model: str = Field(
        default="gemma3-270m",
        description="`gemma3-270m` for the packaged model, or a folder with config.json, safetensors and tokenizer.json.",
    )
    cache: Path = Field(
        default=Path("~/.cache/nearline"),
        description="Where the packaged model is kept in converted form (540 MB).",
    )
    threads: int = Field(default=2, ge=1, description="CPU threads of the model.")
    dtype: Dtype = Field(
        default=Dtype.FLOAT32, description="Number format of the layers: float32 or bfloat16."
    )
    batch: int = Field(default=16, ge=1, le=256, description="Most shoppers decoded together.")
    vocabulary: int = Field(
        default=24_000,
        ge=1_000,
        description="Commonest word pieces the model may write; fewer is faster and poorer.",
    )


class StudentSettings(_Model):
    """The runtime of the distilled student."""

    model: str = Field(
        default="",
        description="Folder of a student that `nearline distill train` wrote; empty for the packaged one of the demo's shop.",
    )
    threads: int = Field(
        default=2,
        ge=1,
        description="CPU threads of the student: a batch is shared out among them; one shopper is answered by one.",
    )
    batch: int = Field(default=16, ge=1, le=256, description="Most shoppers answered together.")
    personal: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="How much of what everybody wants is taken away where a shopper is well known: 0 for nothing.",
    )
    new_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Share of a shopper's demands kept for titles that came after the student was trained.",
    )


class ServerSettings(_Model):
    """The runtime that calls an OpenAI-compatible server."""

    url: str = Field(
        default="http://127.0.0.1:8000/v1", description="Base URL of the API, up to and including /v1."
    )
    model: str = Field(default="", description="Model name as the server knows it.")
    api_key: SecretStr = Field(
        default=SecretStr(""), description="Sent as a bearer token; empty for servers without one."
    )
    mode: Mode = Field(
        default=Mode.CHAT, description="chat for instruction-tuned models, completion for base models."
    )
    structured: bool = Field(
        default=True,
        description="Send the JSON schema as `response_format`. Off for servers that refuse it: answers are then "
        "checked and not constrained, which suits a student, trained to write this form.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=12,
        description="Most tokens of an answer; empty for as many as the longest answer of the schema has characters. "
        "To be set where that is more than the model's context, as with 20 demands of a student (400).",
    )
    concurrency: int = Field(default=32, ge=1, description="Most calls in flight at once.")
    timeout: float = Field(default=10.0, gt=0, description="Seconds after which one call is given up.")
    retries: int = Field(
        default=1, ge=0, le=5, description="Repeats of a call after 429, 5xx or a lost connection."
    )


class BreakerSettings(_Model):
    """The circuit breaker before the model."""

    failures: int = Field(default=5, ge=1, description="Failed requests in a row that open the breaker.")
    pause: float = Field(
        default=10.0, gt=0, description="Seconds it stays open before one batch may probe the model."
    )


class JudgeSettings(_Model):
    """The judge of demands."""

    enabled: bool = Field(
        default=False,
        description="Judge the model's demands before they are served. Of what the packaged base model writes, two "
        "in three do not pass; switch it on with a student or an instruct model.",
    )
    calibration: Path | None = Field(
        default=None,
        description="What `nearline judge fit` wrote from one's own shop; empty for the one that comes along.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Least score that is served; empty for the calibration's own, which are stricter where little is known of a shopper.",
    )
    opinion: str = Field(
        default="",
        description="Version of the prompt that asks the model which demands it stands by, such as "
        "`judge-opinion-1`; empty not to ask. For models that follow instructions; costs a second call.",
    )


class WordingSettings(_Model):
    """The wording of portraits by a language model behind a server."""

    enabled: bool = Field(
        default=False,
        description="Have a model say in a line what a portrait's shopper is mostly after, beside serving and once for each state of "
        "the ledger. Used where every word is one of the facts'. For models that are told portraits (`agents.background.told`).",
    )
    server: ServerSettings = Field(
        default=ServerSettings(),
        description="The server asked; where it names no model, that of `agents.server`.",
    )
    waiting: int = Field(
        default=512, ge=1, description="Most portraits that wait for words; the longest waiting are dropped."
    )


# A student reads many titles for little and writes whole ones.
_OF_STUDENTS: Final[dict[str, Any]] = {
    "prompt": "u2q-student-1",
    "profile_chars": 1_200,
    "queries": 20,
    "query_chars": 48,
}


class AgentSettings(_Model):
    """Inference from shoppers' activity to demands.

    With the runtime ``student`` and nothing said of them, ``prompt`` is u2q-student-1, ``profile_chars`` 1200,
    ``queries`` 20 and ``query_chars`` 48. With the runtime ``server`` and nothing said of them, ``leads`` are all and ``prompt`` is
    u2q-leads-1, which is also the prompt of ``local`` with ``leads``.
    """

    runtime: RuntimeKind = Field(
        default=RuntimeKind.AUTO,
        description="local or student (both in this process), or server; auto takes the student where one is named or the "
        "packaged one knows the catalogue, else local.",
    )
    local: LocalSettings = Field(default=LocalSettings(), description="The in-process runtime.")
    student: StudentSettings = Field(
        default=StudentSettings(), description="The distilled student in this process."
    )
    server: ServerSettings = Field(default=ServerSettings(), description="The server runtime.")
    breaker: BreakerSettings = Field(default=BreakerSettings(), description="The circuit breaker.")
    judge: JudgeSettings = Field(default=JudgeSettings(), description="The judge of demands.")
    background: BackgroundSettings = Field(
        default=BackgroundSettings(),
        description="What the model is told of a shopper beside the recent acts.",
    )
    wording: WordingSettings = Field(
        default=WordingSettings(), description="The wording of portraits by a language model."
    )
    prompt: str = Field(
        default="u2q-fewshot-1", description="Version of the prompt, a file in agents/prompts."
    )
    profile_chars: int = Field(
        default=240, ge=80, description="Most characters of a shopper's profile in the prompt."
    )
    queries: int = Field(
        default=4, ge=1, le=40, description="Most demands asked of the model in one request."
    )
    leads: tuple[Lead, ...] = Field(
        default=(),
        description="Sides from which the model is asked: recent, long-term, potential, trend; each is a request of its own with "
        "its own instruction, for those shoppers of whom something is known from there. Empty to ask once, with everything known. "
        "Where nothing is said, a server is asked from all four sides. A model in this process is asked once: recent and long-term find two "
        "and a half times as much for as much more CPU time (docs/evaluation.md). A student is always asked once.",
    )
    explicit: int = Field(
        default=4,
        ge=0,
        le=20,
        description="Most demands in the shopper's own words, before those that are inferred: what they searched for and "
        "looked at in the present visit. 0 for none.",
    )
    mend: bool = Field(
        default=True,
        description="Read a search that has none of the catalogue's words as the word of the catalogue that is a slip of the "
        "keyboard away, where there is one and no other; the search as it was typed stays in the chain.",
    )
    query_chars: int = Field(default=32, ge=8, le=80, description="Most characters of one demand.")
    max_tokens: int = Field(default=32, ge=12, description="Most tokens generated for one shopper.")
    temperature: float = Field(
        default=0.3, ge=0, le=2, description="0 takes the likeliest word; higher varies more."
    )
    seed: int = Field(
        default=20_250_504, ge=0, description="Seed; with the shopper and the moment it fixes the sampling."
    )
    deadline: float = Field(
        default=6.0, gt=0, description="Seconds after the call by which demands must be there."
    )

    @model_validator(mode="before")
    @classmethod
    def _by_form(cls, data: Any) -> Any:
        return {**cls._given(data), **data} if isinstance(data, dict) else data

    @classmethod
    def _given(cls, data: dict[str, Any]) -> dict[str, Any]:
        """What holds for a runtime where nothing else is said."""
        runtime = data.get("runtime", RuntimeKind.AUTO)
        if runtime == RuntimeKind.STUDENT:
            return _OF_STUDENTS
        if runtime == RuntimeKind.SERVER and not {"leads", "prompt"} & data.keys():
            # A server answers many requests at once, and keeps what they share.
            return {"leads": tuple(Lead), "prompt": LEADS_PROMPT}
        # While it is open whether a student will answer, nothing is said of the prompt.
        return {"prompt": LEADS_PROMPT} if data.get("leads") and runtime != RuntimeKind.AUTO else {}

    def said(self) -> dict[str, Any]:
        """What was set, without what came with the runtime."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        given = {
            **self._given({name: value for name, value in own.items() if name not in {"leads", "prompt"}}),
            **self._given({name: value for name, value in own.items() if name != "prompt"}),
        }
        return {name: value for name, value in own.items() if name not in given or given[name] != value}
