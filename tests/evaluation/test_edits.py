"""Edits as data: what they do, how they are stored, and which nodes they change."""

import json

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.evaluation.edits import Edit, changed_nodes
from nbdt.hierarchy import Hierarchy, edit, induce
from nbdt.hierarchy.edit import regraft
from nbdt.rules import TreeLayout, decision_log_probs
from tests.strategies import hierarchies

TREE = Hierarchy(
    [6, 6, 7, 7, 8, 9, 8, 9, 9, -1],
    ["cat", "dog", "car", "bus", "owl", "box", "pet", "vehicle", "animal", "thing"],
)
CALLS = [
    (edit.rename, ({"pet": "furry", 7: "wheels"},), {}),
    (edit.move, ("owl", "pet"), {}),
    (edit.move, (), {"node": "owl", "parent": 6}),
    (edit.regraft, ("owl", "cat"), {"name": "night"}),
    (edit.group, (["vehicle", "box"], "dead"), {}),
    (edit.dissolve, (8,), {}),
    (edit.merge, (("vehicle", "animal"),), {}),
    (edit.split, ("pet", [["cat"], ["dog"]]), {}),
    (edit.collapse, (1,), {}),
]


@pytest.mark.parametrize(("function", "arguments", "named"), CALLS)
def test_an_edit_does_what_the_function_does_also_after_json(function, arguments, named) -> None:
    made = Edit.of(function, *arguments, **named)
    expected = function(TREE, *arguments, **named)
    assert made(TREE) == expected
    again = Edit.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again(TREE) == expected
    assert again.name == function.__name__


def test_it_prints_as_the_call() -> None:
    assert str(Edit.of(edit.move, "owl", parent=6)) == "move(node='owl', parent=6)"


def test_errors_are_those_of_the_edit() -> None:
    with pytest.raises(NotFoundError, match="owls"):
        Edit.of(edit.dissolve, "owls")(TREE)


@pytest.mark.parametrize("function", [edit.restrict, edit.reorder, induce, "move", None])
def test_what_changes_the_classes_or_is_no_edit_is_refused(function) -> None:
    with pytest.raises(InputError, match="is one of rename, move, regraft, group"):
        Edit.of(function, ["cat", "dog"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("owl",), "move: missing a required argument: 'parent'"),
        (("owl", "pet", "more"), "move: too many positional arguments"),
        (("owl", 1.5), "nodes, names and lists; got 1.5"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, said) -> None:
    with pytest.raises(InputError, match=said):
        Edit.of(edit.move, *arguments)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"edit": "move"},
        {"edit": ["move"], "arguments": {}},
        {"edit": "restrict", "arguments": {"classes": ["cat"]}},
        {"edit": "move", "arguments": {"node": "owl"}},
        {"edit": "move", "arguments": {1: 2}},
        {"edit": "rename", "arguments": {}},
        {"edit": "rename", "arguments": {"names": 3}},
        {"edit": "rename", "arguments": {"names": [[1, 2, 3]]}},
    ],
)
def test_documents_that_are_no_edits_are_refused(document) -> None:
    with pytest.raises(FormatError, match="not an edit of a tree"):
        Edit.from_dict(document)


# ── changed nodes ───────────────────────────────────────────────────────────────────────────────


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
def test_nodes_that_are_not_changed_are_in_both_trees(drawn: tuple[Hierarchy, Edit]) -> None:
    tree, made = drawn
    after, pairs = changed_nodes(tree, made)
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
def test_nodes_that_are_not_changed_decide_as_before(
    drawn: tuple[Hierarchy, Edit], score, seed: int
) -> None:
    tree, made = drawn
    after, pairs = changed_nodes(tree, made)
    logits = torch.randn(
        4, tree.num_classes, generator=torch.Generator().manual_seed(seed)
    ).double()
    first, second = (decision_log_probs(logits, TreeLayout(t), score) for t in (tree, after))
    changed = {a for a, _ in pairs}
    now = {groups(after, node): node for node in after.inner}
    for node in set(tree.inner) - changed:
        other = now[groups(tree, node)]
        of = {frozenset(after.leaves(child)): child for child in after.children(other)}
        for child in tree.children(node):
            twin = of[frozenset(tree.leaves(child))]
            torch.testing.assert_close(first[:, child], second[:, twin])


def test_a_node_is_followed_through_a_change_of_its_id() -> None:
    names = ["cat", "dog", "car", "bus", "ox", "pet", "animal", "thing"]
    tree = Hierarchy([5, 5, 7, 7, 6, 6, 7, -1], names)
    after, pairs = changed_nodes(tree, Edit.of(edit.move, "cat", "thing"))
    said = [(a and tree.name(a), b and after.name(b)) for a, b in pairs]
    assert said == [("pet", None), ("animal", "animal"), ("thing", "thing")]
    assert after.attributes(after.root) == {}


def test_errors_of_the_edit_come_through() -> None:
    with pytest.raises(LookupError, match="no node"):
        changed_nodes(Hierarchy([2, 2, -1], ["a", "b"]), Edit("dissolve", {"node": "c"}))
