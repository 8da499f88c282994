from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.view.marks import in_names_of, marks_of
from tests.explain.samples import CAT, THING
from tests.strategies import hierarchies
from tests.view.samples import explain, flat


def test_an_explanation_marks_its_nodes() -> None:
    marks = marks_of(CAT, THING)
    assert marks.roles == {4: "path", 3: "path", 0: "answer", 1: "runner_up"}
    assert marks.probabilities == {2: 0.02, 3: 0.98, 0: 0.75, 1: 0.25}


@given(hierarchies(attributes=False, max_classes=15), st.none() | st.integers(0, 9))
@settings(max_examples=30)
def test_each_node_on_a_path_has_its_role(tree: Hierarchy, stop: int | None) -> None:
    explanation = explain(tree, stop=stop)
    path, rival = tree.path(explanation.prediction), tree.path(explanation.runner_up)
    for node in range(len(tree)):
        if node == explanation.answer:
            expected = "answer"
        elif node in path:
            expected = "path" if tree.is_ancestor(node, explanation.answer) else "beyond"
        elif node in rival:
            expected = "runner_up" if tree.is_leaf(node) else "rival"
        else:
            expected = "other"
        assert marks_of(explanation, tree).roles.get(node, "other") == expected


@pytest.mark.parametrize(
    "tree", [flat(3), flat(2), Hierarchy([4, 4, 5, 5, 6, 6, -1], list("abcd"))]
)
def test_an_explanation_of_another_tree_is_refused(tree: Hierarchy) -> None:
    with pytest.raises(InputError, match="'cat' was made with another tree"):
        marks_of(CAT, tree)


@pytest.mark.parametrize("which", ["network_prediction", "runner_up"])
def test_an_explanation_of_a_class_that_is_not_in_the_tree_is_refused(which: str) -> None:
    wrong = replace(CAT, **{which: THING.num_classes})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'cat' was made with another tree"):
        marks_of(wrong, THING)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["x0", "x1", "x2"], "it calls class 2 'car', and this tree 'x2'"),
        (["KATZE", "dog", "car"], "it calls class 0 'cat', and this tree 'KATZE'"),
        (["cat", "HUND", "car"], "it calls class 1 'dog', and this tree 'HUND'"),
    ],
)
def test_an_explanation_of_classes_of_other_names_is_refused(names: list[str], said: str) -> None:
    tree = Hierarchy(THING.parents, [*names, "animal", "thing"])
    with pytest.raises(InputError, match=f"'cat' was made with another tree.*{said}"):
        marks_of(CAT, tree)


@given(hierarchies(attributes=False, max_classes=10), st.integers(0, 99), st.data())
@settings(max_examples=30)
def test_any_class_that_the_explanation_names_counts(
    tree: Hierarchy, seed: int, data: st.DataObject
) -> None:
    explanation = explain(tree, seed)
    known = {child for d in explanation.path for child in d.children if tree.is_leaf(child)}
    known |= {explanation.runner_up, explanation.network_prediction}
    other = data.draw(st.sampled_from(sorted(known)))
    names = [*tree.names[:other], "another", *tree.names[other + 1 :]]
    with pytest.raises(InputError, match=f"class {other} "):
        marks_of(explanation, Hierarchy(tree.parents, names))


def test_an_explanation_whose_runner_up_parts_elsewhere_is_refused() -> None:
    assert CAT.diverges_at == 3
    with pytest.raises(InputError, match="was made with another tree"):
        marks_of(replace(CAT, diverges_at=4), THING)


def test_inner_nodes_may_have_been_renamed() -> None:
    tree = Hierarchy(THING.parents, ["cat", "dog", "car", "beast", ""])
    explanation = in_names_of(tree, CAT)
    assert [d.node_name for d in explanation.path] == ["node 4", "beast"]
    assert explanation.path[0].children_names == ("car", "beast")
    assert explanation.diverges_at_name == "beast"
    assert in_names_of(THING, explanation) == CAT
    assert marks_of(explanation, tree) == marks_of(CAT, THING)


def test_several_explanations_are_not_one() -> None:
    with pytest.raises(InputError, match="got list; draw one of them at a time"):
        marks_of([CAT], THING)  # type: ignore[arg-type]
