"""Prompts are files with a version.

A file ``<version>.txt`` has a ``[rules]`` part (what the model is told) and any number of
``[example]`` parts (a profile as ``agents.profile`` renders it, then a line ``=> query | query``).
A prompt that is asked by leads (``agents.leads``) has a part ``[lead NAME]`` for each with its instruction in one line;
that line stands before the profile of a shopper, and before that of an ``[example NAME]``, so that what all leads share
comes first.
What changes an answer must change the version: the version is recorded with every result, and the
hash tells when somebody forgot. One file serves base models (one text, examples in a row) and
instruction-tuned ones (a chat).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from agents.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.structured import Structure

__all__ = ["Example", "Prompt", "load", "parse", "versions"]

_PART = re.compile(r"^\[(?:(rules|example)|(lead|example) ([a-z]+(?:-[a-z]+)*))\]$", re.MULTILINE)
_ANSWER = "=>"
_NEXT = "next: "


@dataclass(frozen=True, slots=True)
class Example:
    """A profile and the queries that are right for it."""

    profile: str
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A loaded prompt: what never changes between shoppers; ``leads`` are names of leads with their instructions."""

    version: str
    sha256: str
    rules: str
    examples: tuple[Example, ...]
    leads: tuple[tuple[str, str], ...] = ()

    def static(self, structure: Structure) -> str:
        """The part for base models that is the same for every shopper (a runtime may keep it computed)."""
        shown = (f"{e.profile}\n{_NEXT}{structure.dump(e.queries)}\n" for e in self.examples)
        return "\n".join((self.rules + "\n", *shown)) + "\n"

    def turn(self, profile: str) -> str:
        """The shopper's own part for base models; the answer is to follow it."""
        return f"{profile}\n{_NEXT}"

    def chat(self, profile: str, structure: Structure) -> list[dict[str, str]]:
        """The messages for instruction-tuned models, the shopper's last."""
        return [
            {"role": "system", "content": self.rules},
            *self._shown(structure),
            {"role": "user", "content": profile},
        ]

    def instruction(self, lead: str) -> str:
        """What is asked under a lead, in one line.

        Raises:
            PromptError: the prompt does not know the lead.
        """
        known = dict(self.leads)
        if lead not in known:
            raise PromptError(
                f"prompt {self.version!r} has no lead {str(lead)!r}, only {', '.join(known) or 'none'}.",
                way_out="Set agents.prompt to one that has it, such as u2q-leads-1, or take it out of agents.leads.",
            )
        return known[lead]

    def phrases(self) -> tuple[str, ...]:
        """Every query and every label of a profile that the examples show, each once."""
        shown = [query for example in self.examples for query in example.queries]
        for example in self.examples:
            for line in example.profile.splitlines():
                shown += [label.strip() for label in line.partition(":")[2].split(";")]
        return tuple(dict.fromkeys(phrase for phrase in shown if phrase))

    def _shown(self, structure: Structure) -> Iterator[dict[str, str]]:
        for example in self.examples:
            yield {"role": "user", "content": example.profile}
            yield {"role": "assistant", "content": structure.dump(example.queries)}


def versions() -> list[str]:
    """The versions that are installed, sorted."""
    return sorted(f.name.removesuffix(".txt") for f in files(__name__).iterdir() if f.name.endswith(".txt"))


@cache
def load(version: str) -> Prompt:
    """The prompt of a version.

    Raises:
        PromptError: there is no such version, or its file is malformed.
    """
    if version not in versions():
        raise PromptError(f"there is no prompt {version!r}.", way_out=f"Installed: {', '.join(versions())}.")
    return parse(version, files(__name__).joinpath(f"{version}.txt").read_text(encoding="utf-8"))


def parse(version: str, text: str) -> Prompt:
    """A prompt from the text of its file.

    Raises:
        PromptError: the rules are missing or double, a lead has no instruction, or an example no answer line.
    """
    heads = list(_PART.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)][: len(heads)]
    parts = [
        (head[1] or head[2], head[3] or "", text[head.end() : end].strip())
        for head, end in zip(heads, ends, strict=True)
    ]
    rules = [body for kind, _, body in parts if kind == "rules"]
    if len(rules) != 1 or not rules[0]:
        raise PromptError(f"prompt {version!r}: expected one [rules] part with text, found {len(rules)}.")
    leads = {name: body for kind, name, body in parts if kind == "lead"}
    for name, line in leads.items():
        if not line or "\n" in line:
            raise PromptError(f"prompt {version!r}: expected one line of instruction in [lead {name}].")
    shown = [(name, body) for kind, name, body in parts if kind == "example"]
    examples = tuple(_example(version, at, body, name, leads) for at, (name, body) in enumerate(shown))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Prompt(version, digest, rules[0], examples, tuple(leads.items()))


def _example(version: str, index: int, body: str, lead: str, leads: dict[str, str]) -> Example:
    profile, found, answer = body.rpartition(_ANSWER)
    queries = tuple(query.strip() for query in answer.split("|") if query.strip())
    if not found or not queries or not profile.strip():
        raise PromptError(
            f"prompt {version!r}, example {index + 1}: expected a profile and then a line '=> query | query'."
        )
    if lead and lead not in leads:
        raise PromptError(f"prompt {version!r}, example {index + 1}: there is no [lead {lead}] part.")
    return Example(f"{leads[lead]}\n{profile.strip()}" if lead else profile.strip(), queries)
