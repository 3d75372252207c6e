from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.ranking.slate import Pool, arrange_all
from index.recall.shortlist import largest, within_reach

USERS = st.lists(
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.31, 0.5, 0.9]), max_size=12), min_size=1, max_size=5
)


@given(USERS, st.lists(st.integers(0, 8), min_size=5, max_size=5))
def test_of_each_user_the_largest_are_chosen_and_of_equal_ones_the_first(
    users: list[list[float]], most: list[int]
) -> None:
    owner = np.repeat(np.arange(len(users)), [len(one) for one in users])
    values = np.array([value for one in users for value in one])
    chosen = largest(owner, values, np.array(most[: len(users)]))
    expected = []
    for one, many in zip(users, most, strict=False):
        best = set(np.argsort([-value for value in one], kind="stable")[:many].tolist())
        expected += [at in best for at in range(len(one))]
    assert chosen.tolist() == expected


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(1, 12),
    st.integers(0, 5),
    st.floats(0, 1),
)
def test_what_is_out_of_reach_is_in_no_slate(
    seed: int, sizes: list[int], limit: int, kept: int, strength: float
) -> None:
    chance = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    # Many equal values, many vectors that are alike and many that are the same.
    values = chance.choice([0.2, 0.4, 0.5, 0.8, 0.81, 1.0], len(owner))
    vectors = chance.choice([-1.0, 1.0, 1.2], (len(owner), 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = chance.random(len(owner)) < 0.3

    def slates(at: np.ndarray) -> list[list[float]]:
        pools = []
        for user in range(len(sizes)):
            mine = at[owner[at] == user]
            pools.append(Pool({"relevance": values[mine]}, vectors[mine], {"at": mine}, wanted[mine]))
        many = len(pools)
        made = arrange_all(pools, [limit] * many, places=[min(kept, limit)] * many, strength=strength, head=3)
        return [pool.groups["at"][one.at].tolist() for pool, one in zip(pools, made, strict=True)]

    limits = np.full(len(sizes), limit)
    near = within_reach(owner, values, wanted, limits, np.minimum(kept, limits), strength)
    assert slates(near) == slates(np.arange(len(owner)))
