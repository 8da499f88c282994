"""`Predictions`: answers, parts of a batch, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import (
    RULE_SCORES,
    RULES,
    SCORES,
    Predictions,
    Temperature,
    TreeLayout,
    hard_predict,
    soft_log_probs,
)
from tests.evaluation.oracle import Predictor, cases, samples, walks

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])


@given(case=cases())
def test_answers_are_those_of_naive_walks(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 10, seed)
    decided = Predictor(tree, score=score, rule=rule)(logits, labels)
    expected = walks(logits, tree, score, rule)
    assert decided.answers.tolist() == [walk.answer for walk in expected]
    chosen = [walk.probabilities[walk.answer] for walk in expected]
    np.testing.assert_allclose(decided.answer_probabilities, chosen)
    np.testing.assert_allclose(
        decided.log_probs.exp(), np.array([walk.probabilities for walk in expected]), atol=1e-12
    )
    assert len(decided) == 10


def test_all_rules_under_all_scores_answer_as_the_functions_do() -> None:
    tree = shapes.random(9, branching=3, seed=0)
    assert sorted(RULE_SCORES) == sorted((rule, score) for rule in RULES for score in SCORES)
    logits, _ = samples(tree, 50)
    layout = TreeLayout(tree)
    found = Predictions(logits, layout, score="mean", temperature=2.0)
    for rule, score in RULE_SCORES:
        soft = soft_log_probs(logits / 2, layout, score)
        hard = hard_predict(logits / 2, layout, score)
        assert torch.equal(found.log_probs_by(score), soft)
        assert torch.equal(
            found.answers_by(rule, score), soft.argmax(1) if rule == "soft" else hard
        )
    assert len({tuple(found.answers_by(*way).tolist()) for way in RULE_SCORES}) > 2
    assert torch.equal(found.network_answers, logits.argmax(1))


@given(case=cases(), data=st.data())
def test_some_rows_are_as_if_they_came_alone(case, data) -> None:  # type: ignore[no-untyped-def]
    tree, seed, _, rule = case
    logits, labels = samples(tree, 6, seed)
    rows = torch.tensor(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6)))
    temperature = Temperature(2.0, {tree.root: 3.0})
    whole = Predictor(tree, score="mean", rule="soft", temperature=temperature)(logits, labels)
    if data.draw(st.booleans()):
        assert whole.answer_path is not None  # so that decisions are known
    some = whole.of_rows(rows, rule)
    alone = Predictor(tree, score="mean", rule=rule, temperature=temperature)
    expected = alone(logits[rows], labels[rows])
    assert some.indices.tolist() == rows.tolist()
    assert some.labels.tolist() == labels[rows].tolist()
    assert some.answers.tolist() == expected.answers.tolist()
    torch.testing.assert_close(some.log_probs, expected.log_probs)
    torch.testing.assert_close(some.decisions, expected.decisions)
    np.testing.assert_allclose(some.answer_path.margins, expected.answer_path.margins)


@pytest.mark.usefixtures("unchecked")
def test_labels_and_indices_are_checked() -> None:
    logits, layout = torch.zeros(2, 3), TreeLayout(TREE)
    found = Predictions(logits, layout, score="mean", indices=torch.tensor([7, 5]))
    assert found.indices.tolist() == [7, 5]
    with pytest.raises(InputError, match="no labels"):
        _ = found.true_path
    with pytest.raises(InputError, match=r"one number a sample, shape \(2,\)"):
        Predictions(logits, layout, score="mean", indices=torch.tensor([7]))
    with pytest.raises(InputError, match="a label is 3"):
        Predictions(logits, layout, score="mean", labels=torch.tensor([0, 3]))


def test_a_temperature_divides_what_decides() -> None:
    logits, labels = samples(TREE, 5)
    hot = Predictor(TREE, score="logsumexp", temperature=Temperature(2.0))(logits, labels)
    half = Predictor(TREE, score="logsumexp")(logits / 2, labels)
    torch.testing.assert_close(hot.decisions, half.decisions)
    torch.testing.assert_close(hot.log_probs, half.log_probs)


def test_the_hard_rule_sees_the_temperature_too() -> None:
    # Hotter, two fair classes together are worth more than a good one.
    logits, labels = torch.tensor([[1.0, 1.0, 2.0]]), torch.tensor([0])
    answers = [
        Predictor(TREE, score="logsumexp", rule="hard", temperature=Temperature(t))(
            logits, labels
        ).answers[0]
        for t in (1.0, 3.0)
    ]
    assert answers == [2, 0]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("score", "rule"), [("median", "soft"), ("mean", "firm"), ("mean", None)])
def test_unknown_rules_and_scores_are_refused(score, rule) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"(score|rule) must be '.*' or '.*', got"):
        Predictions(torch.zeros(2, 3), TreeLayout(TREE), score=score, rule=rule)


def test_a_score_has_to_be_named() -> None:
    with pytest.raises(TypeError, match="score"):
        Predictions(torch.zeros(2, 3), TreeLayout(TREE))  # type: ignore[call-arg]
