"""Hierarchy: every answer against a naive oracle, and the tree as an object."""

import copy
import pickle
from collections.abc import Callable
from functools import cached_property

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import HierarchyError, InputError, NotFoundError
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.timing import cpu_seconds

ANIMALS = Hierarchy(
    [3, 3, 4, 4, -1],
    ["cat", "dog", "car", "animal", "thing"],
    merge_heights=[0, 0, 0, 1.5, 2],
    attributes={3: {"wnid": "n00015388"}},
)
OF_ONE_NODE = [
    *("name", "attributes", "is_leaf", "parent", "children", "leaves", "depth", "height"),
    *("path", "ancestors", "subtree", "preorder", "postorder", "levelorder"),
]


class Oracle:
    """The same questions, answered recursively from the list of parents."""

    def __init__(self, tree: Hierarchy) -> None:
        self.parents = tree.parents.tolist()

    def children(self, node: int) -> list[int]:
        return [child for child, parent in enumerate(self.parents) if parent == node]

    def path(self, node: int) -> list[int]:
        parent = self.parents[node]
        return [*(self.path(parent) if parent >= 0 else []), node]

    def preorder(self, node: int) -> list[int]:
        return [node, *(below for child in self.children(node) for below in self.preorder(child))]

    def postorder(self, node: int) -> list[int]:
        return [*(below for child in self.children(node) for below in self.postorder(child)), node]

    def leaves_as_drawn(self, node: int) -> list[int]:
        return [below for below in self.preorder(node) if not self.children(below)]

    def height(self, node: int) -> int:
        return max((1 + self.height(child) for child in self.children(node)), default=0)

    @cached_property
    def graph(self) -> nx.DiGraph:
        graph = nx.DiGraph()
        graph.add_edges_from((p, v) for v, p in enumerate(self.parents) if p >= 0)
        return graph


def subtree_as_nested(oracle: Oracle, tree: Hierarchy, node: int) -> object:
    """A tree without its node ids: names, and children as a set would hold them."""
    inside = [subtree_as_nested(oracle, tree, child) for child in oracle.children(node)]
    height = None if tree.merge_heights is None else tree.merge_heights[node]
    return tree.names[node], height, tree.attributes(node), sorted(inside, key=repr)


