import json
from typing import Any

import pytest

from nbdt.errors import FormatError
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
        assert part["required"] == list(part["properties"])
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
