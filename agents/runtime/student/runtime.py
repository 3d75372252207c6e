"""The student as a runtime: batches of requests in, answers out, in threads of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from agents.distill.form import OPEN, PROMPT, labels
from agents.errors import BadAnswer, GenerationError, ModelError, TooLate
from agents.prompts import load
from agents.runtime.choice import student_folder
from agents.runtime.protocol import Generation
from agents.runtime.threads import wise_threads
from agents.words import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.prompts import Prompt
    from agents.runtime.protocol import Request
    from agents.runtime.student.engine import Engine, Question, Written
    from agents.settings import StudentSettings
    from agents.structured import Structure

__all__ = ["StudentRuntime"]

# At so many titles of a shopper half of what is asked for is personal.
_WELL_KNOWN = 5.0

_log = logging.getLogger(__name__)


class StudentRuntime:
    """Answers batches, shared out among its threads; each share is searched together.

    A product of the student's is too small to be worth two cores: one shopper is answered sooner by one thread than by two, and
    of a batch each thread answers a share on its own.

    An answer is always valid: its queries are phrases of the catalogue. A request's temperature, seed and limit of
    tokens do not matter, because the likeliest phrases are searched and not drawn; diversity comes from asking for
    many of them, and from the share that is kept for what is new in the catalogue.
    """

    name = "student"

    def __init__(self, settings: StudentSettings, titles: Iterable[str] = ()) -> None:
        """Load the student (a second, after torch).

        Args:
            settings: Which, and how.
            titles: The catalogue's titles; of a student whose shop is not known, those it was trained on.

        Raises:
            ModelError: the extra is not installed, or the folder is no student.
        """
        own = tuple(titles)
        folder = student_folder(settings, own)
        threads = wise_threads(settings.threads)
        try:
            import torch  # noqa: PLC0415  # an extra; and its threads must be told how to wait before

            from agents.runtime.student.engine import Engine  # noqa: PLC0415
        except ImportError as error:
            raise ModelError(
                f"the student needs a package that is not installed: {error.name}.",
                way_out="Install nearline[local], or set agents.runtime to server.",
            ) from error
        self.model = folder.name
        self._settings = settings
        self._threads = threads
        self._pool = ThreadPoolExecutor(
            threads,
            thread_name_prefix="nearline-student",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )
        self._closed = False
        self._engine: Engine = Engine(folder)
        self._titles = own or self._engine.known
        self._longest = 0
        self._offering = threading.Lock()

    def offer(self, titles: Iterable[str]) -> None:
        """Let these titles be written from the next batch on: for a catalogue that has changed.

        May be called from any thread, and takes its time there (a second for some ten thousand new titles); what is being
        answered meanwhile is answered by the titles before.
        """
        own = tuple(titles)
        with self._offering:
            self._titles = own
            if self._longest:
                self._engine.offer(own, longest=self._longest)

    def usual(self, most: int) -> list[str]:
        """The phrases that everybody wants most, of those that may be written."""
        return self._engine.usual(most)

    async def prepare(self, prompt: Prompt, structure: Structure) -> None:
        """Put the catalogue's phrases into a trie, and answer once to warm up."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._prepare, prompt, structure)

    async def generate(
        self, requests: Sequence[Request], deadline: float | None = None
    ) -> list[Generation | GenerationError]:
        """Answer in chunks of at most ``batch``."""
        answers: list[Generation | GenerationError] = []
        loop = asyncio.get_running_loop()
        for at in range(0, len(requests), self._settings.batch):
            chunk = requests[at : at + self._settings.batch]
            # Each thread gets as many of the long ones.
            order = sorted(range(len(chunk)), key=lambda one: len(chunk[one].text), reverse=True)
            shares = [order[first :: self._threads] for first in range(min(self._threads, len(chunk)))]
            done = await asyncio.gather(
                *(
                    loop.run_in_executor(self._pool, self._run, [chunk[one] for one in share], deadline)
                    for share in shares
                )
            )
            found = {
                one: answer
                for share, part in zip(shares, done, strict=True)
                for one, answer in zip(share, part, strict=True)
            }
            answers += [found[one] for one in range(len(chunk))]
        return answers

    async def ready(self) -> bool:
        """True until closed: the student was loaded before this object existed."""
        return not self._closed

    async def close(self) -> None:
        """Let the batch under way finish, then end the thread."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, wait=True)

    def valid_share(self, profiles: Sequence[str], structure: Structure) -> float:
        """Share of answers that follow the schema when nothing constrains the student (greedy decoding)."""
        prompt = load(PROMPT)
        texts = [_text(prompt, profile, structure) for profile in profiles]
        valid = 0
        for text in self._engine.write_freely(texts):
            try:
                structure.parse(text)
                valid += 1
            except BadAnswer:
                continue
        return valid / max(len(texts), 1)

    def _prepare(self, prompt: Prompt, structure: Structure) -> None:
        from agents.runtime.student.engine import Question  # noqa: PLC0415  # brings torch

        self._offer(structure)
        self._engine.write([Question(_text(prompt, "viewed: anything", structure), structure.at_most)])

    def _offer(self, structure: Structure) -> None:
        if self._longest != structure.longest:
            with self._offering:
                if self._longest != structure.longest:  # another thread may have been quicker
                    self._engine.offer(self._titles, longest=structure.longest)
                    self._longest = structure.longest

    def _run(self, requests: Sequence[Request], deadline: float | None) -> list[Generation | GenerationError]:
        now = time.monotonic()
        until = [_earlier(request.deadline, deadline) for request in requests]
        live = [at for at, one in enumerate(until) if one is None or one > now]
        late = TooLate(
            "the deadline passed while the request waited for the student.", way_out="Add workers."
        )
        answers: list[Generation | GenerationError] = [late] * len(requests)
        try:
            if live:
                self._offer(requests[live[0]].structure)
                questions = [self._question(requests[at], until[at]) for at in live]
                for at, written in zip(live, self._engine.write(questions), strict=True):
                    answers[at] = _answer(requests[at], written)
        except Exception as error:  # noqa: BLE001  # see the next line
            # Whatever breaks inside the model must cost these answers only, never the worker.
            _log.exception("the student failed on a batch of %d", len(live))
            failure = GenerationError(f"the student failed: {error!r}.", way_out="See the log.")
            for at in live:
                answers[at] = failure
        return answers

    def _question(self, request: Request, until: float | None) -> Question:
        from agents.runtime.student.engine import Question  # noqa: PLC0415  # brings torch

        most = request.structure.at_most
        new = min(round(most * self._settings.new_share), self._engine.new)
        titles = labels(request.text)
        own = frozenset(map(_normal, titles))
        # Of who is hardly known, what everybody wants is the best guess.
        personal = self._settings.personal * len(titles) / (len(titles) + _WELL_KNOWN)
        text = _text(request.prompt, request.text, request.structure)
        return Question(text, most - new, new, request.banned | own, personal, until)


@lru_cache(maxsize=65_536)
def _normal(label: str) -> str:
    """`agents.words.normal` of a label, which is short; the same titles come again and again."""
    return normal(label)


def _text(prompt: Prompt, profile: str, structure: Structure) -> str:
    return f"{prompt.static(structure)}{prompt.turn(profile)}{OPEN}"


def _answer(request: Request, written: Written) -> Generation | GenerationError:
    if not written.phrases:
        if written.late:
            return TooLate(
                "the deadline passed before a phrase was complete.", way_out="Raise agents.deadline."
            )
        return BadAnswer(
            "the catalogue has no phrase that the student may write.",
            way_out=f"Check that it has titles of at most {request.structure.longest} characters.",
        )
    return Generation(
        request.structure.dump(written.phrases),
        written.read,
        written.fed,
        "deadline" if written.late else "stop",
        written.probabilities,
    )


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)