class TestQueries:
    @given(hierarchies())
    def test_of_one_node(self, tree: Hierarchy) -> None:
        oracle = Oracle(tree)
        assert len(tree) == len(oracle.parents)
        for node in range(len(tree)):
            path = oracle.path(node)
            leaves = oracle.leaves_as_drawn(node)
            assert tree.parent(node) == oracle.parents[node]
            assert tree.children(node) == tuple(oracle.children(node))
            assert tree.is_leaf(node) == (not oracle.children(node))
            assert tree.path(node) == tuple(path)
            assert tree.ancestors(node) == tuple(path[-2::-1])
            assert tree.depth(node) == tree.depths[node] == len(path) - 1
            assert tree.height(node) == tree.heights[node] == oracle.height(node)
            assert tree.leaves(node) == tuple(sorted(leaves))
            assert tree.sizes[node] == len(leaves)
            start = tree.leaf_start[node]
            assert tree.leaf_order[start : start + tree.sizes[node]].tolist() == leaves

    @given(hierarchies(max_classes=12))
    def test_of_two_nodes(self, tree: Hierarchy) -> None:
        oracle = Oracle(tree)
        pairs = [(a, b) for a in range(len(tree)) for b in range(len(tree))]
        lowest = dict(nx.tree_all_pairs_lowest_common_ancestor(oracle.graph, tree.root))
        distances = dict(nx.all_pairs_shortest_path_length(oracle.graph.to_undirected()))
        for a, b in pairs:
            expected = lowest[a, b] if (a, b) in lowest else lowest[b, a]
            assert tree.lca(a, b) == expected
            assert tree.distance(a, b) == distances[a][b]
            assert tree.is_ancestor(a, b) == (a in oracle.path(b))

    @given(hierarchies(), st.data())
    def test_orders(self, tree: Hierarchy, data: st.DataObject) -> None:
        oracle = Oracle(tree)
        assert list(tree.preorder()) == oracle.preorder(tree.root)
        assert list(tree.postorder()) == oracle.postorder(tree.root)
        node = data.draw(st.integers(0, tree.root))
        below = oracle.preorder(node)
        assert list(tree.preorder(node)) == below
        assert list(tree.postorder(node)) == oracle.postorder(node)
        levels = sorted(below, key=lambda v: len(oracle.path(v)))  # stable: as drawn in a level
        assert list(tree.levelorder(node)) == levels
        assert list(tree.levelorder()) == sorted(
            oracle.preorder(tree.root), key=lambda v: len(oracle.path(v))
        )

    @given(hierarchies())
    def test_of_the_whole(self, tree: Hierarchy) -> None:
        assert tree.num_classes == sum(tree.is_leaf(node) for node in range(len(tree)))
        assert tree.root == tree.parents.tolist().index(-1)
        assert list(tree.inner) == [v for v in range(len(tree)) if not tree.is_leaf(v)]
        assert tree.classes == tree.names[: tree.num_classes]

    @pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
    def test_take_numpy_integers(self, kind: Callable[[int], int]) -> None:
        # 128 leaves: the highest int8 is a leaf's id, and one more would be out of its range.
        tree = Hierarchy([128] * 128 + [-1], [str(i) for i in range(128)])
        node = kind(127)
        assert tree.children(node) == ()
        assert tree.leaves(node) == (127,)
        assert tree.lca(node, kind(3)) == 128
        assert all(type(step) is int for step in tree.path(node))
        assert type(tree.lca(node, node)) is int

    @pytest.mark.parametrize("node", [-1, 5, 99, 2.0, "cat", (0,), True])
    @pytest.mark.parametrize("query", OF_ONE_NODE)
    def test_refuse_what_is_no_node(self, query: str, node: object) -> None:
        with pytest.raises(NotFoundError, match="this tree has nodes 0 to 4"):
            getattr(ANIMALS, query)(node)

    @pytest.mark.parametrize("pair", [(0, 7), (7, 0), (-1, 0), (0, -1), (True, 0), (0, True)])
    @pytest.mark.parametrize("query", ["is_ancestor", "lca", "distance"])
    def test_refuse_pairs_with_what_is_no_node(self, query: str, pair: tuple[int, int]) -> None:
        with pytest.raises(NotFoundError, match="there is no node"):
            getattr(ANIMALS, query)(*pair)


