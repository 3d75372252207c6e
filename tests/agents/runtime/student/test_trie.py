"""The trie of phrases."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.student.trie import ROOT, Trie

_SPELT = {"jumbo bag": [1, 2], "jumbo bag pink": [1, 2, 3, 4], "jumbo mug": [1, 5, 6], "clock": [7, 8, 9]}


def _walk(trie: Trie) -> dict[str, list[int]]:
    """Every phrase by the tokens on its way."""
    found: dict[str, list[int]] = {}

    def below(at: int, way: list[int]) -> None:
        node = trie.nodes[at]
        if node.ends >= 0:
            found[trie.phrases[node.ends]] = way
        for token, chain, child, phrase in zip(
            node.tokens.tolist(), node.chains, node.nodes.tolist(), node.phrases.tolist(), strict=True
        ):
            longer = [*way, token, *chain]
            if phrase >= 0:
                found[trie.phrases[phrase]] = longer
            else:
                below(child, longer)

    if trie.nodes:
        below(ROOT, [])
    return found


def test_a_phrase_that_nothing_else_begins_like_is_one_edge() -> None:
    trie = Trie(_SPELT)
    root = trie.nodes[ROOT]
    at = root.tokens.tolist().index(7)
    assert trie.phrases[root.phrases[at]] == "clock"
    assert root.chains[at] == (8, 9)


def test_a_phrase_that_begins_another_ends_at_a_decision() -> None:
    trie = Trie(_SPELT)
    assert [trie.phrases[node.ends] for node in trie.nodes if node.ends >= 0] == ["jumbo bag"]


def test_phrases_are_counted_by_kind_at_and_below_each_node() -> None:
    trie = Trie(_SPELT, [0, 1, 0, 1])
    assert trie.counts[:, ROOT].tolist() == [2, 2]


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=4),
        st.lists(st.integers(0, 3), min_size=1, max_size=5),
        max_size=12,
    )
)
def test_every_phrase_is_reached_by_its_own_tokens(spelt: dict[str, list[int]]) -> None:
    unique = {tuple(tokens): phrase for phrase, tokens in reversed(spelt.items())}
    spelt = {phrase: list(tokens) for tokens, phrase in unique.items()}
    trie = Trie(spelt)
    assert _walk(trie) == spelt
    for phrase, way in zip(trie.phrases, trie.above, strict=True):
        assert way[0] == ROOT, phrase
        assert np.all(np.diff(way) > 0)
