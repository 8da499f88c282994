"""Edits as data: what they do, how they are kept, and what is refused."""

import json

import pytest

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.evaluation.edits import Edit
from nbdt.hierarchy import Hierarchy, edit, induce

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
        (("owl", 1.5), "nodes, names and lists of them; got 1.5"),
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
    with pytest.raises(FormatError, match="no edit of a tree"):
        Edit.from_dict(document)
