"""Edits: what each gives, what it keeps, what it refuses, and that the tree given stays."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbdt.errors import HierarchyError, InputError, NotFoundError
from nbdt.hierarchy import edit
from nbdt.hierarchy.naming import name_by_leaves
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.timing import cpu_seconds

# thing: car, pet (cat, dog, fish), wild (fox, owl)
ANIMALS = Hierarchy(
    [6, 6, 7, 7, 8, 6, 8, 8, -1],
    ["cat", "dog", "fox", "owl", "car", "fish", "pet", "wild", "thing"],
    merge_heights=[0, 0, 0, 0, 0, 0, 1, 2, 3],
    attributes={0: {"wnid": "n1"}, 6: {"gloss": "kept at home"}, 8: {"gloss": "all"}},
)


def shape(tree: Hierarchy, node: int | None = None) -> Any:
    """The topology alone: a leaf's name, or a set of what is below a node."""
    node = tree.root if node is None else node
    if tree.is_leaf(node):
        return tree.name(node)
    return frozenset(shape(tree, child) for child in tree.children(node))


def groups(tree: Hierarchy) -> dict[frozenset[str], tuple[str, object, float | None]]:
    """What is known of each inner node, by the names of the classes under it."""
    heights = tree.merge_heights
    return {
        frozenset(tree.names[leaf] for leaf in tree.leaves(node)): (
            tree.names[node],
            tree.attributes(node),
            None if heights is None else float(heights[node]),
        )
        for node in tree.inner
    }


def named_as_class(tree: Hierarchy, node: int) -> bool:
    return tree.names[node] in tree.classes


def known_of_classes(tree: Hierarchy) -> dict[str, object]:
    return {tree.names[leaf]: tree.attributes(leaf) for leaf in range(tree.num_classes)}


@pytest.fixture(autouse=True)
def _untouched() -> Any:
    before = copy.deepcopy(ANIMALS)
    yield
    assert before == ANIMALS


