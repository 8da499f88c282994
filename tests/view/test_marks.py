from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.view.marks import marks_of
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
