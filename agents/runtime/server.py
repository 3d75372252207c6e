"""The model behind an OpenAI-compatible server, such as vLLM."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import openai

from agents.errors import AgentError, BadAnswer, GenerationError, Refused, TooLate, Unreachable
from agents.runtime.protocol import Generation
from agents.settings import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.prompts import Prompt
    from agents.runtime.protocol import Request
    from agents.settings import ServerSettings
    from agents.structured import Structure

__all__ = ["ServerRuntime"]

_READY_TIMEOUT = 2.0
_FIRST_PAUSE = 0.1
_SHOWN = 120


class ServerRuntime:
    """Calls a server, at most ``concurrency`` requests at once, each with its own deadline."""

    name = "server"

    def __init__(self, settings: ServerSettings) -> None:
        """Prepare a client; nothing is called yet.

        Raises:
            AgentError: the settings name no model.
        """
        if not settings.model:
            raise AgentError(
                "agents.server.model is empty.", way_out="Set it to the model's name as the server knows it."
            )
        self.model = settings.model
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.concurrency)
        # The client's own retries know nothing of deadlines; those below do.
        self._client = openai.AsyncOpenAI(
            base_url=settings.url,
            api_key=settings.api_key.get_secret_value() or "none",
            timeout=settings.timeout,
            max_retries=0,
        )

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Nothing: a server keeps computed prefixes by itself."""

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        """All requests at the same time; each fails alone."""
        return list(await asyncio.gather(*(self._answer(request, deadline) for request in requests)))

    async def ready(self) -> bool:
        """Whether the server lists its models."""
        try:
            await self._client.with_options(timeout=_READY_TIMEOUT).models.list()
        except (openai.OpenAIError, httpx.HTTPError, json.JSONDecodeError):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _answer(self, request: Request, deadline: float | None) -> Generation | GenerationError:
        limits = [at for at in (deadline, request.deadline) if at is not None]
        left = min(limits) - time.monotonic() if limits else None
        try:
            async with asyncio.timeout(None if left is None else max(0.0, left)), self._slots:
                return await self._attempts(request)
        except TimeoutError:
            return TooLate(
                f"{self._settings.url} had not answered by the deadline.",
                way_out="Raise agents.deadline, or give the server more room.",
            )
        except GenerationError as error:
            return error

    async def _attempts(self, request: Request) -> Generation:
        for attempt in range(self._settings.retries + 1):
            try:
                return await self._call(request)
            except (Unreachable, Refused) as error:
                again = not isinstance(error, Refused) or error.status == 429 or error.status >= 500
                if not again or attempt == self._settings.retries:
                    raise
            await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
        raise AssertionError("the loop returns or raises")  # pragma: no cover

    async def _call(self, request: Request) -> Generation:
        url = self._settings.url
        try:
            text, finish, usage = await self._ask(request)
        except openai.APITimeoutError as error:
            raise TooLate(
                f"{url} did not answer within {self._settings.timeout:g} s.",
                way_out="Raise agents.server.timeout, or give the server more room.",
            ) from error
        except openai.APIStatusError as error:
            raise Refused(
                f"{url} answered {error.status_code}: {error.message[:_SHOWN]}.",
                status=error.status_code,
                way_out="See the server's log; check the model's name and the key.",
            ) from error
        except openai.APIConnectionError as error:
            raise Unreachable(
                f"{url} cannot be reached: {error.__cause__ or error}.",
                way_out="Start the server, or correct agents.server.url.",
            ) from error
        except (openai.OpenAIError, json.JSONDecodeError, AttributeError, IndexError, TypeError) as error:
            # Not the API's shape at all, such as a proxy's page; the client passes it through or trips over it.
            raise BadAnswer(
                f"{url} did not answer in the shape of the OpenAI API ({type(error).__name__}).",
                way_out="Check that agents.server.url ends in /v1 and no proxy answers instead.",
            ) from error
        request.structure.parse(text)
        return Generation(
            text=text,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            output_tokens=usage.completion_tokens if usage else 0,
            finish_reason=finish or "",
        )

    async def _ask(self, request: Request) -> tuple[str, str | None, Any]:
        shared: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self._settings.max_tokens or _room(request),
            "temperature": request.temperature,
            "seed": request.seed,
        }
        form = {"response_format": request.structure.response_format} if self._settings.structured else {}
        if self._settings.mode is Mode.CHAT:
            shared["messages"] = request.prompt.chat(request.text, request.structure)
            shared |= form
            answer = await self._client.chat.completions.create(**shared)
            choice = answer.choices[0]
            return choice.message.content or "", choice.finish_reason, answer.usage
        # The completions endpoint of OpenAI has no response_format; vLLM's has, with the same meaning.
        completion = await self._client.completions.create(
            prompt=request.prompt.static(request.structure) + request.prompt.turn(request.text),
            extra_body=form,
            **shared,
        )
        written = completion.choices[0]
        return written.text, written.finish_reason, completion.usage


def _room(request: Request) -> int:
    """Tokens enough for the longest answer that the schema allows.

    In-process an answer is closed in good form when its tokens are used up; a server would cut it.
    """
    longest = request.structure.dump(["x" * request.structure.longest] * request.structure.at_most)
    return max(request.max_tokens, len(longest))
