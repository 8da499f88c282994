"""`Extremes` against sorting everything."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nbdt.evaluation.extremes import Extremes

ENTRY = st.tuples(st.integers(0, 3), st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf]))


@given(
    batches=st.lists(st.lists(ENTRY, max_size=12), max_size=5),
    k=st.integers(0, 4),
)
def test_it_keeps_what_sorting_everything_would(
    batches: list[list[tuple[int, float]]], k: int
) -> None:
    kept = Extremes(4, k, {"sample": -1})
    everything: list[tuple[int, float, int]] = []
    for batch in batches:
        start = len(everything)
        everything += [(group, key, start + i) for i, (group, key) in enumerate(batch)]
        kept.update(
            np.array([group for group, _ in batch], dtype=np.int64),
            np.array([key for _, key in batch]),
            sample=np.arange(start, start + len(batch)),
        )
    for group in range(4):
        mine = sorted((e for e in everything if e[0] == group), key=lambda e: (-e[1], e[2]))[:k]
        empty = [-1] * (k - len(mine))
        assert kept.columns["sample"][group].tolist() == [e[2] for e in mine] + empty
        assert kept.keys[group, : len(mine)].tolist() == [e[1] for e in mine]
