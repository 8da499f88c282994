import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.explain import FeatureGeometry
from nbdt.hierarchy import Hierarchy
from tests.explain.samples import THING
from tests.strategies import hierarchies, random_hierarchy

ROWS = [[0.0, 2.0], [0.0, -2.0], [5.0, 0.0]]


def naive_mean(tree: Hierarchy, rows: np.ndarray, node: int) -> np.ndarray:
    return np.mean([rows[leaf] for leaf in tree.leaves(node)], axis=0)


@settings(max_examples=40)
@given(hierarchies(heights=False, attributes=False), st.integers(0, 2**32 - 1), st.data())
def test_distances_are_those_of_the_mean_rows(tree, seed, data):
    rows = np.random.default_rng(seed).normal(5, 1, (tree.num_classes, 7))
    nodes = data.draw(st.lists(st.integers(0, tree.root - 1), max_size=6))
    expected = [
        np.linalg.norm(naive_mean(tree, rows, node) - naive_mean(tree, rows, sibling))
        for node in nodes
        for sibling in tree.children(tree.parent(node))
    ]
    geometry = FeatureGeometry(tree, rows)
    for _ in range(2):  # worked out, then remembered
        got = geometry.sibling_distances(np.array(nodes, dtype=np.int64))
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=0)


def test_mean_rows():
    tree = random_hierarchy(30, seed=3, branching=4)
    rows = np.random.default_rng(0).normal(0, 1, (30, 5))
    expected = [naive_mean(tree, rows, node) for node in range(len(tree))]
    got = FeatureGeometry(tree, rows).mean_rows(np.arange(len(tree)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_wide_nodes_are_measured_but_not_kept():
    classes = 200
    tree = Hierarchy([classes] * classes + [-1], [f"class {i}" for i in range(classes)])
    rows = np.random.default_rng(0).normal(0, 1, (classes, 6))
    geometry = FeatureGeometry(tree, rows)
    got = geometry.sibling_distances(np.array([7, 3, 7]))
    expected = np.linalg.norm(rows - rows[[7, 3, 7], None], axis=2).ravel()
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=0)
    assert len(pickle.dumps(geometry)) < 60_000  # 200 × 200 distances alone are 320,000 bytes


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_rows_too_near_to_tell_apart_have_no_distance(offset):
    rows = np.array([[1.0, 2.0], [1.0, 2.0 + 1e-12], [3.0, 4.0]]) + offset
    geometry = FeatureGeometry(THING, rows)
    distances = geometry.sibling_distances(np.array([0, 3]))
    np.testing.assert_allclose(distances, [0, 0, np.sqrt(8), 0], rtol=1e-6)


def test_twins_among_many_have_no_distance():
    rows = np.repeat(np.random.default_rng(0).normal(0, 1, (20, 50)), 2, axis=0)
    tree = Hierarchy([40] * 40 + [-1], [f"class {i}" for i in range(40)])
    distances = FeatureGeometry(tree, rows).sibling_distances(np.arange(40)).reshape(40, 40)
    twins = np.arange(40) // 2
    np.testing.assert_array_equal(distances == 0, twins == twins[:, None])


def test_small_differences_of_large_rows_are_measured_well():
    differences = np.random.default_rng(0).normal(0, 1e-2, (6, 3))
    tree = Hierarchy([6] * 6 + [-1], list("abcdef"))
    got = FeatureGeometry(tree, 1e3 + differences).sibling_distances(np.arange(6)).reshape(6, 6)
    expected = np.linalg.norm(differences - differences[:, None], axis=2)
    np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_may_be_a_parameter_of_any_type(dtype):
    rows = torch.nn.Parameter(torch.tensor(ROWS, dtype=dtype))
    distances = FeatureGeometry(THING, rows).sibling_distances(np.array([3]))
    np.testing.assert_allclose(distances, [5, 0])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1.0], [2.0]], r"shape \(3, features\); got \(2, 1\)"),
        ([1.0, 2.0, 3.0], r"shape \(3, features\); got \(3,\)"),
        ([[1.0], [np.nan], [3.0]], "row 1 of the head holds NaN"),
        ([["a"], ["b"], ["c"]], "a table of numbers"),
        ([[1.0], [2.0, 3.0], [4.0]], "a table of numbers"),
    ],
)
def test_rows_that_are_no_head_are_refused(rows, reason):
    with pytest.raises(InputError, match=reason):
        FeatureGeometry(THING, rows)
