"""LcaTable of many pairs, against one pair after the other."""

import numpy as np
import pytest
from hypothesis import given

from nbdt.hierarchy.lookup import LcaTable
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.timing import cpu_seconds


@given(tree=hierarchies(max_classes=12))
def test_they_are_those_of_single_pairs(tree: Hierarchy) -> None:
    joins = LcaTable(tree)
    a, b = np.nonzero(~np.eye(tree.num_classes, dtype=bool))
    meetings, children = joins.lca(a, b), joins.towards(a, b)
    for one, other, meeting, child in zip(a, b, meetings, children, strict=True):
        assert meeting == tree.lca(one, other)
        assert child in tree.path(one)
        assert tree.parent(child) == meeting


@pytest.mark.parametrize("make", [random_hierarchy, caterpillar])
def test_many_in_deep_trees_are_found_quickly(make) -> None:  # type: ignore[no-untyped-def]
    tree = make(20_000)
    a, b = np.random.default_rng(0).integers(0, 20_000, (2, 20_000))
    apart = a != b
    assert cpu_seconds(lambda: LcaTable(tree).lca(a[apart], b[apart])) < 2, "takes about 0.05 s"
