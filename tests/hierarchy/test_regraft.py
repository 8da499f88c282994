"""`regraft` against the groups of classes that it must leave and make."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbdt.errors import HierarchyError, InputError, NotFoundError
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.edit import regraft
from tests.strategies import hierarchies


def groups(tree: Hierarchy) -> set[frozenset[int]]:
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
    changed = regraft(tree, node, beside, "new")
    assert groups(changed) == expected - {frozenset()}
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
    changed = regraft(tagged, node, beside, "new")
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
        assert regraft(tree, node, beside, "new") is tree


def test_it_is_a_move_and_a_group() -> None:
    tree = Hierarchy([5, 5, 6, 7, 7, 6, 8, 8, -1], ["a", "b", "c", "d", "e"])
    moved = edit.move(tree, "a", 7)
    assert groups(regraft(tree, "a", "d")) == groups(edit.group(moved, ["a", "d"]))


def test_beside_the_root_there_is_a_new_root() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
    changed = regraft(tree, "cat", "thing", "any")
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
        regraft(tree, node, beside)


def test_unknown_nodes_are_refused() -> None:
    with pytest.raises(NotFoundError, match="no node"):
        regraft(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), "cow", "cat")


def test_the_new_node_is_not_called_as_a_class() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    with pytest.raises(InputError, match="the new node cannot be called 'car'"):
        regraft(tree, "cat", "car", "car")
