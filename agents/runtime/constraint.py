"""One answer being written: what may come next, and how it ends.

The grammar (xgrammar, compiled from the schema) decides what is valid. Beside it stand rules that no
grammar can say, and that a small model needs:

- a query that merely repeats the input, an example or another query is taken back and begun anew;
- no two queries begin with the same piece, no piece comes twice in one query, and a query has few words;
- the answer does not end before it has as many queries as wanted;
- and it always ends: when tokens or time are used up, it is closed in good form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xgrammar

from agents.structured import SHORTEST_QUERY
from agents.words import normal

if TYPE_CHECKING:
    from agents.runtime.protocol import Request
    from agents.runtime.vocabulary import Vocabulary
    from agents.structured import Structure

__all__ = ["Grammar", "Writing"]

_QUOTE = '"'
_NEVER = float("-inf")


class Grammar:
    """A schema compiled for a vocabulary, with the sets of pieces that the rules need."""

    def __init__(self, vocabulary: Vocabulary, structure: Structure) -> None:
        """Compile (some 100 ms; keep the result)."""
        info = xgrammar.TokenizerInfo(list(vocabulary.texts), xgrammar.VocabType.RAW, stop_token_ids=[])
        compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        self.compiled = compiler.compile_json_schema(
            structure.schema, any_whitespace=False, separators=(",", ":")
        )
        self.texts = vocabulary.texts
        self.size = len(vocabulary.texts)
        self.opening: str = self.matcher().find_jump_forward_string()
        texts = vocabulary.texts
        self.closers = torch.tensor([text.startswith(_QUOTE) for text in texts])
        self.enders = torch.tensor([text.startswith(_QUOTE) and "]" in text for text in texts])
        self.spaced = torch.tensor([text.startswith(" ") for text in texts])
        self.unlettered = torch.tensor(
            [not text[:1].isalnum() and not text.startswith(_QUOTE) for text in texts]
        )

    def matcher(self) -> Any:
        """A fresh matcher; done when the grammar is, without a token that ends the text."""
        return xgrammar.GrammarMatcher(self.compiled, terminate_without_stop_token=True)


# Pieces less likely than this share of the likeliest one are never sampled (min-p, Nguyen et al., 2024).
_LEAST_LIKELY = float(np.log(0.1))
_CALIBRATION = 0.7
_MOST_WORDS = 4
# No new word is begun with fewer characters than these left, so that none is cut.
_WORD_ROOM = 10
_DANGLING = (" ", "-", "&", "'")


class Writing:
    """The state of one answer, and the pieces it may go on with."""

    def __init__(self, grammar: Grammar, request: Request, wanted: int, usual: torch.Tensor) -> None:
        """Begin an answer of at least ``wanted`` queries where room allows; its opening is already written.

        ``usual`` are the log probabilities with which the model begins a query for nobody in particular.
        """
        self.text = grammar.opening
        self.finish = ""
        self.steps = 0
        self._grammar = grammar
        self._request = request
        self._wanted = wanted
        self._usual = usual
        self._logprobs: dict[int, list[float]] = {}
        self._matcher = grammar.matcher()
        self._matcher.accept_string(grammar.opening)
        self._bitmask = xgrammar.allocate_token_bitmask(1, grammar.size)
        # Pieces that begin a query of this answer, and those of the query being written: none comes twice.
        self._begun: list[int] = []
        self._pieces: list[int] = []
        self._start: torch.Tensor
        self._random = np.random.default_rng(request.seed)

    def advance(self, logits: torch.Tensor) -> tuple[int, int]:
        """Write the next piece, by the model's logits (one per kept piece).

        Returns the piece's index and how many pieces before it were taken back: a query that the
        model would close as a mere copy is begun again with another piece.
        """
        if not self._pieces:
            self._start = logits
        index, logprob = self._choose(logits)
        back = 0
        query = self._queries()[1]
        if self._grammar.closers[index] and query and self._copied(query):
            back = self._take_back()
            index, logprob = self._choose(self._start)
        self._write(index, logprob)
        return index, back

    def _write(self, index: int, logprob: float) -> None:
        self._logprobs.setdefault(len(self._queries()[0]), []).append(logprob)
        if not self._pieces:
            self._begun.append(index)
        self._pieces.append(index)
        if self._grammar.closers[index]:
            self._pieces = []
        self._matcher.accept_token(index)
        self.text += self._grammar.texts[index]
        self.steps += 1
        rest = "" if self._matcher.is_terminated() else self._matcher.find_jump_forward_string()
        if self._matcher.is_terminated() or "]" in rest:
            self.text += rest
            self.finish = "stop"

    def _take_back(self) -> int:
        done, query = self._queries()
        count = len(self._pieces)
        self._matcher.rollback(count)
        self.text = self.text.removesuffix(query or "")
        self._logprobs.pop(len(done), None)
        self._pieces = []
        return count

    def close(self, reason: str) -> bool:
        """End the answer here: after the query being written if it can stand, else after the last whole one.

        Returns False where there is not even one.
        """
        done, current = self._queries()
        if (
            current
            and len(current) >= SHORTEST_QUERY
            and not current.endswith(_DANGLING)
            and not self._copied(current)
        ):
            done = [*done, current]
        if not done:
            return False
        self.text = self._request.structure.dump(done)
        self.finish = reason
        return True

    def confidences(self) -> tuple[float, ...]:
        """The geometric mean probability of each query's pieces."""
        count = len(self._queries()[0])
        return tuple(
            float(np.exp(np.mean(self._logprobs[i]))) if i in self._logprobs else 0.0 for i in range(count)
        )

    def _queries(self) -> tuple[list[str], str | None]:
        """The whole queries so far, and the one being written (None between two)."""
        # No kept piece has a backslash, so every quotation mark opens or closes a query.
        parts = self.text[len(self._grammar.opening) :].split(_QUOTE)
        return parts[:-1:2], parts[-1] if len(parts) % 2 else None

    def _copied(self, query: str) -> bool:
        """Whether a query only repeats the input, an example, or another query of this answer."""
        phrase = normal(query)
        return phrase in self._request.banned or phrase in {normal(other) for other in self._queries()[0]}

    def _allowed(self) -> torch.Tensor:
        grammar = self._grammar
        self._matcher.fill_next_token_bitmask(self._bitmask)
        bits = np.unpackbits(self._bitmask.numpy().view(np.uint8), bitorder="little")[: grammar.size]
        valid = torch.from_numpy(bits.astype(bool))
        allowed = valid
        done, query = self._queries()
        if query is not None:
            allowed = allowed.clone()
            if not query:
                allowed[self._begun] = False
            if not query or query.endswith(_DANGLING):
                allowed &= ~grammar.unlettered
            if query.endswith(_DANGLING):
                allowed &= ~grammar.closers
            if (
                query.count(" ") + 1 >= _MOST_WORDS
                or len(query) > self._request.structure.longest - _WORD_ROOM
            ):
                allowed &= ~grammar.spaced
            allowed[self._pieces] = False
        if len(done) + 1 < self._wanted:
            allowed = allowed & ~grammar.enders
        # The grammar comes first: where the rules leave nothing (a copy at its full length), they give way.
        return allowed if bool(allowed.any()) else valid

    def _choose(self, logits: torch.Tensor) -> tuple[int, float]:
        logprobs = torch.log_softmax(torch.where(self._allowed(), logits.float(), _NEVER), dim=-1)
        likely = logprobs >= logprobs.max() + _LEAST_LIKELY
        scores = logprobs
        if not self._pieces:
            # What the model says to everybody says nothing of this shopper, so it counts for less where a
            # query begins (contextual calibration: Zhao et al., 2021, "Calibrate Before Use").
            scores = logprobs - _CALIBRATION * self._usual
        temperature = self._request.temperature
        if temperature:
            # The Gumbel-max trick: the likeliest after noise is a sample. The noise comes from the request's
            # own seed, so an answer does not depend on its neighbours in the batch.
            noise = self._random.gumbel(size=logprobs.shape[0]).astype(np.float32)
            scores = scores / temperature + torch.from_numpy(noise)
        index = int(torch.where(likely, scores, _NEVER).argmax())
        return index, float(logprobs[index])
