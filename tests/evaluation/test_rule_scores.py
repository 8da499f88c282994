"""PathDecisions to answer against the rules themselves."""

import torch

from nbdt.evaluation.rule_scores import RULE_SCORES, answers_by
from nbdt.hierarchy import shapes
from nbdt.rules import RULES, SCORES, Temperature, TreeLayout, hard_predict, soft_log_probs
from tests.evaluation.oracle import samples

TREE = shapes.random(9, branching=3, seed=0)


def test_they_are_all_rules_under_all_scores() -> None:
    assert sorted(RULE_SCORES) == sorted((rule, score) for rule in RULES for score in SCORES)


def test_answers_are_the_rules() -> None:
    logits, _ = samples(TREE, 50)
    layout = TreeLayout(TREE)
    different = set()
    for rule, score in RULE_SCORES:
        classes, ranking = answers_by(rule, score, logits, layout, Temperature(2.0))
        different.add(tuple(classes.tolist()))
        if rule == "hard":
            assert ranking is None
            assert torch.equal(classes, hard_predict(logits / 2, layout, score))
        else:
            assert ranking is not None
            assert torch.equal(ranking, soft_log_probs(logits / 2, layout, score))
            assert torch.equal(classes, ranking.argmax(1))
    assert len(different) > 2
