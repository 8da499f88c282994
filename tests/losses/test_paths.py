"""Sums over groups of classes, and values spread over them, against plain loops."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.hierarchy import shapes
from nbdt.losses import paths
from nbdt.losses.paths import Groups
from tests.strategies import hierarchies, random_hierarchy


@pytest.fixture(scope="module", params=["stored for all pairs", "worked out"])
def kind(request):
    """Makes groups one way or the other."""

    def groups(tree, nodes):
        with pytest.MonkeyPatch.context() as patch:
            if request.param == "worked out":
                patch.setattr(paths, "MAX_PAIRED_CLASSES", 0)
            return Groups(tree, nodes)

    return groups


def groups_of(tree):
    """The class itself and the siblings on its path, in the order of the oracle; -1 fills up."""
    rows = []
    for leaf in range(tree.num_classes):
        path = tree.path(leaf)
        others = [[c for c in tree.children(a) if c != b] for a, b in pairwise(path)]
        rows.append([leaf, *(node for siblings in others for node in siblings)])
    width = max(map(len, rows)) + 1
    return np.array([row + [-1] * (width - len(row)) for row in rows])


@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1))
def test_sums_and_spreads_are_those_of_a_loop(kind, tree, seed):
    generator = torch.Generator().manual_seed(seed)
    nodes = groups_of(tree)
    target = torch.randint(tree.num_classes, (5,), generator=generator)
    logits = torch.randn(5, tree.num_classes, generator=generator, dtype=torch.float64)
    values = torch.randn(5, nodes.shape[1], generator=generator, dtype=torch.float64)
    groups = kind(tree, nodes)
    index = groups.index(target)
    sums, spread = groups.sums(logits, index), groups.spread(values, index, torch.float64)
    for row, leaf in enumerate(target.tolist()):
        for column, node in enumerate(nodes[leaf]):
            under = [] if node < 0 else list(tree.leaves(node))
            assert sums[row, column].item() == pytest.approx(logits[row, under].sum().item())
            assert spread[row, under].tolist() == pytest.approx(
                [values[row, column].item()] * len(under)
            )


def test_float32_is_summed_as_exactly_as_float64(kind):
    tree = shapes.balanced(1000)
    groups, target = kind(tree, groups_of(tree)), torch.arange(0, 1000, 100)
    index = groups.index(target)
    # Constants, whose rounding errors all point the same way in a plain running sum.
    for logits in (torch.full((10, 1000), 10.1), torch.linspace(-30, 30, 1000).expand(10, -1)):
        found = groups.sums(logits, index)
        assert found.dtype == torch.float64
        expected = groups.sums(logits.double(), index)
        assert torch.allclose(found, expected, rtol=1e-6, atol=1e-4)
    assert groups.spread(found, index, torch.float32).dtype == torch.float32


def test_the_table_of_pairs_takes_a_byte_each_or_two():
    for tree, size in ((shapes.balanced(64), 1), (random_hierarchy(64, 1, 40), 2)):
        groups = Groups(tree, groups_of(tree))
        assert [b.element_size() * b.numel() for b in groups.buffers()] == [size * 64 * 64]
