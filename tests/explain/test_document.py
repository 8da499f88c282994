import json
from dataclasses import replace
from typing import Any

import pytest

from nbdt.errors import FormatError
from nbdt.explain import Explanation, Sites
from nbdt.explain.document import (
    SCHEMA_FILE,
    DecisionDocument,
    check_decision,
    check_derived,
    schema,
)
from tests.explain.samples import CAT, VALIDATOR


def test_the_schema_that_is_checked_in_is_that_of_the_classes() -> None:
    assert json.loads(SCHEMA_FILE.read_text("utf-8")) == schema(), "run `make schemas`"


def test_the_schema_is_itself_valid_and_lists_every_key() -> None:
    VALIDATOR.check_schema(VALIDATOR.schema)
    decision = VALIDATOR.schema["$defs"]["DecisionDocument"]
    for part in (VALIDATOR.schema, decision):
        assert part["required"] == [key for key in part["properties"] if key != "sites"]
    document = CAT.to_dict()
    assert list(document) == VALIDATOR.schema["required"]
    assert list(document["path"][0]) == decision["required"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"children": [1, 1, 0]}, "children names a node twice"),
        ({"children_names": ["cat"]}, "children_names needs one entry a child, 2; got 1"),
        ({"probabilities": [1.0]}, "probabilities needs one entry a child, 2; got 1"),
        ({"probabilities": [0.5, 0.4]}, "probabilities must sum to 1, got 0.9"),
        ({"child": 7}, "child is not among the children"),
    ],
)
def test_the_lists_of_a_decision_fit_together(changes: dict[str, Any], reason: str) -> None:
    document = DecisionDocument.from_dict(CAT.to_dict()["path"][1] | changes)
    with pytest.raises(FormatError) as error:
        check_decision(document, "path[1]")
    assert str(error.value) == f"path[1].{reason}."


def test_what_follows_may_differ_by_rounding_only() -> None:
    document = DecisionDocument.from_dict(CAT.to_dict()["path"][1])
    step = CAT.path[1]
    check_derived(document.replace(probability=step.probability + 1e-9), step, ("probability",), "")
    for changes in ({"probability": step.probability + 1e-5}, {"contrary": True}):
        with pytest.raises(FormatError, match=r"^[a-z]+ is .*, but the rest of the document makes"):
            check_derived(document.replace(**changes), step, tuple(changes), "")


def test_an_explanation_of_a_map_says_where_it_is() -> None:
    sites = Sites(shape=(8, 6), count=5, first=(2, 1), last=(4, 3))
    explanation = replace(CAT, sites=sites)
    document = json.loads(json.dumps(explanation.to_dict()))
    VALIDATOR.validate(document)
    assert Explanation.from_dict(document) == explanation
    assert str(explanation).startswith(
        "For a region of 5 sites between row 2, column 1 and row 4, column 3 of a map of 8 × 6 "
        "sites:\nPredicted cat"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"first": [5, 1]}, "first must not lie after last"),
        ({"last": [4, 6]}, "nor last outside the map"),
        ({"first": [2]}, "one number for each axis"),
        ({"count": 10}, "count must be 2 to 9 in this box, got 10"),
        ({"count": 1}, "count must be 2 to 9 in this box, got 1"),
    ],
)
def test_sites_that_contradict_themselves_are_refused(changes: dict[str, Any], reason: str) -> None:
    sites = {"shape": [8, 6], "count": 5, "first": [2, 1], "last": [4, 3]} | changes
    with pytest.raises(FormatError, match=f"^sites.*{reason}"):
        Explanation.from_dict(CAT.to_dict() | {"sites": sites})
