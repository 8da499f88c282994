"""Calibration against naive bins, and scikit-learn's calibration curve."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from nbdt.evaluation import CalibrationCounter, Reliability
from nbdt.hierarchy import shapes
from tests.evaluation.oracle import cases, counted, samples, walks


def naive_error(confidences: list[float], right: list[bool], bins: int) -> float:
    """Σ over the bins ((b − 1)/B, b/B] of |how many are right − the sum of confidences| / n."""
    gaps = np.zeros(bins)
    for confidence, is_right in zip(confidences, right, strict=True):
        place = next(b for b in range(bins) if confidence <= (b + 1) / bins + 1e-15)
        gaps[place] += is_right - confidence
    return float(np.abs(gaps).sum() / len(confidences))


@given(case=cases(max_classes=8), bins=st.integers(2, 20))
def test_errors_are_those_of_naive_bins(case, bins: int) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 30, seed)
    found = counted(CalibrationCounter(tree, bins=bins), logits, labels, score, rule)

    expected, truth = walks(logits, tree, score, rule), labels.tolist()
    answers = [walk.probabilities[walk.answer] for walk in expected]
    right = [walk.answer == label for walk, label in zip(expected, truth, strict=True)]
    assert found.answer.error == pytest.approx(naive_error(answers, right, bins))
    assert found.answer.samples.sum() == 30

    for leaf, reliability in enumerate(found.classes):
        confidences = [walk.probabilities[leaf] for walk in expected]
        hits = [label == leaf for label in truth]
        assert reliability.error == pytest.approx(naive_error(confidences, hits, bins), abs=1e-9)
        assert reliability.samples.sum() == 30

    steps = [s for walk, label in zip(expected, truth, strict=True) for s in walk.way(label)]
    assert set(found.nodes) == {step.node for step in steps}
    for node, reliability in found.nodes.items():
        here = [step for step in steps if step.node == node]
        confidences = [max(step.probabilities.values()) for step in here]
        error = naive_error(confidences, [step.right for step in here], bins)
        assert reliability.error == pytest.approx(error)
    total = sum(one.error * one.samples.sum() for one in found.nodes.values())
    assert found.node_error == pytest.approx(total / len(steps))
    assert found.class_error == pytest.approx(np.mean([one.error for one in found.classes]))


def test_a_class_is_as_reliable_as_scikit_learn_says() -> None:
    tree = shapes.balanced(5)
    logits, labels = samples(tree, 2000)
    for leaf, found in enumerate(
        counted(CalibrationCounter(tree, bins=10), logits, labels).classes
    ):
        share, mean = calibration_curve(labels == leaf, logits.softmax(1)[:, leaf], n_bins=10)
        filled = found.samples > 0
        np.testing.assert_allclose(found.accuracies[filled], share)
        np.testing.assert_allclose(found.confidences[filled], mean)
        assert np.isnan(found.accuracies[~filled]).all()


def test_certain_answers_are_in_the_last_bin() -> None:
    tree = shapes.flat(3)
    logits = torch.tensor([[200.0, 0, 0], [0, 200.0, 0]])
    found = counted(CalibrationCounter(tree, bins=4), logits, torch.tensor([0, 0]))
    assert found.answer.samples.tolist() == [0, 0, 0, 2]
    assert found.answer.error == 0.5
    assert found.classes[2].samples.tolist() == [2, 0, 0, 0]
    assert found.classes[2].error == 0


def test_a_bin_has_its_upper_edge() -> None:
    reliability = Reliability(np.array([1, 3]), np.array([0.5, 1.0]), np.array([0.0, 1.0]))
    assert reliability.edges.tolist() == [0, 0.5, 1]
    assert reliability.error == 0.125
    tree = shapes.flat(2)
    found = counted(CalibrationCounter(tree, bins=2), torch.zeros(1, 2), torch.tensor([0]))
    assert found.answer.samples.tolist() == [1, 0]


def test_it_can_be_stored_as_json() -> None:
    tree = shapes.balanced(6)
    found = counted(CalibrationCounter(tree), *samples(tree, 5))
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["bins"] == 15
    assert document["answer"]["samples"] == 5
    assert sum(one["samples"] for one in document["answer"]["bins"]) == 5
    assert len(document["classes"]) == 6
    assert document["nodes"][-1]["name"] == tree.name(tree.root)
