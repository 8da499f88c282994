"""Whatever is wrong with a tree is refused with a HierarchyError that names the node."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbdt.errors import HierarchyError, NBDTError
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies
from tests.timing import cpu_seconds

PARENTS = [3, 3, 4, 4, -1]
NAMES = ["cat", "dog", "car", "animal", "thing"]


def refused(message: str, **changes: Any) -> None:
    """That the small tree with these changes is refused so; without them it is not."""
    parts = {"parents": PARENTS, "names": NAMES}
    Hierarchy(**parts)  # type: ignore[arg-type]
    with pytest.raises(HierarchyError, match=message):
        Hierarchy(**(parts | changes))


def is_tree_of_classes(parents: list[int]) -> bool:
    """The definition, word for word."""
    n = len(parents)
    counts = [parents.count(node) for node in range(n)]
    num_classes = counts.count(0)

    def reaches_root(node: int) -> bool:
        for _ in range(n):
            if node == n - 1:
                return True
            node = parents[node]
        return False

    return (
        n >= 3
        and all(-1 <= parent < n for parent in parents)
        and [node for node in range(n) if parents[node] == -1] == [n - 1]
        and not any(counts[:num_classes])
        and all(count >= 2 for count in counts[num_classes:])
        and all(map(reaches_root, range(n)))
    )


def renumbered(tree: Hierarchy, swap: dict[int, int]) -> list[int]:
    """The tree's parents, after two nodes swapped their numbers."""
    parents = [-1] * len(tree)
    for node, parent in enumerate(tree.parents.tolist()):
        parents[swap.get(node, node)] = swap.get(parent, parent)
    return parents


