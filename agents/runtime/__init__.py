"""Where the model runs: in this process, or behind an OpenAI-compatible server.

protocol    what a runtime is: batches of requests in, an answer or an error for each out
choice      which runtime, where the settings leave it open
server      an OpenAI-compatible server such as vLLM
student     the shop's distilled student in this process
local       the model in this process, in a thread of its own
  weights     finding the model and converting the packaged one
  engine      the loaded model: prompts kept computed, decoding in batches
  attention   attention over one shared prompt and each shopper's own part
  linear      matrix products that suit a few rows on a CPU
  vocabulary  the pieces that the model may write
  constraint  one answer being written: grammar, copies, room left
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.choice import settled
from agents.runtime.protocol import Generation, Request, Runtime
from agents.settings import RuntimeKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.settings import AgentSettings

__all__ = ["Generation", "Request", "Runtime", "open_runtime", "prepare_model", "settled"]


def prepare_model(settings: AgentSettings) -> None:
    """Do beforehand what the first start of the in-process model would wait for: convert the packaged one.

    Returns at once if that was done before, or if another runtime answers. ``auto`` should be settled before
    (`settled`); here and in `open_runtime` it means the in-process model.

    Raises:
        ModelError: the in-process model cannot be found or converted.
    """
    if settings.runtime in {RuntimeKind.LOCAL, RuntimeKind.AUTO}:
        from agents.runtime.weights import locate  # noqa: PLC0415  # brings torch if there is work to do

        locate(settings.local)


def open_runtime(
    settings: AgentSettings, phrases: Iterable[str] = (), categories: Iterable[str] = ()
) -> Runtime:
    """The runtime that the settings name; the in-process model is loaded here (seconds, blocking).

    ``phrases`` are texts of the shop, such as its short titles: the student writes nothing else, and the
    in-process model may write their words, and those of its ``categories``, beside the commonest ones.

    Raises:
        ModelError: the in-process model cannot be found or loaded.
    """
    if settings.runtime is RuntimeKind.SERVER:
        from agents.runtime.server import ServerRuntime  # noqa: PLC0415  # either runtime has extras of its own

        return ServerRuntime(settings.server)
    if settings.runtime is RuntimeKind.STUDENT:
        from agents.runtime.student import StudentRuntime  # noqa: PLC0415  # brings torch when it is made

        return StudentRuntime(settings.student, phrases)
    from agents.runtime.local import LocalRuntime  # noqa: PLC0415  # brings torch

    return LocalRuntime(settings.local, (*categories, *phrases))
