"""The search over a trie, against all phrases scored one by one."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from agents.runtime.student.layers import Layers  # noqa: E402
from agents.runtime.student.search import Ask, Search  # noqa: E402
from agents.runtime.student.trie import Trie  # noqa: E402

pytestmark = pytest.mark.real

_ENDS = (30, 31)


@pytest.fixture(scope="module")
def model() -> object:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=48, initializer_range=0.4, attn_implementation="sdpa",
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def _search(model: object) -> Search:
    return Search(Layers(model.config.to_dict(), model.state_dict()), _ENDS)  # type: ignore[attr-defined]


def _spelt() -> dict[str, list[int]]:
    random = np.random.default_rng(1)
    paths = {tuple(random.integers(0, 5, random.integers(1, 5)).tolist()) for _ in range(60)}
    return {"".join("abcde"[token] for token in path): list(path) for path in sorted(paths)}


def _brute(model: object, ids: list[int], allowed: dict[str, list[int]]) -> dict[str, float]:
    """log p of every phrase, each token's probability taken among what may follow."""
    following: dict[tuple[int, ...], set[int]] = {}
    for path in allowed.values():
        for at, token in enumerate(path):
            following.setdefault(tuple(path[:at]), set()).add(token)
        following.setdefault(tuple(path), set()).add(-1)
    scores = {}
    with torch.inference_mode():
        for phrase, path in allowed.items():
            logits = model(torch.tensor([[*ids, *path]])).logits[0].double().numpy()  # type: ignore[operator]
            score = 0.0
            for at in range(len(path) + 1):
                row = logits[len(ids) - 1 + at]
                options = {
                    token: np.logaddexp(row[_ENDS[0]], row[_ENDS[1]]) if token < 0 else row[token]
                    for token in following[tuple(path[:at])]
                }
                chosen = path[at] if at < len(path) else -1
                score += options[chosen] - np.logaddexp.reduce(list(options.values()))
            scores[phrase] = score
    return scores


def test_the_search_finds_the_likeliest_phrases_with_their_probabilities(model: object) -> None:
    spelt = _spelt()
    trie, search = Trie(spelt), _search(model)
    texts = [[7, 8, 9], [10, 11, 12, 13, 14, 15], [20]]
    for text, found in zip(texts, search(trie, [Ask(text, {0: 12}) for text in texts]), strict=True):
        wanted = sorted(_brute(model, text, spelt).items(), key=lambda one: -one[1])[:12]
        assert [trie.phrases[phrase] for phrase, _ in found.phrases[0]] == [phrase for phrase, _ in wanted]
        assert np.allclose(
            [score for _, score in found.phrases[0]], [score for _, score in wanted], atol=1e-4
        )


def test_banned_phrases_are_never_written_and_their_share_goes_to_the_others(model: object) -> None:
    spelt = _spelt()
    trie, search = Trie(spelt), _search(model)
    banned = frozenset(range(0, len(spelt), 3))
    left = {phrase: path for at, (phrase, path) in enumerate(spelt.items()) if at not in banned}
    (found,) = search(trie, [Ask([3, 4, 5], {0: len(spelt)}, banned)])
    scores = {trie.phrases[phrase]: score for phrase, score in found.phrases[0]}
    wanted = _brute(model, [3, 4, 5], left)
    assert scores.keys() == wanted.keys()
    assert all(abs(scores[phrase] - wanted[phrase]) < 1e-4 for phrase in wanted)
    assert abs(sum(map(np.exp, scores.values())) - 1) < 1e-4


def test_kinds_are_searched_apart(model: object) -> None:
    spelt = _spelt()
    kinds = [at % 2 for at in range(len(spelt))]
    trie, search = Trie(spelt, kinds), _search(model)
    (found,) = search(trie, [Ask([3, 4, 5], {0: 5, 1: 7})])
    assert [len(found.phrases[kind]) for kind in (0, 1)] == [5, 7]
    for kind in (0, 1):
        left = {phrase: path for (phrase, path), own in zip(spelt.items(), kinds, strict=True) if own == kind}
        best = max(_brute(model, [3, 4, 5], left).items(), key=lambda one: one[1])
        phrase, score = found.phrases[kind][0]
        assert trie.phrases[phrase] == best[0]
        assert abs(score - best[1]) < 1e-4


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(model: object) -> None:
    trie, search = Trie(_spelt()), _search(model)
    asks = [Ask(list(range(1, length)), {0: 6}) for length in (2, 9, 4)]
    for ask, together in zip(asks, search(trie, asks), strict=True):
        (alone,) = search(trie, [ask])
        assert [one for one, _ in alone.phrases[0]] == [one for one, _ in together.phrases[0]]


def test_a_deadline_that_has_passed_returns_what_is_complete(model: object) -> None:
    trie, search = Trie(_spelt()), _search(model)
    (found,) = search(trie, [Ask([1, 2], {0: 60}, deadline=0.0)])
    assert found.late
    ends_at_root = [phrase for phrase, _ in itertools.chain(*found.phrases.values())]
    assert len(ends_at_root) < 60
