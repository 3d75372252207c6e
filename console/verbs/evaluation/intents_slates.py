"""Slates for new intents as a worker makes them: demands and acts through live recall, over a catalogue of the evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from index.channels.behaviour import Behaviour
from index.evaluate.demand import DEPTH
from index.recall import Query, Recall, RecallSettings
from index.recall.settings import ChannelWeights
from stream.infer.chain import Thought
from stream.infer.pipeline import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from agents import DemandSet, Shopper
    from index.encoders.encoder import Encoder
    from index.evaluate.demand import Rows
    from index.recall import RecallRequest
    from stream.shoppers import Beginning

__all__ = ["Slates", "catalog_rows", "requests", "said", "with_queries_of"]

_BATCH: Final = 64
_PARTNERS: Final = 200


class Slates:
    """Live recall, once with words alone and once with every channel.

    Args:
        folder: Where the catalogue is built.
        rows: The items, as `catalog_rows` gives them.
        encoder: Of titles and demands.
        weights: (items, items) item-to-item weights for the channel of behaviour, items as in ``rows``.
    """

    def __init__(
        self, folder: Path, rows: Sequence[dict[str, Any]], encoder: Encoder, weights: npt.NDArray[np.float32]
    ) -> None:
        from index import build_catalog  # noqa: PLC0415 - brings faiss

        source = folder / "items.jsonl"
        source.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        build_catalog(source, folder / "catalog", encoder)
        plain = Recall.open(folder / "catalog", encoder)
        items = tuple(str(row["item_id"]) for row in rows)
        known = Behaviour("ease", weights, np.ones(len(items), dtype=bool)).sparse(_PARTNERS)
        none = dict.fromkeys(ChannelWeights.model_fields, 0.0)
        usual = ChannelWeights()
        words = ChannelWeights(**{**none, "dense": usual.dense, "lexical": usual.lexical})
        self._number = {item: at for at, item in enumerate(items)}
        self._words = Recall(
            plain.catalog,
            encoder,
            plain.vectors,
            beside=plain.beside,
            settings=RecallSettings(weights=words, discovery_share=0.0),
        )
        self._whole = Recall(
            plain.catalog, encoder, plain.vectors, beside=replace(plain.beside, neighbours=(known, items))
        )

    def of_words(self, asked: Sequence[RecallRequest], tell: Callable[[str], None] = lambda _: None) -> Rows:
        """(n, 50) slates of the demands alone, -1 where one has ended."""
        return self._made(self._words, asked, tell)

    def served(self, asked: Sequence[RecallRequest], tell: Callable[[str], None] = lambda _: None) -> Rows:
        """(n, 50) slates of demands and behaviour, as a worker without a trained ranker writes them."""
        return self._made(self._whole, asked, tell)

    def _made(self, recall: Recall, asked: Sequence[RecallRequest], tell: Callable[[str], None]) -> Rows:
        rows = np.full((len(asked), DEPTH), -1, dtype=np.int64)
        for start in range(0, len(asked), _BATCH):
            tell(f"slates: {start:,} of {len(asked):,}")
            for at, found in enumerate(recall.recall(asked[start : start + _BATCH]).candidates, start):
                own = [self._number[one.item] for one in found[:DEPTH]]
                rows[at, : len(own)] = own
        return rows


def catalog_rows(
    items: Sequence[str],
    titles: Sequence[str],
    categories: Sequence[str],
    popular: npt.NDArray[np.float64],
) -> list[dict[str, Any]]:
    """Rows of a catalogue, as a file of items has them."""
    return [
        {"item_id": item, "title": title, "category": category, "popularity": float(count)}
        for item, title, category, count in zip(items, titles, categories, popular, strict=True)
    ]


def requests(
    begun: Sequence[Beginning], shoppers: Sequence[Shopper], sets: Sequence[DemandSet]
) -> list[RecallRequest]:
    """What recall is asked for each shopper; what they have come across is left out."""
    return [
        replace(
            request_of(Thought(one.trigger, shopper, float(one.trigger.made_at)), demands, 0),
            exclude=frozenset(act.item_id for act in one.trigger.recent if act.item_id),
        )
        for one, shopper, demands in zip(begun, shoppers, sets, strict=True)
    ]


def with_queries_of(asked: Sequence[RecallRequest], other: Sequence[int]) -> list[RecallRequest]:
    """The requests, each with the queries of another one."""
    return [replace(one, queries=asked[at].queries) for one, at in zip(asked, other, strict=True)]


def said(asked: Sequence[RecallRequest], words: Iterator[Sequence[str]]) -> list[RecallRequest]:
    """The requests with these words as queries that all weigh the same."""
    return [replace(one, queries=tuple(map(Query, own))) for one, own in zip(asked, words, strict=True)]
