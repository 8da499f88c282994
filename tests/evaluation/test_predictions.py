"""`TreePredictor` and `Predictions`: answers, indices and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given

from nbdt.errors import InputError
from nbdt.evaluation import Evaluator, SuperclassCounter, Temperature, TreePredictor
from nbdt.hierarchy import Hierarchy
from tests.evaluation.oracle import cases, samples, walks

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])


@given(case=cases())
def test_answers_are_those_of_naive_walks(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 10, seed)
    decided = TreePredictor(tree, score=score, rule=rule).decide(logits, labels)
    expected = walks(logits, tree, score, rule)
    assert decided.answers.tolist() == [walk.answer for walk in expected]
    chosen = [walk.probabilities[walk.answer] for walk in expected]
    np.testing.assert_allclose(decided.answer_probabilities, chosen)
    np.testing.assert_allclose(
        decided.log_probs.exp(), np.array([walk.probabilities for walk in expected]), atol=1e-12
    )
    assert len(decided) == 10


def test_indices_count_on_unless_they_are_given() -> None:
    decider, logits, labels = (
        TreePredictor(TREE, score="logsumexp"),
        torch.zeros(2, 3),
        torch.tensor([0, 1]),
    )
    assert decider.decide(logits, labels).indices.tolist() == [0, 1]
    assert decider.decide(logits, labels, torch.tensor([7, 5])).indices.tolist() == [7, 5]
    assert decider.decide(logits, labels).indices.tolist() == [4, 5]
    with pytest.raises(InputError, match=r"one number a sample, shape \(2,\)"):
        decider.decide(logits, labels, torch.tensor([7]))


def test_a_temperature_divides_what_decides() -> None:
    logits, labels = samples(TREE, 5)
    hot = TreePredictor(TREE, score="logsumexp", temperature=Temperature(2.0)).decide(
        logits, labels
    )
    half = TreePredictor(TREE, score="logsumexp").decide(logits / 2, labels)
    torch.testing.assert_close(hot.decisions, half.decisions)
    torch.testing.assert_close(hot.log_probs, half.log_probs)


def test_the_hard_rule_sees_the_temperature_too() -> None:
    # Hotter, two fair classes together are worth more than a good one.
    logits, labels = torch.tensor([[1.0, 1.0, 2.0]]), torch.tensor([0])
    answers = [
        TreePredictor(TREE, score="logsumexp", rule="hard", temperature=Temperature(t))
        .decide(logits, labels)
        .answers[0]
        for t in (1.0, 3.0)
    ]
    assert answers == [2, 0]


@pytest.mark.parametrize(("score", "rule"), [("median", "soft"), ("mean", "firm")])
def test_unknown_rules_and_scores_are_refused(score, rule) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="score is one of mean, logsumexp and rule one of soft"):
        TreePredictor(TREE, score=score, rule=rule)


def test_bad_logits_are_refused_before_anything_is_counted() -> None:
    decider = TreePredictor(TREE, score="logsumexp")
    with pytest.raises(InputError, match="hold NaN"):
        decider.decide(torch.tensor([[0.0, torch.nan, 0]]), torch.tensor([0]))
    assert decider.decide(torch.zeros(1, 3), torch.tensor([0])).indices.tolist() == [0]


def test_a_score_has_to_be_named() -> None:
    for needs_one in (TreePredictor, Evaluator, lambda tree: SuperclassCounter(tree, [3])):
        with pytest.raises(TypeError, match="score"):
            needs_one(TREE)  # type: ignore[operator]
