"""All phrases that may be written, as a trie of token ids.

Only nodes where something is to be decided are kept: where one token must follow another, or one phrase be the end, the
chain belongs to the edge. So a phrase is two or three decisions, and most are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ROOT", "Node", "Trie"]

ROOT: Final = 0

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Node:
    """One decision.

    Attributes:
        tokens: (c,) the first token of each edge.
        chains: For each edge the tokens after its first one that must follow.
        nodes: (c,) the node that the edge leads to, -1 where it leads to a phrase's end.
        phrases: (c,) the phrase that the edge completes, -1 where it leads to a node.
        ends: The phrase that is complete at this node, -1 if none.
    """

    tokens: Ints
    chains: tuple[tuple[int, ...], ...]
    nodes: Ints
    phrases: Ints
    ends: int


class Trie:
    """The phrases by their tokens.

    Attributes:
        phrases: Every phrase, by number.
        spelt: Of every phrase its tokens.
        number: The number of every phrase.
        nodes: The decisions; the first is the root.
        above: For each phrase the nodes on its way, root first.
        kinds: (phrases,) a small number for each phrase, as given.
        counts: (kinds, nodes) phrases of each kind at or below each node.
        ends: (nodes,) the phrase that is complete at each node, -1 if none.
        first: (nodes + 1,) where the edges of each node begin among all edges; the arrays below are of the edges.
        tokens: (edges,) the first token of each.
        goals: (edges,) the node that it leads to, -1 where it leads to a phrase's end.
        finals: (edges,) the phrase that it completes, -1 where it leads to a node.
        chain_first: (edges + 1,) where the tokens that must follow begin in ``chains``.
        chains: All such tokens.
    """

    def __init__(self, spelt: Mapping[str, Sequence[int]], kinds: Sequence[int] = ()) -> None:
        """Build.

        Args:
            spelt: By phrase its tokens, at least one. Of two phrases with the same tokens the first counts.
            kinds: For each phrase a kind from 0; all 0 if not given.
        """
        self.phrases = tuple(spelt)
        self.spelt = tuple(spelt.values())
        self.number = {phrase: at for at, phrase in enumerate(self.phrases)}
        self.kinds = np.array(kinds if len(kinds) else [0] * len(self.phrases), dtype=np.int64)
        tree: dict[int, dict[int, int]] = {ROOT: {}}
        ends: dict[int, int] = {}
        for at, tokens in enumerate(spelt.values()):
            place = ROOT
            for token in tokens:
                following = tree[place].get(token)
                if following is None:
                    following = len(tree)
                    tree[place][token] = following
                    tree[following] = {}
                place = following
            ends.setdefault(place, at)
        self.nodes: list[Node] = []
        self.above: list[tuple[int, ...]] = [()] * len(self.phrases)
        self._fold(tree, ends)
        many = int(self.kinds.max(initial=0)) + 1
        self.counts = np.zeros((many, len(self.nodes)), dtype=np.int64)
        lengths = [len(way) for way in self.above]
        nodes = np.fromiter((node for way in self.above for node in way), np.int64, sum(lengths))
        np.add.at(self.counts, (np.repeat(self.kinds, lengths), nodes), 1)
        self.ends: Ints = np.array([node.ends for node in self.nodes], dtype=np.int64)
        self.first: Ints = np.cumsum([0, *(len(node.tokens) for node in self.nodes)])
        self.tokens, self.goals, self.finals = (
            np.concatenate([getattr(node, name) for node in self.nodes])
            for name in ("tokens", "nodes", "phrases")
        )
        chains = [chain for node in self.nodes for chain in node.chains]
        self.chain_first: Ints = np.cumsum([0, *map(len, chains)])
        self.chains: Ints = np.array([token for chain in chains for token in chain], dtype=np.int64)

    def _fold(self, tree: dict[int, dict[int, int]], ends: dict[int, int]) -> None:
        """Keep the decisions; breadth first, so that a node's number is above its parent's."""
        waiting: list[tuple[int, tuple[int, ...]]] = [(ROOT, ())]
        number = {ROOT: ROOT}
        while waiting:
            place, way = waiting.pop(0)
            here = (*way, number[place])
            end = ends.get(place, -1)
            if end >= 0:
                self.above[end] = here
            tokens, chains, nodes, phrases = [], [], [], []
            for token, child in sorted(tree[place].items()):
                chain = []
                goal = child
                while goal not in ends and len(tree[goal]) == 1:
                    ((following, goal),) = tree[goal].items()
                    chain.append(following)
                tokens.append(token)
                chains.append(tuple(chain))
                if tree[goal]:
                    number[goal] = len(number)
                    waiting.append((goal, here))
                    nodes.append(number[goal])
                    phrases.append(-1)
                else:
                    self.above[ends[goal]] = here
                    nodes.append(-1)
                    phrases.append(ends[goal])
            self.nodes.append(
                Node(
                    np.array(tokens, dtype=np.int64),
                    tuple(chains),
                    np.array(nodes, dtype=np.int64),
                    np.array(phrases, dtype=np.int64),
                    end,
                )
            )
