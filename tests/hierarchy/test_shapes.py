"""Baseline shapes: the promised shape at any size, and only good arguments taken."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import InputError, Note
from nbdt.hierarchy.shapes import balanced, flat, random
from nbdt.hierarchy.tree import Hierarchy
from tests.timing import cpu_seconds

SIZES = st.integers(2, 200)
BRANCHINGS = st.integers(2, 12)


def least_depth(num_classes: int, branching: int) -> int:
    """⌈log C / log branching⌉, without rounding."""
    depth = 0
    while branching**depth < num_classes:
        depth += 1
    return depth


@given(SIZES, BRANCHINGS)
def test_balanced_is_as_flat_as_can_be(num_classes: int, branching: int) -> None:
    tree = balanced(num_classes, branching)
    assert tree.height(tree.root) == least_depth(num_classes, branching)
    for node in tree.inner:
        children = tree.children(node)
        sizes = [int(tree.sizes[child]) for child in children]
        assert len(children) == min(branching, tree.sizes[node])
        assert max(sizes) - min(sizes) <= 1


@given(SIZES, BRANCHINGS)
def test_balanced_keeps_the_order_of_the_classes(num_classes: int, branching: int) -> None:
    tree = balanced(num_classes, branching)
    assert tree.leaf_order.tolist() == list(range(num_classes))
    assert all(tree.parent(node) > node for node in range(tree.root))


@given(SIZES, BRANCHINGS, st.integers(0, 2**32))
def test_random_has_the_branching_it_was_asked_for(
    num_classes: int, branching: int, seed: int
) -> None:
    tree = random(num_classes, branching, seed)
    counts = [len(tree.children(node)) for node in tree.inner]
    assert tree.num_classes == num_classes
    assert 2 <= counts[0] <= branching
    assert set(counts[1:]) <= {branching}


@given(SIZES, BRANCHINGS, st.integers(0, 2**32))
def test_random_is_the_same_for_the_same_seed(num_classes: int, branching: int, seed: int) -> None:
    assert random(num_classes, branching, seed) == random(num_classes, branching, seed)


def test_random_differs_by_seed() -> None:
    assert len({random(20, seed=seed) for seed in range(20)}) == 20


def test_random_merges_every_pair_as_often() -> None:
    # Of 4 classes: 2/3 of the trees are caterpillars (Yule), and each pair is the first to merge
    # as often as any other. 3,000 draws: four standard deviations are allowed.
    trees = [random(4, seed=seed) for seed in range(3000)]
    caterpillars = sum(tree.height(tree.root) == 3 for tree in trees)
    assert abs(caterpillars - 2000) < 4 * math.sqrt(3000 * 2 / 9)
    first = Counter(tree.children(4) for tree in trees)
    assert len(first) == 6
    assert all(abs(count - 500) < 4 * math.sqrt(3000 * 5 / 36) for count in first.values())


def test_random_is_what_it_was() -> None:
    # Published comparisons name a seed, so its tree must stay.
    assert random(6, seed=0).parents.tolist() == [8, 7, 7, 6, 8, 6, 9, 10, 9, 10, -1]


@given(SIZES)
def test_flat_is_one_decision(num_classes: int) -> None:
    tree = flat(num_classes)
    assert len(tree) == num_classes + 1
    assert tree.children(tree.root) == tuple(range(num_classes))


@pytest.mark.parametrize("shape", [balanced, random, flat])
class TestClasses:
    def test_are_named_by_number(self, shape: Callable[..., Hierarchy]) -> None:
        assert shape(3).classes == shape(np.int64(3)).classes == ("0", "1", "2")

    def test_are_named_as_given(self, shape: Callable[..., Hierarchy]) -> None:
        assert shape(["cat", "dog"]).classes == shape(("cat", "dog")).classes == ("cat", "dog")

    @pytest.mark.parametrize("classes", [1, 0, -3, ["cat"], []])
    def test_are_two_at_least(self, shape: Callable[..., Hierarchy], classes: object) -> None:
        with pytest.raises(InputError, match="at least two classes"):
            shape(classes)

    @pytest.mark.parametrize("classes", ["cat, dog", 2.0, None, True, {"cat", "dog"}])
    def test_are_a_list_or_a_number(self, shape: Callable[..., Hierarchy], classes: object) -> None:
        with pytest.raises(InputError, match="list of names or their number"):
            shape(classes)

    def test_have_names_of_their_own(self, shape: Callable[..., Hierarchy]) -> None:
        with pytest.warns(Note, match="several classes are called 'cat'"):
            assert shape(["cat", "cat", "dog"]).classes == ("cat (0)", "cat (1)", "dog")

    def test_may_be_very_many(self, shape: Callable[..., Hierarchy]) -> None:
        assert shape(21_841).num_classes == 21_841
        assert cpu_seconds(lambda: shape(21_841)) < 3


@pytest.mark.parametrize("shape", [balanced, random])
@pytest.mark.parametrize("branching", [1, 0, -2, 2.0, "2", None, True])
def test_a_branching_factor_is_two_or_more(
    shape: Callable[..., Hierarchy], branching: object
) -> None:
    with pytest.raises(InputError, match=r"branching must be a whole number, 2 or more"):
        shape(5, branching)


@pytest.mark.parametrize("seed", [-1, 0.5, None, "0"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(InputError, match="seed must be a whole number"):
        random(5, seed=seed)  # type: ignore[arg-type]