class TestNames:
    @given(hierarchies())
    def test_a_node_is_found_by_its_name(self, tree: Hierarchy) -> None:
        for node in range(len(tree)):
            name = tree.name(node)
            assert name == (tree.names[node] or f"node {node}")
            bearers = [v for v in range(len(tree)) if tree.names[v] == name] or [node]
            if len(bearers) == 1 or bearers[0] < tree.num_classes:
                assert tree.find(name) == bearers[0]
            else:
                with pytest.raises(InputError, match="are all called"):
                    tree.find(name)

    def test_a_name_of_several_inner_nodes_is_refused(self) -> None:
        names = [*"abcdefgh", *["g"] * 3, "", "pair", "pair"]
        tree = Hierarchy([8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 13, -1], names)
        with pytest.raises(InputError, match="the nodes 12, 13 are all called 'pair'; give the id"):
            tree.find("pair")
        assert tree.find("g") == 6  # a class is called so
        deep = caterpillar(9)
        many = Hierarchy(deep.parents, [*deep.classes, *["pair"] * 8])
        with pytest.raises(InputError, match="the nodes 9, 10, 11, 12, 13, … are all called"):
            many.find("pair")

    def test_a_real_name_goes_before_what_a_nameless_node_is_called(self) -> None:
        tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "", "node 3"])
        assert tree.find("node 3") == 4
        for name in ("node 4", "node 0", "node 5", "node 03", "node"):
            with pytest.raises(NotFoundError, match="no node is called"):
                tree.find(name)

    def test_what_was_looked_up_does_not_tell_trees_apart(self) -> None:
        tree, same = (Hierarchy([2, 2, -1], ["cat", "dog"]) for _ in range(2))
        assert tree.find("node 2") == 2
        assert tree == same
        assert pickle.loads(pickle.dumps(tree)) == same

    def test_a_class_goes_before_an_inner_node(self) -> None:
        assert Hierarchy([2, 2, -1], ["cat", "dog", "dog"]).find("dog") == 1

    @pytest.mark.parametrize(
        ("name", "hint"),
        [("animl", "; did you mean 'animal'?"), ("", "."), ("zebra crossing", "."), (3, ".")],
    )
    def test_near_names_are_suggested(self, name: str, hint: str) -> None:
        with pytest.raises(NotFoundError) as caught:
            ANIMALS.find(name)
        assert str(caught.value) == f"no node is called {name!r}{hint}"

    def test_no_node_is_found_by_having_none(self) -> None:
        with pytest.raises(NotFoundError, match="no node is called ''"):
            Hierarchy([2, 2, -1], ["cat", "dog"]).find("")

    def test_attributes(self) -> None:
        assert ANIMALS.attributes(3) == {"wnid": "n00015388"}
        assert ANIMALS.attributes(0) == {}


