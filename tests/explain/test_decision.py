import math

import pytest

from nbdt.errors import FormatError
from nbdt.explain import Decision
from nbdt.explain.decision import DECISION_KEYS
from nbdt.explain.document import Part
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
    return Decision.from_part(Part(document, "$", DECISION_KEYS))


@pytest.mark.parametrize("distance", [None, -2.5])
@pytest.mark.parametrize("margin", [-0.5, 3.0, math.inf])
def test_round_trip(margin, distance):
    original = Decision(9, "pet", 1, (0, 1), ("cat", "dog"), (0.25, 0.75), margin, 0.81, distance)
    document = original.to_dict()
    assert list(document) == list(DECISION_KEYS)
    assert document["margin"] == (None if margin == math.inf else margin)
    assert document["contrary"] == (margin < 0)
    assert read(document) == original


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"children": [1]}, "children has to name at least two nodes"),
        ({"children_names": ["cat"]}, "children_names needs one entry a child, 3; got 1"),
        ({"probabilities": [1.0]}, "probabilities needs one entry a child, 3; got 1"),
        ({"child": 7}, "child is not among the children"),
        ({"child": 0}, "child_name is 'dog', but the rest of the document makes it 'cat'"),
        ({"probability": 0.5}, "probability is 0.5, but the rest of the document makes it 0.2"),
        ({"contrary": False}, "contrary is False, but the rest of the document makes it True"),
        ({"entropy": 1.5}, "entropy has to be from 0 to 1, got 1.5"),
    ],
)
def test_refuses_a_document_that_contradicts_itself(changes, reason):
    with pytest.raises(FormatError) as error:
        read(PET.to_dict() | changes)
    assert str(error.value) == f"$.{reason}."
