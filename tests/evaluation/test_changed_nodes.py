"""Touched nodes: all others decide every sample as before, and none is touched needlessly."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbdt.evaluation.changed_nodes import edited
from nbdt.evaluation.edits import Edit
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.edit import regraft
from nbdt.rules import TreeLayout, decision_log_probs
from tests.strategies import hierarchies


@st.composite
def edits(draw: st.DrawFn) -> tuple[Hierarchy, Edit]:
    tree = draw(hierarchies(min_classes=3, max_classes=10))
    node = draw(st.integers(0, len(tree) - 2))
    kind = draw(st.sampled_from(["regraft", "move", "dissolve", "rename", "collapse"]))
    if kind == "regraft":
        other = draw(st.integers(0, len(tree) - 1))
        assume(not tree.is_ancestor(node, other))
        return tree, Edit.of(regraft, node, other)
    if kind == "move":
        other = draw(st.sampled_from(list(tree.inner)))
        assume(not tree.is_ancestor(node, other))
        return tree, Edit.of(edit.move, node, other)
    if kind == "dissolve":
        assume(not tree.is_leaf(node))
        return tree, Edit.of(edit.dissolve, node)
    if kind == "rename":
        return tree, Edit.of(edit.rename, {node: "another name"})
    return tree, Edit.of(edit.collapse, draw(st.integers(1, 4)))


def groups(tree: Hierarchy, node: int) -> frozenset[frozenset[int]]:
    return frozenset(frozenset(tree.leaves(child)) for child in tree.children(node))


@given(drawn=edits())
def test_nodes_that_are_not_touched_are_in_both_trees(drawn: tuple[Hierarchy, Edit]) -> None:
    tree, made = drawn
    after, pairs = edited(tree, made)
    assert after == made(tree)
    old = [a for a, _ in pairs if a is not None]
    new = [b for _, b in pairs if b is not None]
    assert len(set(old)) == len(old)
    assert len(set(new)) == len(new)
    now = {groups(after, node): node for node in after.inner}
    was = {groups(tree, node): node for node in tree.inner}
    assert sorted(old) == sorted(v for family, v in was.items() if family not in now)
    assert sorted(new) == sorted(v for family, v in now.items() if family not in was)
    for a, b in pairs:
        if a is not None and b is not None:
            assert tree.names[a] == after.names[b]


@settings(max_examples=20)
@given(drawn=edits(), score=st.sampled_from(["mean", "logsumexp"]), seed=st.integers(0, 99))
def test_nodes_that_are_not_touched_decide_as_before(
    drawn: tuple[Hierarchy, Edit], score, seed: int
) -> None:
    tree, made = drawn
    after, pairs = edited(tree, made)
    logits = torch.randn(
        4, tree.num_classes, generator=torch.Generator().manual_seed(seed)
    ).double()
    first, second = (decision_log_probs(logits, TreeLayout(t), score) for t in (tree, after))
    touched = {a for a, _ in pairs}
    now = {groups(after, node): node for node in after.inner}
    for node in set(tree.inner) - touched:
        other = now[groups(tree, node)]
        of = {frozenset(after.leaves(child)): child for child in after.children(other)}
        for child in tree.children(node):
            twin = of[frozenset(tree.leaves(child))]
            torch.testing.assert_close(first[:, child], second[:, twin])


def test_a_node_is_followed_through_a_change_of_its_id() -> None:
    names = ["cat", "dog", "car", "bus", "ox", "pet", "animal", "thing"]
    tree = Hierarchy([5, 5, 7, 7, 6, 6, 7, -1], names)
    after, pairs = edited(tree, Edit.of(edit.move, "cat", "thing"))
    said = [(a and tree.name(a), b and after.name(b)) for a, b in pairs]
    assert said == [("pet", None), ("animal", "animal"), ("thing", "thing")]
    assert after.attributes(after.root) == {}


def test_errors_of_the_edit_come_through() -> None:
    with pytest.raises(LookupError, match="no node"):
        edited(Hierarchy([2, 2, -1], ["a", "b"]), Edit("dissolve", {"node": "c"}))