class TestParts:
    @given(hierarchies(), st.data())
    def test_a_subtree_is_what_is_under_a_node(self, tree: Hierarchy, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(tree.inner))
        part = tree.subtree(node)
        assert part.classes == tuple(tree.names[leaf] for leaf in tree.leaves(node))
        assert subtree_as_nested(Oracle(part), part, part.root) == subtree_as_nested(
            Oracle(tree), tree, node
        )

    @given(hierarchies())
    def test_the_roots_subtree_is_the_tree(self, tree: Hierarchy) -> None:
        assert tree.subtree(tree.root) == tree

    def test_a_leaf_has_no_subtree(self) -> None:
        with pytest.raises(HierarchyError, match=r"node 1 \('dog'\) is a leaf"):
            ANIMALS.subtree(1)

    @given(hierarchies(), st.data())
    def test_select_hangs_nodes_below_their_nearest_kept_ancestor(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        oracle = Oracle(tree)
        inner = [v for v in tree.inner if v != tree.root and data.draw(st.booleans())]
        kept = [*data.draw(st.permutations(range(tree.num_classes))), *inner, tree.root]
        part = tree.select(kept)
        for new, old in enumerate(kept):
            path = [kept.index(above) for above in oracle.path(old) if above in kept]
            assert part.path(new) == tuple(path)
            assert part.names[new] == tree.names[old]
            assert part.attributes(new) == tree.attributes(old)
            if tree.merge_heights is not None and part.merge_heights is not None:
                assert part.merge_heights[new] == tree.merge_heights[old]
        assert (part.merge_heights is None) == (tree.merge_heights is None)

    @pytest.mark.parametrize(
        ("kept", "message"),
        [
            ([0, 1, 2, 2, 4], "a node twice"),
            ([0, 2, 3, 4], "node 2 has only one child"),
            ([3, 0, 1, 2, 4], "leaves must be the first"),
            ([0, 1, 2], "exactly one root"),
            ([0, 1, 2, 4, 3], "the root must be the last"),
        ],
    )
    def test_select_refuses_what_is_no_tree(self, kept: list[int], message: str) -> None:
        with pytest.raises(HierarchyError, match=message):
            ANIMALS.select(kept)

    def test_select_refuses_unknown_nodes(self) -> None:
        with pytest.raises(NotFoundError, match="no node -1"):
            ANIMALS.select([0, 1, 2, -1])


def like_animals(**changes: object) -> Hierarchy:
    parts: dict[str, object] = {
        "parents": ANIMALS.parents,
        "names": ANIMALS.names,
        "merge_heights": ANIMALS.merge_heights,
        "attributes": {3: {"wnid": "n00015388"}},
    }
    return Hierarchy(**(parts | changes))  # type: ignore[arg-type]


class TestAsAnObject:
    @given(hierarchies(max_classes=12))
    def test_copies_are_equal(self, tree: Hierarchy) -> None:
        pickled = [pickle.dumps(tree, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
        for other in (copy.copy(tree), copy.deepcopy(tree), *map(pickle.loads, pickled)):
            assert other == tree
            assert hash(other) == hash(tree)
            assert not other.parents.flags.writeable

    @pytest.mark.parametrize(
        "changes",
        [
            {"parents": [3, 4, 3, 4, -1]},
            {"names": ["cat", "dog", "bus", "animal", "thing"]},
            {"names": ["cat", "dog", "car"]},
            {"merge_heights": [0, 0, 0, 1, 2]},
            {"merge_heights": None},
            {"attributes": None},
            {"attributes": {2: {"wnid": "n00015388"}}},
            {"attributes": {3: {"wnid": "n00000000"}}},
        ],
    )
    def test_trees_that_differ_are_unequal(self, changes: dict[str, object]) -> None:
        assert like_animals() == ANIMALS
        assert like_animals(**changes) != ANIMALS

    def test_a_tree_equals_no_other_kind_of_thing(self) -> None:
        assert ANIMALS != "thing"
        assert ANIMALS.parents.tolist() != ANIMALS

    def test_hashes_tell_trees_apart(self) -> None:
        assert {ANIMALS: 1}[like_animals()] == 1
        assert hash(like_animals(parents=[3, 4, 3, 4, -1])) != hash(ANIMALS)

    @pytest.mark.parametrize("array", ["parents", "depths", "sizes", "leaf_order", "leaf_start",
                                       "merge_heights"])  # fmt: skip
    def test_arrays_are_read_only(self, array: str) -> None:
        values = getattr(ANIMALS, array)
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1

    def test_attributes_are_read_only(self) -> None:
        with pytest.raises(TypeError):
            ANIMALS.attributes(3)["wnid"] = "n0"  # type: ignore[index]

    def test_nothing_can_be_set_or_deleted(self) -> None:
        for name in ("_parents", "names", "colour"):
            with pytest.raises(AttributeError, match=f"'{name}' cannot be set"):
                setattr(ANIMALS, name, 1)
            with pytest.raises(AttributeError, match=f"'{name}' cannot be deleted"):
                delattr(ANIMALS, name)

    def test_what_was_given_can_change_later(self) -> None:
        parents = np.array([2, 2, -1])
        names, heights = ["cat", "dog"], np.array([0.0, 0.0, 1.0])
        known = {2: {"wnid": "n0"}}
        tree = Hierarchy(parents, names, merge_heights=heights, attributes=known)
        before = copy.deepcopy(tree)
        parents[0], names[0], heights[2], known[2]["wnid"] = 1, "cow", 9, "n1"
        assert tree == before
        assert parents.flags.writeable


class TestDrawing:
    def test_repr_says_how_large_it_is(self) -> None:
        assert repr(ANIMALS) == "Hierarchy(3 classes, 5 nodes, depth 2: cat, dog, car)"
        flat = Hierarchy(
            [9] * 9 + [-1], [f"an uncommonly long name of class {i}" for i in range(9)]
        )
        assert repr(flat) == (
            "Hierarchy(9 classes, 10 nodes, depth 1: " + "an uncommonly long name of…, " * 4 + "…)"
        )

    def test_a_small_tree_is_drawn_whole(self) -> None:
        assert str(ANIMALS) == "thing\n├─ car\n└─ animal\n   ├─ cat\n   └─ dog"

    @given(hierarchies(max_classes=20))
    def test_every_node_has_its_line(self, tree: Hierarchy) -> None:
        labels = {node: f"«{node}»" for node in range(len(tree))}
        lines = tree.to_text(max_lines=len(tree), labels=labels).split("\n")
        assert [line.lstrip("│├└─ ") for line in lines] == [labels[v] for v in tree.preorder()]
        assert [line.index("«") for line in lines] == [3 * tree.depth(v) for v in tree.preorder()]

    @given(hierarchies(), st.integers(1, 90))
    def test_lines_are_limited_and_classes_accounted_for(
        self, tree: Hierarchy, max_lines: int
    ) -> None:
        labels = {node: f"«{node}»" for node in range(len(tree))}
        lines = tree.to_text(max_lines, labels).split("\n")
        assert len(lines) <= max_lines
        if lines[-1].endswith("more"):
            return
        told = 0
        for line in lines:
            node = int(line[line.index("«") + 1 : line.index("»")])
            told += tree.sizes[node] if line.endswith(")") else tree.is_leaf(node)
        assert told == tree.num_classes

    def test_a_large_tree_is_drawn_from_the_top(self) -> None:
        tree = random_hierarchy(1000, seed=1)
        lines = str(tree).split("\n")
        assert 59 <= len(lines) <= 60
        assert any(line.endswith("…)") for line in lines)
        assert max(map(len, lines)) < 100

    def test_a_closed_node_says_what_it_holds(self) -> None:
        tree = Hierarchy([5, 5, 5, 5, 6, 6, -1], ["ant", "bee", "cat", "dog", "eel"])
        assert tree.to_text(max_lines=3) == ("node 6\n├─ eel\n└─ node 5 (4 classes: ant, bee, …)")

    def test_a_flat_tree_is_cut(self) -> None:
        flat = Hierarchy([1000] * 1000 + [-1], [f"class {i}" for i in range(1000)])
        lines = str(flat).split("\n")
        assert len(lines) == 60
        assert lines[-2:] == ["├─ class 57", "└─ … 942 more"]
        assert flat.to_text(max_lines=2) == "node 1000 (1,000 classes: class 0, class 1, …)"

    def test_labels_take_the_place_of_names(self) -> None:
        text = ANIMALS.to_text(labels={3: "animal  0.93", 1: "dog ✓", 2: ""})
        assert text == "thing\n├─ car\n└─ animal  0.93\n   ├─ cat\n   └─ dog ✓"


class TestSize:
    def test_a_thousand_classes_build_in_10_ms(self) -> None:
        tree = random_hierarchy(1000)
        assert cpu_seconds(lambda: Hierarchy(tree.parents, tree.names), times=10) < 0.010

    def test_21841_classes_build_in_half_a_second(self) -> None:
        tree = random_hierarchy(21_841)
        assert cpu_seconds(lambda: Hierarchy(tree.parents, tree.names)) < 0.5

    def test_the_deepest_tree_answers(self) -> None:
        deep = caterpillar(100_000)
        root, bottom = deep.root, deep.parent(0)
        assert deep.height(root) == deep.depth(0) == 99_999
        assert len(deep.path(0)) == 100_000
        assert deep.lca(0, 1) == bottom == 100_000
        assert deep.lca(0, 99_999) == root
        assert deep.distance(0, 99_999) == 100_000
        assert deep.leaves(root)[-1] == 99_999
        assert sum(1 for _ in deep.preorder(root)) == sum(1 for _ in deep.levelorder()) == len(deep)
        assert next(deep.postorder()) == 99_999
        assert deep.subtree(root - 1).num_classes == 99_999
        assert deep.select([*range(100_000), root]).height(100_000) == 1
        assert pickle.loads(pickle.dumps(deep)) == deep
        assert len(str(deep).split("\n")) == 59
        assert repr(deep).startswith("Hierarchy(100000 classes, 199999 nodes, depth 99999: ")
