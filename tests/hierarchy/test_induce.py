"""Induced trees against scipy, against a naive contraction, and by properties."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import pdist

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.induce import LINKAGES, MONOTONE_LINKAGES, induce


def rows_of(seed, classes=20, features=6):
    return np.random.default_rng(seed).normal(size=(classes, features))


def merges_of(tree: Hierarchy):
    """Which classes each inner node joins, and at what height."""
    return {tree.leaves(v): tree.merge_heights[v] for v in tree.inner}


def assert_same_tree(found: Hierarchy, expected: Hierarchy):
    assert np.array_equal(found.parents, expected.parents)
    assert np.allclose(found.merge_heights, expected.merge_heights, atol=1e-5)


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("normalize", [True, False])
def test_is_scipys_clustering_of_the_rows(linkage, normalize):
    rows = rows_of(1)
    tree = induce(rows, linkage=linkage, normalize=normalize)
    if normalize:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    merges = scipy_linkage(pdist(rows), method=linkage)
    for i, (left, right, height, size) in enumerate(merges):
        node = 20 + i
        assert tree.children(node) == tuple(sorted((int(left), int(right))))
        assert tree.merge_heights[node] == pytest.approx(height, abs=1e-5)
        assert tree.sizes[node] == size


def test_cosine_is_one_minus_the_cosine():
    rows = rows_of(2)
    tree = induce(rows, metric="cosine", linkage="average", normalize=False)
    merges = scipy_linkage(pdist(rows, "cosine"), method="average")
    assert np.allclose(tree.merge_heights[20:], merges[:, 2], atol=1e-5)


def test_far_from_the_origin_no_digits_are_lost():
    rows = rows_of(3)
    near = induce(rows, normalize=False)
    assert_same_tree(induce(rows + 1e6, normalize=False), near)


def test_blocks_of_rows_join_up(monkeypatch):
    rows = rows_of(4)
    whole = induce(rows)
    monkeypatch.setattr(sys.modules[induce.__module__], "BLOCK_ROWS", 3)
    assert induce(rows) == whole


@given(seed=st.integers(0, 2**32 - 1))
def test_the_last_bits_of_the_rows_do_not_matter(seed):
    rows = rows_of(seed)
    noise = 1 + 1e-13 * np.random.default_rng(seed).normal(size=rows.shape)
    assert_same_tree(induce(rows * noise), induce(rows))


def test_rows_that_coincide_are_merged_by_index():
    tree = induce(np.repeat(np.eye(2), 3, axis=0))
    assert sorted(merges_of(tree)) == [(0, 1), (0, 1, 2), (0, 1, 2, 3, 4, 5), (3, 4), (3, 4, 5)]
    assert tree.merge_heights[tree.root] > 0


def naive_contraction(tree: Hierarchy, branching):
    """As DESIGN.md words it: look at all inner edges anew after every contraction."""
    children = {v: list(tree.children(v)) for v in tree.inner}
    while True:
        edges = [
            (tree.merge_heights[above] - tree.merge_heights[below], below, above)
            for above, family in children.items()
            for below in family
            if below in children and len(family) + len(children[below]) - 1 <= branching
        ]
        if not edges:
            return {tuple(sorted(tree.leaves(v))): tree.merge_heights[v] for v in children}
        _, below, above = min(edges)
        children[above].remove(below)
        children[above] += children.pop(below)


@given(
    seed=st.integers(0, 2**32 - 1),
    branching=st.integers(3, 6),
    linkage=st.sampled_from(MONOTONE_LINKAGES),
)
def test_branching_contracts_the_smallest_gaps(seed, branching, linkage):
    rows = rows_of(seed, classes=16)
    tree = induce(rows, linkage=linkage, branching=branching)
    assert max(len(tree.children(v)) for v in tree.inner) <= branching
    assert merges_of(tree) == naive_contraction(induce(rows, linkage=linkage), branching)


def test_branching_as_wide_as_the_classes_is_flat():
    tree = induce(rows_of(5), branching=20)
    assert tree.children(tree.root) == tuple(range(20))


def test_inner_nodes_have_names_and_no_two_alike():
    tree = induce(rows_of(6, classes=60), branching=3)
    names = [tree.name(v) for v in tree.inner]
    assert all(names)
    assert len(set(names)) == len(names)


def test_a_confusion_matrix_joins_what_is_confused():
    confusion = np.array([[80, 18, 1, 1], [20, 78, 1, 1], [0, 0, 90, 10], [2, 1, 7, 90]])
    tree = induce(confusion, ["cat", "dog", "car", "bus"], metric="confusion", linkage="average")
    assert set(merges_of(tree)) == {(0, 1), (2, 3), (0, 1, 2, 3)}
    assert tree.merge_heights[tree.lca(0, 1)] == pytest.approx(1 - 0.19, abs=1e-5)


def test_distances_may_be_given():
    rows = rows_of(7)
    full = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    given_distances = induce(full, metric="precomputed", linkage="average")
    assert_same_tree(given_distances, induce(rows, linkage="average", normalize=False))


def test_one_row_is_a_binary_classifier():
    tree = induce([[0.5, -2.0]], ["no", "yes"])
    assert tree.classes == ("no", "yes")
    assert tree.children(tree.root) == (0, 1)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_rows_of_any_size_are_normalised(scale):
    assert_same_tree(induce(rows_of(8) * scale), induce(rows_of(8)))


BAD = np.eye(4)


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        (np.where(BAD == 1, np.nan, 0), {}, "row 0 contains NaN"),
        (np.where(np.arange(4)[:, None] == 2, np.inf, BAD), {}, "row 2 contains NaN or infinity"),
        (BAD[:, :3], {}, "class '3' is all zeros"),
        (BAD[:, :3], {"metric": "cosine", "linkage": "average", "normalize": False}, "all zeros"),
        (np.zeros((1, 3)), {"normalize": False, "classes": ["a"]}, "2 rows need 2 class names"),
        (np.zeros((0, 3)), {}, "shape"),
        (np.zeros(3), {}, "shape"),
        ([["a", "b"]], {}, "numbers"),
        (BAD, {"classes": ["a", "b"]}, "4 rows need 4 class names; got 2"),
        (BAD, {"classes": "abcd"}, "list of names"),
        (BAD, {"classes": 3}, "list of names, got 3"),
        (BAD, {"classes": {"a", "b", "c"}}, "list of names, got {"),
        (np.eye(3) * 1j, {}, "real numbers"),
        (np.eye(3) * 1e200, {"normalize": False}, "beyond ±1e\\+150"),
        (BAD, {"linkage": "wards"}, "linkage must be one of ward"),
        (BAD, {"metric": "manhattan"}, "metric must be one of euclidean"),
        (BAD, {"metric": "cosine", "linkage": "ward"}, "use linkage='average'"),
        (BAD, {"branching": 1}, "branching"),
        (BAD, {"branching": 2.5}, "branching"),
        (BAD, {"branching": 3, "linkage": "centroid"}, "merge heights"),
        (BAD[:3], {"metric": "confusion", "linkage": "average"}, "square"),
        (-BAD, {"metric": "confusion", "linkage": "average"}, "negative"),
        (BAD - np.diag([0, 1, 0, 0]), {"metric": "confusion", "linkage": "average"}, "class 1 has"),
        (BAD, {"metric": "precomputed", "linkage": "average"}, "diagonal"),
        (np.triu(1 - BAD), {"metric": "precomputed", "linkage": "average"}, "symmetric"),
        ([[1.0]], {"metric": "precomputed", "linkage": "average"}, "at least two classes"),
    ],
)
def test_bad_input_is_one_sentence(rows, options, says):
    with pytest.raises(InputError, match=says):
        induce(rows, **options)
