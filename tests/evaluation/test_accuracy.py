"""Accuracy by rule against scikit-learn, naive walks down the tree, and bad input."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score
from torch import Tensor

from nbdt.errors import InputError
from nbdt.evaluation import (
    AccuracyRow,
    AccuracyTable,
    NodeAccuracy,
    NodeAccuracyCounter,
    accuracy_by_rule,
    wilson_interval,
)
from nbdt.hierarchy import Hierarchy, shapes
from tests.evaluation.oracle import cases, counted, samples, walks
from tests.strategies import hierarchies

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
RULE_SCORES = [("soft", "logsumexp"), ("hard", "logsumexp"), ("soft", "mean"), ("hard", "mean")]


def check(table: AccuracyTable, logits: Tensor, labels: Tensor, tree: Hierarchy) -> None:
    """Compares every number of a table with what the naive walks and scikit-learn say."""
    rows, truth = logits.double().numpy(), labels.numpy()
    network = rows.argmax(axis=1)
    for row, (rule, score) in zip(table.rows, [(None, None), *RULE_SCORES], strict=True):
        assert (row.rule, row.score) == (rule, score)
        if rule is None:
            ranking, answers = rows, network
        else:
            expected = walks(logits, tree, score, rule)
            answers = np.array([walk.answer for walk in expected])
            soft = np.array([walk.probabilities for walk in expected])
            ranking = soft if rule == "soft" else None
        assert row.samples == len(truth)
        assert row.correct == accuracy_score(truth, answers, normalize=False)
        assert row.agreeing == accuracy_score(network, answers, normalize=False)
        if ranking is None or tree.num_classes <= 5:
            assert row.top5_correct is None
        else:
            every = np.arange(tree.num_classes)
            right = top_k_accuracy_score(truth, ranking, k=5, labels=every, normalize=False)
            assert row.top5_correct == right


@given(tree=hierarchies(max_classes=12), seed=st.integers(0, 2**31))
def test_every_number_is_that_of_naive_walks(tree: Hierarchy, seed: int) -> None:
    logits, labels = samples(tree, 20, seed)
    check(accuracy_by_rule([(logits, labels)], tree), logits, labels, tree)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_number_is_that_of_naive_walks_in_other_types(dtype: torch.dtype) -> None:
    tree = shapes.random(30, branching=3, seed=1)
    logits, labels = samples(tree, 300)
    # Steps that even bfloat16 holds, and no two logits of a sample alike.
    order = logits.argsort(dim=1).argsort(dim=1)
    logits = (order.double() / 8).to(dtype)
    check(accuracy_by_rule([(logits, labels)], tree), logits, labels, tree)


def test_batches_add_up() -> None:
    tree = shapes.balanced(10)
    logits, labels = samples(tree, 100)
    at_once = accuracy_by_rule([(logits, labels)], tree)
    parts = zip(logits.split(7), labels.to(torch.uint8).split(7), strict=True)
    assert accuracy_by_rule(parts, tree) == at_once


def test_between_equals_the_lower_index_is_ahead() -> None:
    tree = shapes.flat(7)
    tied = torch.zeros(7, 7)
    table = accuracy_by_rule([(tied, torch.arange(7))], tree)
    assert [row.correct for row in table.rows] == [1] * 5
    assert [row.top5_correct for row in table.rows] == [5, 5, None, 5, None]


def test_masked_classes_are_never_answered() -> None:
    tree = shapes.balanced(8)
    logits, labels = samples(tree, 50)
    logits[:, 0] = -torch.inf
    table = accuracy_by_rule([(logits, torch.zeros_like(labels))], tree)
    assert all(row.correct == 0 for row in table.rows)
    assert table.network.top5_correct == table.row("soft", "mean").top5_correct == 0


def test_the_networks_row_agrees_with_itself() -> None:
    logits, labels = samples(TREE, 30)
    table = accuracy_by_rule([(logits, labels)], TREE)
    assert table.network.agreement == 1
    assert dataclasses.replace(table.network, rule="soft", score="logsumexp") == table.rows[1]


@pytest.mark.parametrize("batches", [[], [(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))]])
def test_no_samples_have_no_accuracy(batches: list[tuple[Tensor, Tensor]]) -> None:
    with pytest.raises(InputError, match="at least one sample"):
        accuracy_by_rule(batches, TREE)


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, -np.inf]), min_size=9, max_size=9),
             min_size=1, max_size=6),
    st.integers(0, 8),
)  # fmt: skip
def test_of_equals_the_lower_class_is_among_the_top(rows: list[list[float]], label: int) -> None:
    rows = [row if max(row) > -np.inf else [0.0] * 9 for row in rows]
    truth = torch.full((len(rows),), label)
    expected = sum(label in sorted(range(9), key=lambda c: (-row[c], c))[:5] for row in rows)
    table = accuracy_by_rule([(torch.tensor(rows), truth)], shapes.flat(9))
    assert table.network.top5_correct == expected


# ── the table ────────────────────────────────────────────────────────────────────────────────


def example(*, num_classes: int = 10, samples: int = 4000) -> AccuracyTable:
    top = samples if num_classes > 5 else None
    return AccuracyTable(
        (
            AccuracyRow(None, None, samples, samples - 1, samples, top),
            AccuracyRow("soft", "logsumexp", samples, samples, samples - 1, top),
            AccuracyRow("hard", "logsumexp", samples, 1, 1),
            AccuracyRow("soft", "mean", samples, 0, 0, top),
            AccuracyRow("hard", "mean", samples, samples // 2, samples // 4),
        ),
        num_classes,
    )


def test_shares_follow_from_counts() -> None:
    row = AccuracyRow("soft", "mean", samples=80, correct=60, agreeing=70, top5_correct=76)
    assert (row.accuracy, row.agreement, row.top5_accuracy) == (0.75, 0.875, 0.95)
    assert row.interval == wilson_interval(60, 80)
    assert AccuracyRow("hard", "mean", 80, 60, 70).top5_accuracy is None


def test_rows_are_found_by_rule_and_score() -> None:
    found = example()
    assert found.network is found.rows[0]
    assert found.row("hard", "logsumexp") is found.rows[2]
    assert found.samples == 4000


@pytest.mark.parametrize(("rule", "score"), [("firm", "mean"), ("soft", "median"), (None, None)])
def test_an_unknown_row_is_refused(rule, score) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        InputError, match="the rules are soft and hard, the scores logsumexp and mean"
    ):
        example().row(rule, score)


def test_as_a_document_it_says_everything() -> None:
    document = json.loads(json.dumps(example().to_dict(), allow_nan=False))
    assert (document["samples"], document["classes"]) == (4000, 10)
    assert document["rows"][4] == {
        "rule": "hard",
        "score": "mean",
        "samples": 4000,
        "correct": 2000,
        "accuracy": 0.5,
        "interval": list(wilson_interval(2000, 4000)),
        "top5_correct": None,
        "top5_accuracy": None,
        "agreeing": 1000,
        "agreement": 0.25,
    }


def test_as_text_it_rounds_nothing_to_all_or_none() -> None:
    assert str(example()).splitlines() == [
        "rule     score        correct  accuracy   95 % interval    top-5  same as network",
        "───────  ─────────  ─────────  ────────  ──────────────  ───────  ───────────────",
        "network             3999/4000   >99.9 %  99.9 – >99.9 %  100.0 %",
        "soft     logsumexp  4000/4000   100.0 %  99.9 – 100.0 %  100.0 %          >99.9 %",
        "hard     logsumexp     1/4000    <0.1 %    <0.1 – 0.1 %                    <0.1 %",
        "soft     mean          0/4000     0.0 %     0.0 – 0.1 %  100.0 %            0.0 %",
        "hard     mean       2000/4000    50.0 %   48.5 – 51.5 %                    25.0 %",
        "4,000 samples, 10 classes",
    ]


def test_a_column_that_nothing_is_in_is_left_out() -> None:
    assert "top-5" in str(example())
    assert "top-5" not in str(example(num_classes=5))


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


def test_shares_of_a_node_follow_from_counts() -> None:
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
