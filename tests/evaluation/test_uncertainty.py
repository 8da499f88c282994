"""Uncertainty against naive walks, scipy's entropy and `Explanation`."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.stats import entropy

from nbdt.evaluation import UncertaintyCounter
from nbdt.explain import explain_logits
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import TreeLayout
from tests.evaluation.oracle import cases, counted, samples, walks


@given(case=cases())
def test_every_number_is_that_of_naive_walks(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 15, seed)
    found = counted(UncertaintyCounter(tree, examples=4), logits, labels, score, rule)

    expected = walks(logits, tree, score, rule)
    ways = [walk.way(walk.answer) for walk in expected]
    entropies = np.array([sum(step.entropy for step in way) for way in ways])
    margins = np.array([min(step.margin for step in way) for way in ways])
    right = np.array([w.answer == y for w, y in zip(expected, labels.tolist(), strict=True)])
    assert found.samples == 15
    assert found.mean_entropy == pytest.approx(entropies.mean())
    for mean, which in ((found.mean_entropy_right, right), (found.mean_entropy_wrong, ~right)):
        assert mean == (pytest.approx(entropies[which].mean()) if which.any() else None)
    for end, values in (
        ("highest_entropy", -entropies),
        ("lowest_entropy", entropies),
        ("smallest_margin", margins),
        ("largest_margin", -margins),
    ):
        some = found.ends[end]
        np.testing.assert_allclose([values[one.index] for one in some], np.sort(values)[:4])
        for one in some:
            assert (one.label, one.answer) == (labels[one.index], expected[one.index].answer)
            assert one.entropy == pytest.approx(entropies[one.index], abs=1e-9)
            assert one.margin == pytest.approx(margins[one.index], abs=1e-9)


def test_for_a_flat_tree_it_is_the_entropy_of_the_classes() -> None:
    tree = shapes.flat(6)
    logits, labels = samples(tree, 1)
    found = counted(UncertaintyCounter(tree), logits, labels)
    assert found.mean_entropy == pytest.approx(entropy(logits.softmax(1)[0]))


def test_the_margin_is_that_of_the_explanation() -> None:
    tree = shapes.random(8, seed=3)
    logits, labels = samples(tree, 10)
    found = counted(UncertaintyCounter(tree, examples=10), logits, labels, "mean")
    explained = explain_logits(logits, TreeLayout(tree), score="mean")
    for one in found.ends["smallest_margin"]:
        assert one.margin == pytest.approx(explained[one.index].closest.margin, abs=1e-9)


def test_it_can_be_stored_as_json_even_where_all_else_is_masked() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    logits = torch.tensor([[1.0, -torch.inf, -torch.inf]])
    found = counted(UncertaintyCounter(tree), logits, torch.tensor([0]))
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["smallest_margin"] == [
        {"index": 0, "label": 0, "answer": 0, "entropy": 0.0, "margin": None}
    ]
    assert document["mean_entropy_wrong"] is None
    assert [len(end) for end in found.ends.values()] == [1, 1, 1, 1]
