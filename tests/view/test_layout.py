"""The layouts, against a naive tidy drawing and the properties that make one tidy."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.view.folding import fold
from nbdt.view.layout import layout
from tests.explain.samples import THING
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.timing import cpu_seconds

SIZES = st.lists(st.sampled_from([0.5, 1, 1, 3]), min_size=1, max_size=7)


def sizes_of(tree: Hierarchy, pattern: list[float]) -> list[float]:
    return [pattern[node % len(pattern)] for node in range(len(tree))]


def naive_tidy(tree: Hierarchy, sizes: list[float]) -> np.ndarray:
    """The drawing's definition without the algorithm's tricks: subtrees are moved node by node."""
    x = np.zeros(len(tree))

    def move(top: int, by: float) -> None:
        x[list(tree.preorder(top))] += by

    def level_of(top: int, level: int) -> list[int]:
        return [v for v in tree.preorder(top) if tree.depth(v) == tree.depth(top) + level]

    def room(left: int, right: int) -> float:
        return (sizes[left] + sizes[right]) / 2

    def place(node: int) -> None:
        family = tree.children(node)
        if not family:
            return
        pushed = []
        for number, child in enumerate(family):
            place(child)
            if number:
                before = family[number - 1]
                move(child, x[before] + room(before, child) - x[child])
            for level in range(1, tree.height(child) + 1):
                reach = [i for i in range(number) if tree.height(family[i]) >= level]
                if not reach:
                    break
                left = level_of(family[reach[-1]], level)[-1]
                right = level_of(child, level)[0]
                overlap = x[left] + room(left, right) - x[right]
                if overlap > 0:
                    move(child, overlap)
                    pushed.append((reach[-1], number, overlap))
        for first, last, overlap in pushed:
            for number in range(first + 1, last):
                move(family[number], overlap * (number - first) / (last - first))
        x[node] = (x[family[0]] + x[family[-1]]) / 2

    place(tree.root)
    return x - min(x - np.array(sizes) / 2)


@given(hierarchies(), SIZES)
def test_a_tidy_drawing_is_that_of_the_definition(tree: Hierarchy, pattern: list[float]) -> None:
    sizes = sizes_of(tree, pattern)
    placed = layout(tree, sizes=sizes)
    np.testing.assert_allclose(placed.breadth, naive_tidy(tree, sizes), atol=1e-9)
    np.testing.assert_array_equal(placed.depth, tree.depths)


@given(hierarchies(), SIZES)
def test_in_a_tidy_drawing_nothing_overlaps_and_parents_are_centred(
    tree: Hierarchy, pattern: list[float]
) -> None:
    sizes = sizes_of(tree, pattern)
    placed = layout(tree, sizes=sizes)
    levels: dict[int, list[int]] = {}
    for node in tree.preorder():
        levels.setdefault(tree.depth(node), []).append(node)
    for level in levels.values():
        for left, right in pairwise(level):
            gap = placed.breadth[right] - placed.breadth[left]
            assert gap >= (sizes[left] + sizes[right]) / 2 - 1e-9
    for node in tree.inner:
        first, *_, last = tree.children(node)
        middle = (placed.breadth[first] + placed.breadth[last]) / 2
        assert placed.breadth[node] == pytest.approx(middle)
    assert (placed.breadth - placed.sizes / 2).min() == pytest.approx(0)
    assert placed.extent == pytest.approx((placed.breadth + placed.sizes / 2).max())


@given(hierarchies(max_classes=10), st.integers(1, 5))
def test_equal_subtrees_are_drawn_alike(part: Hierarchy, between: int) -> None:
    """The same tree hangs below a new root twice, with classes in between and a big one before."""
    copies, c = 2, part.num_classes
    leaves = copies * c + between
    parents: list[int] = []
    offsets = []
    for copy in range(copies):  # the leaves of each copy, then the classes in between
        offsets.append((copy * c, leaves + copy * (len(part) - c)))

    def new_id(copy: int, node: int) -> int:
        leaf, inner = offsets[copy]
        return leaf + node if node < c else inner + node - c

    root = leaves + copies * (len(part) - c)
    parents = [root] * (root + 1)
    for copy in range(copies):
        for node in range(len(part)):
            above = part.parent(node)
            parents[new_id(copy, node)] = root if above < 0 else new_id(copy, above)
    parents[root] = -1
    tree = Hierarchy(parents, [f"class {i}" for i in range(leaves)])
    x = layout(tree).breadth
    drawn = [[x[new_id(copy, node)] for node in range(len(part))] for copy in range(copies)]
    np.testing.assert_allclose(np.subtract(*drawn), drawn[0][0] - drawn[1][0], atol=1e-9)


def test_a_small_subtree_between_big_ones_is_in_the_middle() -> None:
    # The big ones keep each other apart two levels below what the small one reaches.
    parents = [18] * 4 + [19] * 4 + [23] * 2 + [20] * 4 + [21] * 4
    parents += [22, 22, 24, 24, 25, 25, 25, -1]
    x = layout(Hierarchy(parents, [f"class {i}" for i in range(18)])).breadth
    assert np.diff(x[[22, 23, 24]]).tolist() == [4, 4]


@given(hierarchies(), SIZES)
def test_a_dendrogram_gives_each_leaf_a_place_on_one_line(
    tree: Hierarchy, pattern: list[float]
) -> None:
    sizes = sizes_of(tree, pattern)
    placed = layout(tree, kind="dendrogram", sizes=sizes)
    order = tree.leaf_order
    room = np.array(sizes)[order]
    np.testing.assert_allclose(placed.breadth[order], np.cumsum(room) - room / 2)
    for node in range(len(tree)):
        assert placed.depth[node] == tree.height(tree.root) - tree.height(node)
        if not tree.is_leaf(node):
            first, *_, last = tree.children(node)
            middle = (placed.breadth[first] + placed.breadth[last]) / 2
            assert placed.breadth[node] == pytest.approx(middle)


@given(hierarchies(heights=True))
def test_a_dendrogram_stands_as_high_as_it_was_merged(tree: Hierarchy) -> None:
    assert tree.merge_heights is not None
    placed = layout(tree, kind="dendrogram", heights=tree.merge_heights)
    highest = tree.merge_heights[tree.root]
    np.testing.assert_allclose(placed.depth, highest - tree.merge_heights)


@given(hierarchies(), SIZES)
def test_an_indented_drawing_has_a_row_a_node(tree: Hierarchy, pattern: list[float]) -> None:
    sizes = sizes_of(tree, pattern)
    placed = layout(tree, kind="indented", sizes=sizes)
    order = list(tree.preorder())
    room = np.array(sizes)[order]
    np.testing.assert_allclose(placed.breadth[order], np.cumsum(room) - room / 2)
    np.testing.assert_array_equal(placed.depth, tree.depths)


def test_a_folding_is_laid_out_by_its_items() -> None:
    placed = layout(fold(THING, folded={3}))
    assert placed.breadth.tolist() == [1, 0.5, 1.5]
    assert placed.depth.tolist() == [0, 1, 1]


@pytest.mark.parametrize("tree", [random_hierarchy(21_841), caterpillar(21_841)])
@pytest.mark.parametrize("kind", ["tidy", "dendrogram", "indented"])
def test_a_tree_of_all_of_imagenet_takes_less_than_a_second(tree: Hierarchy, kind: str) -> None:
    assert cpu_seconds(lambda: layout(tree, kind=kind)) < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "radial"}, "kind must be one of tidy, dendrogram, indented; got 'radial'"),
        ({"sizes": [1, 2]}, "sizes must be 5 numbers"),
        ({"sizes": [1, 1, 1, 1, -1]}, "finite and not negative"),
        ({"sizes": ["a"] * 5}, "sizes must be numbers"),
        ({"kind": "dendrogram", "heights": [0, 0, 0, 0, np.nan]}, "heights must be 5"),
        ({"heights": [0, 0, 0, 1, 2]}, "only kind \"dendrogram\" has branch heights, not 'tidy'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        layout(THING, **arguments)  # type: ignore[arg-type]