class TestRename:
    @given(hierarchies(), st.data())
    def test_changes_names_only(self, tree: Hierarchy, data: st.DataObject) -> None:
        # Others may be called as classes are, which no node can be renamed to.
        groups = set(tree.names[tree.num_classes :])
        free = [
            v
            for v in range(len(tree))
            if (not named_as_class(tree, v) if v in tree.inner else tree.names[v] not in groups)
        ]
        nodes = data.draw(st.sets(st.sampled_from(free)))
        renamed = edit.rename(tree, {node: f"new {node}" for node in nodes})
        assert renamed.names == tuple(
            f"new {node}" if node in nodes else name for node, name in enumerate(tree.names)
        )
        again = edit.rename(renamed, {node: tree.names[node] for node in nodes})
        assert (again.parents == tree.parents).all()
        assert again.names == tree.names

    def test_by_name(self) -> None:
        tree = edit.rename(ANIMALS, {"pet": "animal companion", 7: "", "cat": "house cat"})
        assert tree.names[6:] == ("animal companion", "", "thing")
        assert tree.classes[0] == "house cat"

    def test_a_class_may_not_be_called_as_a_group_is(self) -> None:
        with pytest.raises(InputError, match=r"node 6 \('pet'\) cannot be called 'pet'"):
            edit.rename(ANIMALS, {"cat": "pet"})
        swapped = edit.rename(ANIMALS, {"cat": "pet", "pet": "animal"})
        assert (swapped.names[0], swapped.names[6]) == ("pet", "animal")

    def test_says_that_a_hand_did_it(self) -> None:
        tree = name_by_leaves(ANIMALS)
        named = edit.rename(tree, {6: "pets", 7: "", 8: tree.names[8]})
        assert named.attributes(6)["name_source"] == "hand"
        assert "name_source" not in named.attributes(7)
        assert named.attributes(8) == tree.attributes(8)

    def test_swaps(self) -> None:
        assert edit.rename(ANIMALS, {"cat": "dog", "dog": "cat"}).classes[:2] == ("dog", "cat")

    def test_a_name_that_a_class_gives_up_is_free(self) -> None:
        assert edit.rename(ANIMALS, {"pet": "cat", "cat": "kitten"}).names[6] == "cat"
        with pytest.raises(InputError, match=r"node 6 \('pet'\) cannot be called 'kitten'"):
            edit.rename(ANIMALS, {"pet": "kitten", "cat": "kitten"})

    def test_of_all_names_is_fast_enough(self) -> None:
        tree = random_hierarchy(21_841)
        names = {node: f"new {node}" for node in range(len(tree))}
        assert cpu_seconds(lambda: edit.rename(tree, names)) < 2, "takes about 0.2 s"

    @pytest.mark.parametrize(
        ("names", "error", "message"),
        [
            ({"cat": "dog"}, HierarchyError, "classes 0 and 1 are both called 'dog'"),
            ({"cat": " "}, HierarchyError, "class 0 has no name"),
            ({"pet": "car"}, InputError, r"node 6 \('pet'\) cannot be called 'car'"),
            ({6: 7}, HierarchyError, "name of node 6 must be a text"),
            ({6: "a", "pet": "b"}, InputError, r"node 6 \('pet'\) is given twice"),
            ({"pets": "a"}, NotFoundError, "did you mean 'pet'"),
            ({9: "a"}, NotFoundError, "no node 9"),
            (["cat"], InputError, "mapping by node"),
        ],
    )
    def test_refuses(self, names: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            edit.rename(ANIMALS, names)


class TestReorder:
    @given(hierarchies(), st.data())
    def test_permutes_the_classes(self, tree: Hierarchy, data: st.DataObject) -> None:
        order = data.draw(st.permutations(range(tree.num_classes)))
        other = edit.reorder(tree, order)
        assert other.classes == tuple(tree.classes[leaf] for leaf in order)
        assert shape(other) == shape(tree)
        assert groups(other) == groups(tree)
        assert other.names[tree.num_classes :] == tree.names[tree.num_classes :]
        assert edit.reorder(other, np.argsort(order).tolist()) == tree
        assert edit.reorder(other, tree.classes) == tree

    def test_needs_every_class_once(self) -> None:
        with pytest.raises(InputError, match=r"all 6 classes, got 2: node 1 \('dog'\) is missing"):
            edit.reorder(ANIMALS, ["cat", "fox"])
        with pytest.raises(InputError, match="given twice"):
            edit.reorder(ANIMALS, [0, 1, 2, 3, 4, 4])
        with pytest.raises(InputError, match=r"node 6 \('pet'\) is not a class but a group of 3"):
            edit.reorder(ANIMALS, ["pet"])

    def test_of_many_names_is_fast_enough(self) -> None:
        tree = random_hierarchy(21_841)
        assert edit.reorder(tree, tree.classes[::-1]).classes == tree.classes[::-1]


class TestMove:
    @given(hierarchies(min_classes=3), st.data())
    def test_takes_all_that_is_under_the_node(self, tree: Hierarchy, data: st.DataObject) -> None:
        node = data.draw(st.integers(0, tree.root - 1))
        targets = [v for v in tree.inner if not tree.is_ancestor(node, v)]
        target = data.draw(st.sampled_from(targets))
        moved = edit.move(tree, node, target)
        assert moved.classes == tree.classes
        assert known_of_classes(moved) == known_of_classes(tree)
        if target == tree.parent(node):
            assert moved == tree
            return
        assert moved.merge_heights is None
        # The classes under a node: those it had, without and with those that moved.
        leaves = set(tree.leaves(node))
        expected = set()
        for inner in tree.inner:
            under = set(tree.leaves(inner))
            if inner not in tree.preorder(node):
                under = under - leaves | (leaves if tree.is_ancestor(inner, target) else set())
            if len(under) > 1:
                expected.add(frozenset(under))
        assert {frozenset(moved.leaves(inner)) for inner in moved.inner} == expected

    def test_takes_out_a_parent_left_with_one_child(self) -> None:
        moved = edit.move(ANIMALS, "fox", "pet")
        assert moved.names == ("cat", "dog", "fox", "owl", "car", "fish", "pet", "thing")
        assert shape(moved) == {frozenset({"cat", "dog", "fox", "fish"}), "owl", "car"}
        assert moved.attributes(6) == {"gloss": "kept at home"}

    def test_takes_out_a_root_left_with_one_child(self) -> None:
        tree = Hierarchy(
            [3, 3, 4, 4, -1], ["a", "b", "c", "ab", "abc"], attributes={3: {"wnid": "n3"}}
        )
        moved = edit.move(tree, "c", "ab")
        assert moved == Hierarchy(
            [3, 3, 3, -1], ["a", "b", "c", "ab"], attributes={3: {"wnid": "n3"}}
        )

    @pytest.mark.parametrize(
        ("node", "parent", "error", "message"),
        [
            ("thing", "pet", HierarchyError, "the root has nothing above it"),
            ("cat", "car", HierarchyError, r"node 4 \('car'\) is a leaf"),
            ("pet", "pet", HierarchyError, r"below node 6 \('pet'\), which is itself"),
            ("cat", "nothing", NotFoundError, "did you mean 'thing'"),
            (9, 8, NotFoundError, "no node 9"),
            (0, -1, NotFoundError, "no node -1"),
            ("cat", "", NotFoundError, "no node is called ''"),
        ],
    )
    def test_refuses(self, node: Any, parent: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            edit.move(ANIMALS, node, parent)

    def test_refuses_to_go_under_itself(self) -> None:
        deep = caterpillar(5)
        with pytest.raises(
            HierarchyError, match="node 7 cannot be moved below node 5, which is und"
        ):
            edit.move(deep, 7, 5)


def some_siblings(tree: Hierarchy, data: st.DataObject) -> list[int]:
    """Two or more children of a node, but not all."""
    wide = [v for v in tree.inner if len(tree.children(v)) > 2]
    assume(wide)
    children = data.draw(st.permutations(tree.children(data.draw(st.sampled_from(wide)))))
    return children[: data.draw(st.integers(2, len(children) - 1))]


class TestGroup:
    @given(hierarchies(min_classes=3), st.data())
    def test_adds_one_node(self, tree: Hierarchy, data: st.DataObject) -> None:
        nodes = some_siblings(tree, data)
        grouped = edit.group(tree, nodes, "new")
        new = tree.root  # the new node follows the inner nodes, the root follows it
        assert len(grouped) == len(tree) + 1
        assert grouped.names == (*tree.names[:-1], "new", tree.names[-1])
        assert grouped.children(new) == tuple(sorted(nodes))
        assert grouped.attributes(new) == {"name_source": "hand"}
        assert grouped.attributes(grouped.root) == tree.attributes(tree.root)
        assert grouped.merge_heights is None
        without = edit.dissolve(grouped, new)
        assert shape(without) == shape(tree)
        assert without.names == tree.names

    @pytest.mark.parametrize("change", [edit.group, edit.merge])
    def test_refuses_the_name_of_a_class(self, change: Callable[..., Hierarchy]) -> None:
        with pytest.raises(InputError, match="the new node cannot be called 'owl'"):
            change(ANIMALS, ["cat", "dog"], "owl")

    @pytest.mark.parametrize("change", [edit.group, edit.merge])
    @pytest.mark.parametrize(
        ("nodes", "error", "message"),
        [
            (["cat"], InputError, "expected two or more siblings, got 1"),
            ([], InputError, "expected two or more siblings, got 0"),
            (["cat", "cat"], InputError, "given twice"),
            (["cat", "fox"], HierarchyError, r"\('cat'\) and node 2 \('fox'\) are not siblings"),
            (["thing", "pet"], HierarchyError, r"\('thing'\) and node 6 \('pet'\) are not sibl"),
            (["pet", "thing"], HierarchyError, r"\('pet'\) and node 8 \('thing'\) are not sibl"),
            (["fox", "owl"], HierarchyError, r"all the children of node 7 \('wild'\)"),
            ({"cat", "dog"}, InputError, "a set has none"),
            ("cat", InputError, "expected a list of nodes, got 'cat'"),
            (3, InputError, "expected a list of nodes, got 3"),
            (["cat", 1.0], NotFoundError, "no node 1.0"),
        ],
    )
    def test_refuses(
        self, change: Callable[..., Hierarchy], nodes: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            change(ANIMALS, nodes)


class TestDissolve:
    @given(hierarchies(), st.data())
    def test_takes_one_node_out(self, tree: Hierarchy, data: st.DataObject) -> None:
        assume(len(tree.inner) > 1)
        node = data.draw(st.sampled_from(tree.inner[:-1]))
        dissolved = edit.dissolve(tree, node)
        left = [v for v in range(len(tree)) if v != node]
        for new, old in enumerate(left):
            assert dissolved.path(new) == tuple(left.index(v) for v in tree.path(old) if v != node)
            assert dissolved.names[new] == tree.names[old]
            assert dissolved.attributes(new) == tree.attributes(old)
        before = groups(tree)
        assert all(before[under] == known for under, known in groups(dissolved).items())

    @pytest.mark.parametrize(
        ("node", "message"),
        [
            ("cat", r"node 0 \('cat'\) is a leaf; expected"),
            ("thing", "root cannot be dis"),
        ],
    )
    def test_refuses(self, node: str, message: str) -> None:
        with pytest.raises(HierarchyError, match=message):
            edit.dissolve(ANIMALS, node)


class TestMergeAndSplit:
    @given(hierarchies(min_classes=3), st.data())
    def test_a_merged_node_has_the_children_of_all(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        nodes = some_siblings(tree, data)
        merged = edit.merge(tree, nodes, "both")
        assert merged.classes == tree.classes
        assert merged.merge_heights is None
        new = merged.root - 1
        assert merged.name(new) == "both"
        expected = set()
        for node in nodes:
            expected |= {shape(tree, node)} if tree.is_leaf(node) else shape(tree, node)
        assert shape(merged, new) == expected
        taken = [node for node in nodes if not tree.is_leaf(node)]
        assert len(merged) == len(tree) + 1 - len(taken)

    @given(hierarchies(min_classes=3), st.data())
    def test_a_split_undoes_a_merge(self, tree: Hierarchy, data: st.DataObject) -> None:
        nodes = some_siblings(tree, data)
        merged = edit.merge(tree, nodes)
        new = merged.root - 1
        parts = [tree.leaves(node) for node in nodes]
        shares = [
            [child for child in merged.children(new) if merged.leaves(child)[0] in part]
            for part in parts
        ]
        taken = {node for node in nodes if named_as_class(tree, node)}
        names = [f"new {node}" if node in taken else tree.names[node] for node in nodes]
        again = edit.split(merged, new, shares, names)
        assert shape(again) == shape(tree)
        inner = [node for node in taken if not tree.is_leaf(node)]
        expected = groups(edit.rename(tree, {node: f"new {node}" for node in inner}))
        found = {under: known[0] for under, known in groups(again).items()}
        assert found == {under: known[0] for under, known in expected.items()}

    def test_the_root_stays_when_split(self) -> None:
        tree = edit.split(ANIMALS, "thing", [["pet", "wild"], ["car"]], ["animal", "machine"])
        assert tree.names[6:] == ("pet", "wild", "animal", "thing")
        assert tree.path(0) == (9, 8, 6, 0)
        assert tree.attributes(9) == {"gloss": "all"}
        assert tree.attributes(8) == {"name_source": "hand"}

    def test_arrays_of_ids_are_groups_too(self) -> None:
        tree = Hierarchy([4, 4, 4, 4, -1], ["cat", "dog", "car", "bus"])
        assert edit.split(tree, 4, np.array([[0, 1], [2, 3]])) == edit.split(
            tree, 4, [[0, 1], [2, 3]]
        )  # type: ignore[arg-type]

    def test_an_inner_node_goes_when_split(self) -> None:
        tree = edit.split(ANIMALS, "pet", [["fish"], ["cat", "dog"]], ["", "furry"])
        assert tree.names[6:] == ("wild", "furry", "thing")
        assert shape(tree) == {"car", "fish", frozenset({"cat", "dog"}), frozenset({"fox", "owl"})}

    def test_the_name_of_a_group_of_one_is_not_used(self) -> None:
        assert "owl" not in edit.split(ANIMALS, "pet", [[0, 1], [5]], ["", "owl"]).names[6:]

    def test_groups_of_one_leave_the_children_alone(self) -> None:
        tree = edit.split(ANIMALS, "pet", [["fish"], ["cat"], ["dog"]])
        assert shape(tree) == shape(edit.dissolve(ANIMALS, "pet"))

    @pytest.mark.parametrize(
        ("node", "shares", "names", "error", "message"),
        [
            ("cat", [[0], [1]], None, HierarchyError, "is a leaf; expected an inner node"),
            ("pet", [["cat", "dog", "fish"]], None, InputError, "two or more lists"),
            ("pet", [["cat", "dog", "fish"], []], None, InputError, "none empty"),
            ("pet", ["cat", "dog", "fish"], None, InputError, "two or more lists"),
            ("pet", ["cat", 1], None, InputError, "two or more lists"),
            ("pet", [["cat", "dog"], ["cat", "fish"]], None, InputError, "given twice"),
            ("pet", [["cat"], ["dog"]], None, HierarchyError, r"5 \('fish'\) is in no group"),
            ("pet", [[0, 1], [5, 2]], None, HierarchyError, r"2 \('fox'\) is not one"),
            ("pet", [[0, 1], [5]], ["furry"], InputError, "2 groups need as many names, got 1"),
            ("pet", [[0, 1], [9]], None, NotFoundError, "no node 9"),
            ("pet", [[0, 1], [5]], ["owl", ""], InputError, "the new node cannot be called 'owl'"),
        ],
    )
    def test_refuses(
        self, node: Any, shares: Any, names: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            edit.split(ANIMALS, node, shares, names)


class TestCollapse:
    @given(hierarchies(), st.integers(1, 12))
    def test_leaves_nothing_deeper(self, tree: Hierarchy, depth: int) -> None:
        flatter = edit.collapse(tree, depth)
        assert flatter.classes == tree.classes
        for leaf in range(tree.num_classes):
            path = tree.path(leaf)
            kept = path if len(path) <= depth + 1 else (*path[:depth], leaf)
            assert [flatter.leaves(node) for node in flatter.path(leaf)] == [
                tree.leaves(node) for node in kept
            ]
        before = groups(tree)
        assert all(before[under] == known for under, known in groups(flatter).items())

    @given(hierarchies())
    def test_to_its_height_changes_nothing(self, tree: Hierarchy) -> None:
        assert edit.collapse(tree, tree.height(tree.root)) == tree

    @pytest.mark.parametrize("depth", [0, -1, 1.5, None, "2", True])
    def test_refuses_what_is_no_depth(self, depth: Any) -> None:
        with pytest.raises(InputError, match="whole number, 1 or more; got"):
            edit.collapse(ANIMALS, depth)

    def test_of_the_deepest_tree_is_fast_enough(self) -> None:
        assert len(edit.collapse(caterpillar(100_000), 50_000)) == 150_000


class TestRestrict:
    @given(hierarchies(), st.data())
    def test_keeps_what_tells_these_classes_apart(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        order = data.draw(st.permutations(range(tree.num_classes)))
        kept = order[: data.draw(st.integers(2, tree.num_classes))]
        part = edit.restrict(tree, kept)
        assert part.classes == tuple(tree.classes[leaf] for leaf in kept)
        before = known_of_classes(tree)
        assert all(before[name] == known for name, known in known_of_classes(part).items())
        # A node stands for the lowest common ancestor it was, with all that was known of it.
        for a in range(len(kept)):
            for b in range(a):
                new, old = part.lca(a, b), tree.lca(kept[a], kept[b])
                assert part.names[new] == tree.names[old]
                assert part.attributes(new) == tree.attributes(old)
                if tree.merge_heights is not None:
                    assert part.merge_heights is not None
                    assert part.merge_heights[new] == tree.merge_heights[old]
                under = [i for i, leaf in enumerate(kept) if leaf in tree.leaves(old)]
                assert part.leaves(new) == tuple(under)

    @given(hierarchies())
    def test_to_all_changes_nothing(self, tree: Hierarchy) -> None:
        assert edit.restrict(tree, range(tree.num_classes)) == tree
        assert edit.restrict(tree, tree.classes) == tree

    @given(hierarchies(), st.data())
    def test_to_the_classes_of_a_node_is_its_subtree(
        self, tree: Hierarchy, data: st.DataObject
    ) -> None:
        node = data.draw(st.sampled_from(tree.inner))
        assert edit.restrict(tree, tree.leaves(node)) == tree.subtree(node)

    @pytest.mark.parametrize(
        ("classes", "error", "message"),
        [
            (["cat"], InputError, "at least two classes, got 1"),
            ([], InputError, "at least two classes, got 0"),
            (["cat", "cat"], InputError, "given twice"),
            (
                ["cat", "pet"],
                InputError,
                r"\('pet'\) is not a class but a group of 3: tree.le",
            ),
            ({"cat", "dog"}, InputError, "a set has none"),
            ("cat", InputError, "expected a list of nodes"),
            (["cat", "cow"], NotFoundError, "no node is called 'cow'"),
            ([0, 17], NotFoundError, "no node 17"),
        ],
    )
    def test_refuses(self, classes: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            edit.restrict(ANIMALS, classes)

    def test_of_the_deepest_tree_is_fast_enough(self) -> None:
        deep = caterpillar(100_000)
        assert edit.restrict(deep, range(0, 100_000, 2)).height(99_998) == 49_999


def test_a_name_of_several_inner_nodes_is_refused() -> None:
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["a", "b", "c", "d", "pair", "pair", "a"])
    with pytest.raises(InputError, match="nodes 4, 5 are all called 'pair'; give the id"):
        edit.dissolve(tree, "pair")
    assert edit.rename(tree, {"a": "x"}).names[0] == "x"  # a class goes before an inner node


def test_every_edit_is_found_in_one_place() -> None:
    names = {line.split("`")[1] for line in (edit.__doc__ or "").splitlines() if line[:3] == "- `"}
    told = {*names, "regraft", "dissolve", "split", "restrict", "reorder"}
    assert {name for name in told if callable(getattr(edit, name, None))} == told
    assert edit.regraft(ANIMALS, "cat", "fox", "hunter").name(8) == "hunter"


# ── regraft, against the groups of classes that it must leave and make ────────────────────────


def clades(tree: Hierarchy) -> set[frozenset[int]]:
    return {frozenset(tree.leaves(node)) for node in range(len(tree))}


@given(tree=hierarchies(max_classes=12), data=st.data())
def test_groups_are_those_that_moving_a_set_of_classes_makes(
    tree: Hierarchy, data: st.DataObject
) -> None:
    node = data.draw(st.integers(0, len(tree) - 2))
    beside = data.draw(st.integers(0, len(tree) - 1))
    assume(not tree.is_ancestor(node, beside))
    moved, other = frozenset(tree.leaves(node)), frozenset(tree.leaves(beside))
    expected = {moved | other}
    for old in range(len(tree)):
        group = frozenset(tree.leaves(old)) - (
            frozenset() if group_below(tree, node, old) else moved
        )
        expected.add(group | moved if tree.is_ancestor(old, beside) and old != beside else group)
    changed = edit.regraft(tree, node, beside, "new")
    assert clades(changed) == expected - {frozenset()}
    assert changed.classes == tree.classes
    assert changed is tree or changed.merge_heights is None


def group_below(tree: Hierarchy, node: int, old: int) -> bool:
    return tree.is_ancestor(node, old)


@given(tree=hierarchies(max_classes=8, attributes=False), data=st.data())
def test_nodes_that_are_left_keep_their_names_and_attributes(
    tree: Hierarchy, data: st.DataObject
) -> None:
    tagged = Hierarchy(
        tree.parents, tree.names, attributes={v: {"was": v} for v in range(len(tree))}
    )
    node = data.draw(st.integers(0, len(tree) - 2))
    beside = data.draw(st.integers(0, len(tree) - 1))
    assume(not tree.is_ancestor(node, beside))
    changed = edit.regraft(tagged, node, beside, "new")
    assume(changed is not tagged)
    new = changed.parent(node) if node < tree.num_classes else None
    origins = [changed.attributes(v).get("was") for v in range(len(changed))]
    for v, was in enumerate(origins):
        if was is None:
            assert changed.names[v] == "new"
            assert new in (None, v)
        else:
            assert changed.names[v] == tree.names[was]
    assert origins.count(None) == 1
    left = [was for was in origins[tree.num_classes : -1] if was is not None]
    assert left == sorted(left)


def test_two_that_are_together_stay_so() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
    for node, beside in (("cat", "dog"), ("cat", "pet"), ("car", "thing"), ("pet", "car")):
        assert edit.regraft(tree, node, beside, "new") is tree


def test_it_is_a_move_and_a_group() -> None:
    tree = Hierarchy([5, 5, 6, 7, 7, 6, 8, 8, -1], ["a", "b", "c", "d", "e"])
    moved = edit.move(tree, "a", 7)
    assert clades(edit.regraft(tree, "a", "d")) == clades(edit.group(moved, ["a", "d"]))


def test_beside_the_root_there_is_a_new_root() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
    changed = edit.regraft(tree, "cat", "thing", "any")
    assert str(changed).splitlines() == ["any", "├─ cat", "└─ thing", "   ├─ dog", "   └─ car"]


@pytest.mark.parametrize(
    ("node", "beside", "said"),
    [
        ("thing", "cat", "nothing beside it"),
        ("pet", "pet", "which is itself"),
        ("pet", "dog", "which is under it"),
    ],
)
def test_impossible_moves_are_refused(node: str, beside: str, said: str) -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
    with pytest.raises(HierarchyError, match=said):
        edit.regraft(tree, node, beside)


def test_unknown_nodes_are_refused() -> None:
    with pytest.raises(NotFoundError, match="no node"):
        edit.regraft(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), "cow", "cat")


def test_the_new_node_is_not_called_as_a_class() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    with pytest.raises(InputError, match="the new node cannot be called 'car'"):
        edit.regraft(tree, "cat", "car", "car")
