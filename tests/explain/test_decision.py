import math

import pytest

from nbdt.errors import FormatError
from nbdt.explain import Decision, percent
from nbdt.explain.document import DecisionDocument
from tests.explain.samples import decision

PET = decision((9, "pet"), {0: ("cat", 0.5), 1: ("dog", 0.2), 4: ("fox", 0.3)}, 1, margin=-0.9)


def test_the_child_taken():
    assert PET.probability == 0.2
    assert PET.child_name == "dog"
    assert PET.probability_of(4) == 0.3
    assert PET.name_of(4) == "fox"


def test_contrary_is_a_negative_margin():
    assert PET.contrary
    assert not decision((9, "pet"), {0: ("cat", 0.5), 1: ("dog", 0.5)}, 0, margin=0.0).contrary


def test_the_nearest_sibling_is_the_likeliest_other_child():
    assert PET.nearest_sibling == 0
    tie = decision((9, "pet"), {0: ("cat", 0.3), 1: ("dog", 0.4), 2: ("fox", 0.3)}, 1)
    assert tie.nearest_sibling == 0


def test_decisions_are_frozen_and_small():
    with pytest.raises(AttributeError):
        PET.child = 0  # type: ignore[misc]
    assert not hasattr(PET, "__dict__")


def read(document: dict) -> Decision:
    return Decision.of(DecisionDocument.from_dict(document), "path[0]")


@pytest.mark.parametrize("distance", [None, -2.5])
@pytest.mark.parametrize("margin", [-0.5, 3.0, math.inf])
def test_round_trip(margin, distance):
    original = Decision(9, "pet", 1, (0, 1), ("cat", "dog"), (0.25, 0.75), margin, 0.81, distance)
    document = original.to_dict()
    assert list(document) == list(DecisionDocument.model_fields)
    assert document["margin"] == (None if margin == math.inf else margin)
    assert document["contrary"] == (margin < 0)
    assert read(document) == original


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"child": 7}, "path[0].child is not among the children"),
        ({"child": 0}, "path[0].child_name is 'dog', but the rest of the document makes it 'cat'"),
        ({"probability": 0.5}, "path[0].probability is 0.5, but the rest of the document makes it"),
        ({"contrary": False}, "path[0].contrary is False, but the rest of the document makes it"),
        ({"children": [1]}, "children: "),
        ({"entropy": 1.5}, "entropy: "),
    ],
)
def test_refuses_a_document_that_contradicts_itself(changes, reason):
    with pytest.raises(FormatError) as error:
        read(PET.to_dict() | changes)
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        *[(0.0, "0 %"), (0.0049, "<1 %"), (0.005, "1 %"), (0.125, "13 %"), (0.245, "25 %")],
        *[(0.5, "50 %"), (0.994, "99 %"), (0.995, ">99 %"), (0.9999, ">99 %"), (1.0, "100 %")],
    ],
)
def test_percentages_call_nothing_certain_that_is_not(probability: float, said: str) -> None:
    assert percent(probability) == said
