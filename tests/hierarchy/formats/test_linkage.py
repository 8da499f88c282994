from typing import Any

import numpy as np
import pytest
import scipy.cluster.hierarchy
from hypothesis import given
from sklearn.cluster import AgglomerativeClustering

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.formats import (
    from_linkage,
    from_sklearn_children,
    to_linkage,
    to_sklearn_children,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.hierarchy.formats.samples import bare, pets
from tests.strategies import (
    binary_hierarchies,
)


def numbered_for_merges(tree: Hierarchy) -> Hierarchy:
    """The tree with every inner node after its children, as the refusal of others advises."""
    inner = [node for node in tree.postorder() if not tree.is_leaf(node)]
    return tree.select([*range(tree.num_classes), *inner])


@given(binary_hierarchies(heights=True, attributes=False))
def test_linkage_round_trip_is_the_identity(tree: Hierarchy) -> None:
    tree = numbered_for_merges(tree)
    matrix = to_linkage(tree)
    assert scipy.cluster.hierarchy.is_valid_linkage(matrix)
    assert from_linkage(matrix, tree.names) == tree


@given(binary_hierarchies(attributes=False))
def test_sklearn_round_trip_is_the_identity(tree: Hierarchy) -> None:
    tree = numbered_for_merges(tree)
    children, distances = to_sklearn_children(tree)
    assert from_sklearn_children(children, distances, tree.names) == tree


@pytest.mark.parametrize("method", ["ward", "average", "single", "centroid"])
def test_linkage_of_scipy_keeps_its_ids(method: str) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    matrix = scipy.cluster.hierarchy.linkage(rows, method)
    tree = from_linkage(matrix)
    np.testing.assert_array_equal(to_linkage(tree), matrix)
    _, nodes = scipy.cluster.hierarchy.to_tree(matrix, rd=True)
    for node in nodes:
        assert sorted(node.pre_order()) == list(tree.leaves(node.id))


def test_children_of_sklearn_keep_their_ids() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    fitted = AgglomerativeClustering(compute_distances=True).fit(rows)
    tree = from_sklearn_children(fitted.children_, fitted.distances_)
    children, distances = to_sklearn_children(tree)
    np.testing.assert_array_equal(children, np.sort(fitted.children_))
    np.testing.assert_array_equal(distances, fitted.distances_)
    assert from_sklearn_children(fitted.children_) == bare(tree, heights=False)


def test_merges_hold_binary_trees_in_order_only() -> None:
    flat = Hierarchy([3, 3, 3, -1], ["a", "b", "c"], merge_heights=[0, 0, 0, 1])
    with pytest.raises(HierarchyError, match=r"node 3 .* has 3 children"):
        to_linkage(flat)
    with pytest.raises(HierarchyError, match="has no merge heights"):
        to_linkage(pets())
    backwards = Hierarchy([5, 5, 4, 6, 6, 4, -1], list("abcd"))
    with pytest.raises(HierarchyError, match="node 4 has a lower id than its child 5"):
        to_sklearn_children(backwards)
    assert len(to_sklearn_children(numbered_for_merges(backwards))[0]) == 3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 1, 1.0, 2], [2, 3, 2.0, 4]], "row 1 joins 3 classes, but its last column says 4"),
        ([[0, 1, 1.0, 2], [1, 3, 2.0, 3]], "row 1 joins node 1, which row 0"),
        ([[0, 0, 1.0, 2]], "row 0 joins node 0, which row 0"),
        ([[0, 3, 1.0, 2], [2, 1, 2.0, 3]], "row 0 joins node 3; expected an integer from 0 to 2"),
        ([[0, 1.5, 1.0, 2]], "row 0 joins node 1.5"),
        ([[0, -1, 1.0, 2]], "row 0 joins node -1"),
        ([[0, 1e300, 1.0, 2]], r"row 0 joins node 1e\+300"),
        ([[0, np.nan, 1.0, 2]], "NaN"),
        ([[0, 1, np.inf, 2]], "infinity"),
        ([[0, 1, 1.0]], r"shape \(C-1, 4\), got \(1, 3\)"),
        (np.zeros((0, 4)), "shape"),
        ([["a"]], "array of numbers"),
        ([[0, 1, 1.0, 2], [2]], "array of numbers"),
    ],
)
def test_linkage_names_the_row_that_is_wrong(matrix: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_linkage(matrix)


def test_merges_need_fitting_names_and_heights() -> None:
    with pytest.raises(HierarchyError, match="names"):
        from_linkage([[0, 1, 1.0, 2]], ["a", "b", "c", "d"])
    with pytest.raises(HierarchyError, match="not negative"):
        from_linkage([[0, 1, -1.0, 2]])
    with pytest.raises(InputError, match="1 merges need as many distances, got 2"):
        from_sklearn_children([[0, 1]], [1.0, 2.0])
    with pytest.raises(InputError, match="distances_ must be an array of numbers"):
        from_sklearn_children([[0, 1]], [[1.0, 2.0], [3.0]])
    with pytest.raises(InputError, match="2 rows are the merges of 3 classes"):
        from_sklearn_children([[0, 1], [2, 7]])
