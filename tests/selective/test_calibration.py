import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import FormatError
from nbdt.selective import Calibration
from nbdt.selective.calibration import Superclass

SHA = "0123456789abcdef" * 4
PARTS = (Superclass(2, 4, (0.9,)), Superclass(3, 5, (0.5, 0.75)))
GOOD = Calibration(PARTS, "mean", SHA)


@given(
    st.lists(
        st.tuples(st.sampled_from([2, 5, 7]), st.floats(0, 1) | st.just(-math.inf)), max_size=40
    )
)
def test_it_keeps_every_score_and_reading_is_the_identity(samples):
    scores = torch.tensor([score for _, score in samples], dtype=torch.float64)
    nodes = torch.tensor([node for node, _ in samples], dtype=torch.long)
    found = Calibration.of(scores, nodes, [2, 5, 7], "logsumexp", SHA)
    assert sorted(found.scores.tolist()) == sorted(scores.tolist())
    assert (found.samples, found.wrong) == (len(samples), int((scores > -math.inf).sum()))
    for part in found.superclasses:
        own = [score for node, score in samples if node == part.node]
        assert part.scores.tolist() == sorted(own)
    assert Calibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def changed(**values):
    return {**GOOD.to_dict(), **values}


def first(**values):
    return changed(superclasses=[{**GOOD.to_dict()["superclasses"][0], **values}])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, r"\$ has to be an object, got null"),
        ({}, r"\$ lacks 'schema'"),
        (changed(more=1), "unknown key 'more'"),
        (changed(schema="nbdt.calibration/2"), "nbdt.calibration/1"),
        (changed(score="max"), r"\$.score has to be"),
        (changed(fingerprint="abc"), r"\$.fingerprint has to be a SHA-256"),
        (changed(superclasses=3), r"\$.superclasses has to be a list"),
        (first(node=-1), r"\$.superclasses\[0\].node has to be the id of a node"),
        (first(samples=0), r"\$.superclasses\[0\].samples has to be .* at least the 1 of wrong"),
        (first(samples=1.5), r"\$.superclasses\[0\].samples has to be a whole number"),
        (first(samples="4"), r"\$.superclasses\[0\].samples has to be a finite number"),
        (first(wrong=[0.5, 1.5]), r"\$.superclasses\[0\].wrong\[1\] has to be a probability"),
        (first(wrong=[True]), r"wrong\[0\] has to be a probability"),
        (first(wrong=["0.5"]), r"wrong\[0\] has to be a probability"),
        (first(wrong=[math.nan]), r"wrong\[0\] has to be a probability"),
    ],
)
def test_documents_that_are_not_valid_are_refused(document, said):
    with pytest.raises(FormatError, match=said):
        Calibration.from_dict(document)
