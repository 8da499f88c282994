"""Accuracy by class and node against scikit-learn and naive walks."""

import json

import torch
from hypothesis import given
from sklearn.metrics import confusion_matrix

from nbdt.evaluation import NodeAccuracy, NodeAccuracyCounter, wilson_interval
from nbdt.hierarchy import shapes
from tests.evaluation.oracle import cases, counted, samples, walks


@given(case=cases())
def test_counts_are_those_of_naive_walks(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 20, seed)
    found = counted(NodeAccuracyCounter(tree), logits, labels, score, rule)

    expected = walks(logits, tree, score, rule)
    answers = [walk.answer for walk in expected]
    table = confusion_matrix(labels, answers, labels=range(tree.num_classes))
    for share, row, column in zip(found.classes, table, table.T, strict=True):
        assert (share.samples, share.answered) == (row.sum(), column.sum())
        assert share.correct == row[share.node]
        assert share.name == tree.name(share.node)
    steps = [
        step
        for walk, label in zip(expected, labels.tolist(), strict=True)
        for step in walk.way(label)
    ]
    for share, node in zip(found.nodes, tree.inner, strict=True):
        rights = [step.right for step in steps if step.node == node]
        assert (share.node, share.samples, share.correct) == (node, len(rights), sum(rights))
        assert share.answered is None


def test_shares_follow_from_counts() -> None:
    share = NodeAccuracy(2, "cat", samples=10, correct=8, answered=16)
    assert (share.accuracy, share.precision) == (0.8, 0.5)
    assert share.interval == wilson_interval(8, 10)
    document = json.loads(json.dumps(share.to_dict()))
    assert document == {
        "node": 2, "name": "cat", "samples": 10, "correct": 8, "accuracy": 0.8,
        "interval": list(wilson_interval(8, 10)), "answered": 16, "precision": 0.5,
    }  # fmt: skip
    assert "answered" not in NodeAccuracy(2, "animal", 10, 8).to_dict()


def test_what_was_never_met_has_no_accuracy() -> None:
    tree = shapes.balanced(4)
    found = counted(NodeAccuracyCounter(tree), torch.eye(4)[:1], torch.tensor([0]))
    unseen = found.classes[3]
    assert (unseen.samples, unseen.accuracy, unseen.interval, unseen.precision) == (0, *[None] * 3)
    assert unseen.to_dict()["interval"] is None