class TestParents:
    @given(st.lists(st.integers(-2, 9), max_size=9))
    def test_of_any_integers_are_a_tree_or_refused(self, parents: list[int]) -> None:
        leaves = [node for node in range(len(parents)) if node not in parents]
        names = list(map(str, leaves))
        if is_tree_of_classes(parents):
            assert Hierarchy(parents, names).parents.tolist() == parents
        else:
            with pytest.raises(HierarchyError):
                Hierarchy(parents, names)

    @given(hierarchies(max_classes=8), st.data())
    def test_with_one_changed_are_a_tree_or_refused(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        parents = tree.parents.tolist()
        node = data.draw(st.integers(0, tree.root))
        parents[node] = data.draw(st.integers(-2, len(tree)))
        if is_tree_of_classes(parents):
            assert Hierarchy(parents, tree.classes).parents.tolist() == parents
        else:
            with pytest.raises(HierarchyError, match=r"nodes? \[?\d+|root"):
                Hierarchy(parents, tree.classes)

    @given(hierarchies(min_classes=3), st.data())
    def test_in_a_ring_are_refused(self, tree: Hierarchy, data: st.DataObject) -> None:
        # Only nodes that their parents can spare, or the parent would be the one refused.
        spare = [v for v in tree.inner if v != tree.root and len(tree.children(tree.parent(v))) > 2]
        assume(spare)
        top = data.draw(st.sampled_from(spare))
        below = data.draw(st.sampled_from([v for v in tree.preorder(top) if not tree.is_leaf(v)]))
        parents = tree.parents.tolist()
        parents[top] = below
        with pytest.raises(HierarchyError) as caught:
            Hierarchy(parents, tree.classes)
        ring = set(tree.path(below)) & set(tree.preorder(top))
        assert str(caught.value) in {
            f"node {node} is its own ancestor; a tree has no cycles." for node in ring
        }

    @given(hierarchies(), st.data())
    def test_with_a_second_root_are_refused(self, tree: Hierarchy, data: st.DataObject) -> None:
        parents = tree.parents.tolist()
        node = data.draw(st.integers(0, tree.root - 1))
        parents[node] = -1
        with pytest.raises(HierarchyError, match=rf"found nodes \[{node}, {tree.root}\]"):
            Hierarchy(parents, tree.classes)

    @given(hierarchies(), st.data())
    def test_with_the_root_elsewhere_are_refused(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        place = data.draw(st.integers(0, tree.root - 1))
        swap = {place: tree.root, tree.root: place}
        parents = renumbered(tree, swap)
        with pytest.raises(HierarchyError, match=rf"the last node, {tree.root}, but it is {place}"):
            Hierarchy(parents, tree.classes)

    @given(hierarchies(), st.data())
    def test_with_an_only_child_are_refused(self, tree: Hierarchy, data: st.DataObject) -> None:
        # A new node between one node and its parent, numbered just before the root.
        node = data.draw(st.integers(0, tree.root - 1))
        parents = [tree.root + 1 if p == tree.root else p for p in tree.parents.tolist()[:-1]]
        parents = [*parents, parents[node], -1]
        parents[node] = tree.root
        with pytest.raises(HierarchyError, match=f"node {tree.root} has only one child"):
            Hierarchy(parents, tree.classes)

    @given(hierarchies(), st.data())
    def test_with_a_leaf_among_inner_nodes_are_refused(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        leaf = data.draw(st.integers(0, tree.num_classes - 1))
        inner = data.draw(st.integers(tree.num_classes, tree.root))
        assume(inner != tree.root)
        swap = {leaf: inner, inner: leaf}
        parents = renumbered(tree, swap)
        expected = f"node {leaf} has children and node {inner} has none"
        with pytest.raises(HierarchyError, match=expected):
            Hierarchy(parents, tree.classes)

    @pytest.mark.parametrize(
        ("parents", "message"),
        [
            ([], "got no nodes"),
            ([-1], "got 1"),
            ([1, -1], "got 2"),
            ([0, 1, 2], r"exactly one root \(parent -1\); found none"),
            ([3, 3, 3, 3], "exactly one root .*found none"),
            ([-1, -1, -1], r"found nodes \[0, 1, 2\]"),
            ([3, 3, 9, 4, -1], "node 2 has parent 9"),
            ([3, 3, -2, 4, -1], "node 2 has parent -2"),
            ([3, 3, 2**40, 4, -1], f"node 2 has parent {2**40}"),
            ([3, 3, 2**63, 4, -1], f"node 2 has parent {2**63}"),
            ([3, 3, 2**70, 4, -1], f"node 2 has parent {2**70}"),
            ([2, 2, -1, -1], r"found nodes \[2, 3\]"),
            ([3, 3, 3, -1, 3], "the root must be the last node, 4, but it is 3"),
            ([3.0, 3.0, 4.0, 4.0, -1.0], r"node 0 has parent 3\.0; .*list of integers"),
            ([3, 3, float("nan"), 4, -1], "node 2 has parent nan"),
            ([3, 3, None, 4, -1], "node 2 has parent None"),
            ([3, "3", 4, 4, -1], "node 1 has parent '3'"),
            ([3, 3, False, 4, None], "node 2 has parent False"),
            (np.zeros((5, 1), dtype=int), "got 2 dimensions"),
            (np.zeros(5), r"node 0 has parent .*0\.0"),
            ([[3, 3], [4, 4]], "2 dimensions"),
            ([[3, 3], [4]], "flat list"),
            (None, "list of integers"),
            (7, "list of integers"),
            ("33441", "list of integers"),
            ({0: 3}, "list of integers"),
        ],
    )
    def test_of_the_wrong_kind_are_refused(self, parents: object, message: str) -> None:
        refused(message, parents=parents)

    def test_in_a_ring_apart_from_the_tree_are_refused(self) -> None:
        # Nodes 4 and 5 are each other's parent, each with a leaf; the rest is a tree.
        ring = [4, 5, 6, 6, 5, 4, -1]
        refused("node 4 is its own ancestor", parents=ring, names=["a", "b", "c", "d"])

    def test_are_checked_fast_however_deep(self) -> None:
        deep = caterpillar(100_000).parents.copy()
        deep[-3] = deep[100_001]  # the chain closes on itself far down
        names = [str(i) for i in range(100_000)]

        def build() -> None:
            with pytest.raises(HierarchyError):
                Hierarchy(deep, names)

        assert cpu_seconds(build, times=2) < 5


class TestNames:
    @given(hierarchies(), st.data())
    def test_of_two_classes_are_never_the_same(self, tree: Hierarchy, data: st.DataObject) -> None:
        a, b = sorted(data.draw(st.permutations(range(tree.num_classes)))[:2])
        names = list(tree.names)
        names[b] = names[a]
        with pytest.raises(HierarchyError, match=f"classes {a} and {b} are both called"):
            Hierarchy(tree.parents, names)

    @given(hierarchies(), st.data(), st.sampled_from(["", " ", "\t\n", "\u3000"]))
    def test_of_classes_are_never_blank(
        self, tree: Hierarchy, data: st.DataObject, blank: str
    ) -> None:
        node = data.draw(st.integers(0, tree.num_classes - 1))
        names = list(tree.names)
        names[node] = blank
        with pytest.raises(HierarchyError, match=f"class {node} has no name"):
            Hierarchy(tree.parents, names)

    @given(hierarchies(), st.integers(0, 100))
    def test_are_of_the_classes_or_of_all_nodes(self, tree: Hierarchy, count: int) -> None:
        names = [f"name {i}" for i in range(count)]
        if count in (tree.num_classes, len(tree)):
            assert Hierarchy(tree.parents, names).names[:count] == tuple(names)
        else:
            with pytest.raises(HierarchyError, match=f"or {len(tree)} names; got {count}"):
                Hierarchy(tree.parents, names)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["cat", 3, "car"], "name of node 1 must be a text, got 3"),
            (["cat", "dog", "car", None, "thing"], "name of node 3 must be a text, got None"),
            ([b"cat", "dog", "car"], "name of node 0 must be a text, got b'cat'"),
            ("cat", "list of names, got one text"),
            ({"cat", "dog", "car"}, "list of names, got {.*}, which has no order"),
            (frozenset({"cat", "dog", "car"}), "which has no order"),
            (None, "list of names, got None"),
            (3, "list of names, got 3"),
        ],
    )
    def test_are_texts(self, names: object, message: str) -> None:
        refused(message, names=names)

    def test_of_inner_nodes_may_be_anything(self) -> None:
        tree = Hierarchy(PARENTS, ["cat", "dog", "car", "", "cat"])
        assert tree.name(3) == "node 3"
        assert tree.name(4) == "cat"


