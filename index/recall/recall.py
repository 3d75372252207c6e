"""From users' demands and histories to candidates: encode, search, join, rank.

A batch of requests costs one call of the encoder and one of each index, whatever its size.
"""

from __future__ import annotations

import time
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from index.built.catalog import Catalog, Rows
from index.built.manifest import manifest_mark
from index.errors import CatalogDamagedError, CatalogError
from index.nearest.vectors import VectorIndex
from index.recall.beside import Beside, open_beside
from index.recall.channel import Asked, Batch
from index.recall.interleave import interleave
from index.recall.memory import Memory, Nearest
from index.recall.pool import join
from index.recall.request import Candidate, Query, RecallRequest, RecallResult
from index.recall.settings import RecallSettings
from index.recall.shelves import NewChannel, PopularChannel
from index.recall.slate import Slates
from index.recall.text_vectors import TextVectors
from index.recall.together import BehaviourChannel
from index.recall.weights import demand_weights
from index.recall.words import DenseChannel, LexicalChannel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from index.encoders.encoder import Encoder
    from index.recall.channel import Listed, LiveChannel
    from index.recall.request import Channel

__all__ = ["Recall"]

_OPEN_TRIES: Final = 30
_STEP: Final = 64


class Recall:
    """Recall over one catalogue; safe to share between threads."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: Encoder,
        vectors: VectorIndex,
        *,
        beside: Beside | None = None,
        settings: RecallSettings | None = None,
    ) -> None:
        """Join the parts.

        Args:
            catalog: The items.
            encoder: The encoder the index was made by.
            vectors: The index of the same build as the catalogue.
            beside: What else there is; channels that need what is not there are absent.
            settings: How it is done; the defaults if None.

        Raises:
            CatalogDamagedError: If catalogue and index are of different builds.
        """
        if catalog.manifest.build_id != vectors.build_id:
            raise CatalogDamagedError(
                "The item table and the vector index are of different builds.", way_out="Open both again."
            )
        self.catalog = catalog
        self.encoder = encoder
        self.vectors = vectors
        self.beside = beside or Beside()
        self._settings = settings or RecallSettings()
        self._words, self._others = _channels(self.beside, self._settings)
        self._day: int | None = None
        kept = self.beside.embeddings
        self._texts = TextVectors(kept, vectors) if kept is not None else None
        self._renew()

    def _renew(self) -> None:
        """Make anew what depends on the state of the catalogue."""
        self._memory = Memory(self._settings.remembered)
        if self._texts is not None:
            self._texts = self._texts.over(self.vectors)
        self._slates = Slates(self.catalog, self._texts, self.beside, self._settings, self._day)
        self._blocked = self._rows(self.beside.blocked)

    @classmethod
    def open(
        cls,
        directory: Path,
        encoder: Encoder,
        *,
        settings: RecallSettings | None = None,
        ranking: Path | None = None,
        verify: bool = False,
    ) -> Recall:
        """Open catalogue, index and what lies beside them; again, if the folder was replaced meanwhile.

        Args:
            directory: The catalogue's folder.
            encoder: The encoder the index was made by.
            settings: How recall is done; the defaults if None.
            ranking: The folder that `nearline rank train` wrote; None to do without.
            verify: Compare the files' SHA-256 too.

        Raises:
            CatalogMissingError: If there is no catalogue.
            CatalogDamagedError: If one of its files is.
            EncoderMismatchError: If another encoder made the index.
            CatalogError: If ``ranking`` or the file of blocked items is named and not there.
        """
        settings = settings or RecallSettings()
        for left in reversed(range(_OPEN_TRIES)):
            before = manifest_mark(directory)
            try:
                catalog = Catalog.open(directory, verify=verify)
                beside = open_beside(
                    directory, catalog.manifest, ranking=ranking, blocked=settings.blocked, verify=verify
                )
                vectors = VectorIndex.open(directory, encoder, verify=verify)
                opened = cls(catalog, encoder, vectors, beside=beside, settings=settings)
            except CatalogError:
                if not left or manifest_mark(directory) == before:
                    raise
                continue
            if manifest_mark(directory) == before:
                return opened
        raise CatalogDamagedError(
            f"{directory} is replaced again and again while it is being opened.", way_out="Open it again."
        )

    @property
    def now(self) -> Recall:
        """The recall to use for one batch; `index.living.LivingRecall` answers with its newest state."""
        return self

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that are there."""
        return tuple(one.name for one in (*self._words, *self._others))

    def over(self, catalog: Catalog, vectors: VectorIndex) -> Recall:
        """The same recall over another state of the same build."""
        other = copy(self)
        other.catalog, other.vectors = catalog, vectors
        other._renew()  # noqa: SLF001 - it is the same class
        return other

    def on(self, day: int) -> Recall:
        """The same recall as on a day, counted from 1970-01-01 (UTC): an item is as old as it was then."""
        other = copy(self)
        other._day = day  # noqa: SLF001 - it is the same class
        other._others = [  # noqa: SLF001 - as above
            replace(one, day=day) if isinstance(one, NewChannel) else one for one in self._others
        ]
        other._renew()  # noqa: SLF001 - as above
        return other

    def recall(self, requests: Sequence[RecallRequest], *, record: bool = True) -> RecallResult:
        """Find the candidates of a batch of requests; each gets what it would get alone.

        Args:
            requests: What is asked.
            record: Tell with each candidate what is for the record alone and not for the slate: ranks, parts and features.

        Raises:
            EncoderUnavailableError: If the encoder cannot be reached.
        """
        merged = [_merge(request.queries) for request in requests]
        number = {text: at for at, text in enumerate(dict.fromkeys(text for one in merged for text in one))}
        asked = tuple(self._asked(one, mine, number) for one, mine in zip(requests, merged, strict=True))
        started = time.perf_counter()
        nearest, encode_s = self._nearest(number, asked)
        batch = Batch(self.catalog, tuple(number), nearest, asked, self._memory)
        words = {one.name: one.find(batch) for one in self._words} if number else {}
        after_search = time.perf_counter()
        others = {one.name: one.find(batch) for one in self._others}
        candidates, demands, pools = self._slated(requests, asked, merged, words, others, record=record)
        done = time.perf_counter()
        return RecallResult(
            candidates,
            [{text: float(nearest[number[text]].scores[0]) for text in mine} for mine in merged],
            demands,
            pools,
            encode_ms=encode_s * 1e3,
            search_ms=(after_search - started - encode_s) * 1e3,
            fuse_ms=(done - after_search) * 1e3,
        )

    def popular(
        self, categories: Sequence[str], limit: int, exclude: frozenset[str] = frozenset()
    ) -> list[Candidate]:
        """The most popular items of the categories by turns, then of the whole catalogue; an item's score is 1 / place."""
        catalog = self.catalog
        out = {*self._rows(exclude).tolist(), *self._blocked.tolist()}
        depth = max(limit, 0) + len(out)
        named = [(f"popular in {name}", catalog.popular(name, depth)) for name in dict.fromkeys(categories)]
        picked = interleave([*named], ("popular overall", catalog.popular(None, depth + limit)), out, limit)
        return [
            Candidate(
                catalog.item_id(row),
                round(1 / place, 6),
                None,
                why,
                "popular",
                parts={"popular": round(1 / place, 6)},
            )
            for place, (row, why) in enumerate(picked, 1)
        ]

    def _nearest(
        self, number: Mapping[str, int], asked: Sequence[Asked]
    ) -> tuple[tuple[Nearest, ...], float]:
        """For each query the nearest texts, in the order of their numbers; and the seconds spent in the encoder."""
        depth = max((one.depth for one in asked), default=0) if number else 0
        # What is kept serves requests that leave out a few items more.
        depth = min(-(-depth // _STEP) * _STEP, len(self.vectors))
        found = dict(zip(number, self._memory.nearest.get_all(list(number)), strict=True))
        lacking = [text for text, one in found.items() if one is None or len(one.texts) < depth]
        if not lacking:
            return tuple(one for one in found.values() if one is not None), 0.0
        started = time.perf_counter()
        encoded = self.encoder.encode(lacking)
        seconds = time.perf_counter() - started
        scores, texts = self.vectors.search(encoded, depth)
        for at, text in enumerate(lacking):
            found[text] = one = Nearest(scores[at].copy(), texts[at].astype(np.int32))
            self._memory.nearest.put(text, one)
        return tuple(one for one in found.values() if one is not None), seconds

    def _slated(
        self,
        requests: Sequence[RecallRequest],
        asked: Sequence[Asked],
        merged: Sequence[Mapping[str, Query]],
        words: Mapping[Channel, list[list[Listed]]],
        others: Mapping[Channel, list[list[Listed]]],
        *,
        record: bool,
    ) -> tuple[list[list[Candidate]], list[dict[str, dict[str, float]]], list[dict[str, int]]]:
        """Slates, the demands' weights and the pools' sizes of all requests."""
        candidates: list[list[Candidate]] = [[] for _ in requests]
        told: list[dict[str, dict[str, float]]] = [{} for _ in requests]
        pools: list[dict[str, int]] = [{} for _ in requests]
        known = others.get("behaviour")
        some = [at for at, mine in enumerate(merged) if mine or (known is not None and known[at])]
        for at in set(range(len(requests))) - set(some):
            request = requests[at]
            candidates[at] = self.popular(
                request.categories, request.limit or self._settings.limit, request.exclude
            )
            pools[at] = {"popular": len(candidates[at]), "all": len(candidates[at])}
        if not some:
            return candidates, told, pools
        queries = [list(merged[at].values()) for at in some]
        mine = [asked[at] for at in some]
        by_words = {name: [lists[at] for at in some] for name, lists in words.items()}
        weights, said = demand_weights(
            queries,
            by_words,
            self.catalog,
            mine,
            self._settings.demands,
            paths=self.beside.paths,
            record=record,
        )
        by_others = {name: [lists[at] for at in some] for name, lists in others.items()}
        joined = join(by_words, by_others, weights, self._settings.weights.model_dump())
        made = self._slates.make(joined, [requests[at] for at in some], mine, queries, weights, record=record)
        sizes = joined.sizes.tolist()
        found = {name: count.tolist() for name, count in joined.found.items()}
        for place, at in enumerate(some):
            candidates[at], told[at] = made[place], said[place]
            by_channel: dict[str, int] = {name: count[place] for name, count in found.items() if count[place]}
            pools[at] = {**by_channel, "all": sizes[place]}
        return candidates, told, pools

    def _asked(
        self, request: RecallRequest, queries: Mapping[str, Query], number: Mapping[str, int]
    ) -> Asked:
        limit = request.limit or self._settings.limit
        wanted = max(request.per_query or self._settings.per_query, limit)
        excluded = self._rows(request.exclude)
        return Asked(
            numbers=tuple(number[text] for text in queries),
            acts=request.acts,
            taken={
                row: one.weight for one in request.acts if (row := self.catalog.row(one.item)) is not None
            },
            categories=request.categories,
            excluded=np.union1d(excluded, self._blocked) if len(self._blocked) else excluded,
            wanted=wanted,
            depth=wanted + len(excluded),  # each of them can empty one text at most
        )

    def _rows(self, ids: frozenset[str]) -> Rows:
        rows = (self.catalog.row(item) for item in ids)
        return np.array(sorted(row for row in rows if row is not None), dtype=np.int64)


def _channels(beside: Beside, settings: RecallSettings) -> tuple[list[LiveChannel], list[LiveChannel]]:
    """The channels of words and the others, as far as there is what they need and they have a weight."""
    words: list[LiveChannel] = [DenseChannel(settings.per_text)]
    if beside.lexical is not None:
        words.append(LexicalChannel(beside.lexical, settings.per_text))
    others: list[LiveChannel] = []
    if beside.neighbours is not None:
        others.append(BehaviourChannel.over(*beside.neighbours, settings.behaviour_depth))
    others.append(PopularChannel(settings.popular_depth))
    others.append(NewChannel.over(beside.days, settings.new_days, settings.new_depth))
    weights = settings.weights.model_dump()
    return [one for one in words if weights[one.name] > 0], [one for one in others if weights[one.name] > 0]


def _merge(queries: Sequence[Query]) -> dict[str, Query]:
    """The queries by text: blank ones gone, equal ones one with the sum of their weights."""
    merged: dict[str, Query] = {}
    for query in queries:
        text = " ".join(query.text.split())
        if text:
            known = merged.get(text)
            if known is not None:
                merged[text] = replace(known, weight=known.weight + query.weight)
            else:
                merged[text] = query if query.text == text else replace(query, text=text)
    return merged