class TestMergeHeights:
    @given(hierarchies(heights=True), st.data(),
           st.sampled_from([float("nan"), float("inf"), -float("inf"), -1e-9]))  # fmt: skip
    def test_are_finite_and_not_negative(
        self, tree: Hierarchy, data: st.DataObject, wrong: float
    ) -> None:
        node = data.draw(st.integers(0, tree.root))
        assert tree.merge_heights is not None
        heights = tree.merge_heights.copy()
        heights[node] = wrong
        with pytest.raises(HierarchyError, match=f"merge height of node {node} is {wrong}"):
            Hierarchy(tree.parents, tree.names, merge_heights=heights)

    @given(hierarchies(heights=True), st.data())
    def test_are_0_at_the_leaves(self, tree: Hierarchy, data: st.DataObject) -> None:
        node = data.draw(st.integers(0, tree.num_classes - 1))
        assert tree.merge_heights is not None
        heights = tree.merge_heights.tolist()
        heights[node] = 0.5
        with pytest.raises(HierarchyError, match=f"class {node} joins nothing"):
            Hierarchy(tree.parents, tree.names, merge_heights=heights)

    @pytest.mark.parametrize(
        ("heights", "message"),
        [
            ([], "one number a node, 5"),
            ([0, 0, 0, 1], r"one number a node, 5; got shape \(4,\)"),
            ([[0, 0, 0, 1, 2]], r"got shape \(1, 5\)"),
            (["0", "0", "0", "1", "2"], "flat list of numbers"),
            ([0, 0, 0, None, 2], "flat list of numbers"),
            ([0, 0, 0, [1], 2], "flat list of numbers"),
            ([0, 0, 0, 1j, 2], "flat list of numbers"),
            ("heights", "flat list of numbers"),
            (2.0, "one number a node"),
        ],
    )
    def test_are_a_number_a_node(self, heights: object, message: str) -> None:
        refused(message, merge_heights=heights)


class TestAttributes:
    @pytest.mark.parametrize(
        ("attributes", "message"),
        [
            ({5: {"wnid": "n0"}}, "attributes has the key 5; nodes are 0 to 4"),
            ({-1: {"wnid": "n0"}}, "attributes has the key -1"),
            ({"3": {"wnid": "n0"}}, "attributes has the key '3'"),
            ({True: {"wnid": "n0"}}, "attributes has the key True"),
            ({3.0: {"wnid": "n0"}}, "attributes has the key 3.0"),
            ({3: "n0"}, "attributes of node 3 must be a mapping"),
            ({3: {7: "n0"}}, "attributes of node 3 must be a mapping with texts as keys"),
            ([{"wnid": "n0"}], "a mapping by node"),
        ],
    )
    def test_are_mappings_by_node(self, attributes: object, message: str) -> None:
        refused(message, attributes=attributes)

    def test_may_be_empty(self) -> None:
        bare = Hierarchy(PARENTS, NAMES)
        assert Hierarchy(PARENTS, NAMES, attributes={}) == bare
        assert Hierarchy(PARENTS, NAMES, attributes={3: {}}) == bare

    def test_take_numpy_integers_for_nodes(self) -> None:
        tree = Hierarchy(PARENTS, NAMES, attributes={np.int64(3): {"wnid": "n0"}})
        assert tree.attributes(3) == {"wnid": "n0"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
KEYS = st.integers(-2, 6) | st.text(max_size=2)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.sets(st.integers(0, 3)))
def test_no_input_gives_an_error_from_inside(
    parents: Any, names: Any, heights: Any, attributes: Any, good: set[int]
) -> None:
    given_parts = [parents, names, heights, attributes]
    good_parts = [PARENTS, NAMES, [0, 0, 0, 1, 2], {3: {"wnid": "n0"}}]
    parts = [good_parts[i] if i in good else given_parts[i] for i in range(4)]
    try:
        tree = Hierarchy(parts[0], parts[1], merge_heights=parts[2], attributes=parts[3])
    except NBDTError:
        return
    assert is_tree_of_classes(tree.parents.tolist())


def test_errors_are_value_errors_too() -> None:
    with pytest.raises(ValueError, match="exactly one root"):
        Hierarchy([0, 1, 2], ["cat"])
