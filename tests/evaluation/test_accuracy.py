"""Accuracy by rule against scikit-learn, naive walks down the tree, and bad input."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, top_k_accuracy_score
from torch import Tensor

from nbdt.errors import InputError
from nbdt.evaluation import AccuracyByRule, AccuracyTable, accuracy_by_rule
from nbdt.hierarchy import Hierarchy, shapes
from tests.evaluation.oracle import Predictor
from tests.strategies import hierarchies

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
RULE_SCORES = [("soft", "logsumexp"), ("hard", "logsumexp"), ("soft", "mean"), ("hard", "mean")]


def samples(tree: Hierarchy, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(tree.num_classes, (count,), generator=generator)
    logits = torch.randn(count, tree.num_classes, generator=generator, dtype=torch.float64)
    # Right often, but not always.
    logits[torch.arange(count), labels] += 2
    return logits, labels


def naive_values(logits: np.ndarray, tree: Hierarchy, score: str) -> list[float]:
    """s(v) of every node for one sample."""
    worth = {"mean": np.mean, "logsumexp": lambda z: np.log(np.sum(np.exp(z)))}[score]
    return [float(worth(logits[list(tree.leaves(node))])) for node in range(len(tree))]


def naive_soft(logits: np.ndarray, tree: Hierarchy, score: str) -> np.ndarray:
    """The probabilities of the classes for one sample, by walking every path."""
    values = naive_values(logits, tree, score)
    probabilities = np.ones(tree.num_classes)
    for leaf in range(tree.num_classes):
        for node in tree.path(leaf)[1:]:
            siblings = [values[child] for child in tree.children(tree.parent(node))]
            probabilities[leaf] *= np.exp(values[node]) / np.exp(siblings).sum()
    return probabilities


def naive_hard(logits: np.ndarray, tree: Hierarchy, score: str) -> int:
    values, node = naive_values(logits, tree, score), tree.root
    while not tree.is_leaf(node):
        node = max(tree.children(node), key=lambda child: (values[child], -child))
    return node


def check(table: AccuracyTable, logits: Tensor, labels: Tensor, tree: Hierarchy) -> None:
    """Compares every number of a table with what the naive walks and scikit-learn say."""
    rows, truth = logits.double().numpy(), labels.numpy()
    network = rows.argmax(axis=1)
    for row, (rule, score) in zip(table.rows, [(None, None), *RULE_SCORES], strict=True):
        assert (row.rule, row.score) == (rule, score)
        if rule is None:
            ranking, answers = rows, network
        elif rule == "soft":
            ranking = np.stack([naive_soft(one, tree, score) for one in rows])
            answers = ranking.argmax(axis=1)
        else:
            ranking, answers = None, np.array([naive_hard(one, tree, score) for one in rows])
        assert row.samples == len(truth)
        assert row.correct == accuracy_score(truth, answers, normalize=False)
        assert row.agreeing == accuracy_score(network, answers, normalize=False)
        if ranking is None or tree.num_classes <= 5:
            assert row.top5_correct is None
        else:
            every = np.arange(tree.num_classes)
            expected = top_k_accuracy_score(truth, ranking, k=5, labels=every, normalize=False)
            assert row.top5_correct == expected


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
    parts = zip(logits.split(7), labels.split(7), strict=True)
    assert accuracy_by_rule(parts, tree) == at_once

    counted, predictor = AccuracyByRule(tree), Predictor(tree, score="mean")
    counted.update(predictor(logits[:60], labels[:60].to(torch.uint8)))
    assert counted.table().samples == 60
    counted.update(predictor(logits[:0], labels[:0]))
    counted.update(predictor(logits[60:].clone().requires_grad_(), labels[60:]))
    assert counted.table() == at_once


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


GOOD = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (GOOD.numpy(), torch.tensor([0, 1]), "floating-point numbers; got an? nd"),
        (GOOD.long(), torch.tensor([0, 1]), r"floating-point numbers.*int64 of shape \(2, 3\)"),
        (torch.zeros(2, 4), torch.tensor([0, 1]), r"shape \(…, 3\).*\(2, 4\)"),
        (torch.zeros(3), torch.tensor([0, 1]), r"shape \(batch, 3\).*\(3,\)"),
        (GOOD, [0, 1], r"labels have to be a tensor of whole.*got a list"),
        (GOOD, torch.tensor([0.0, 1.0]), r"labels have to be a tensor of whole numbers.*float32"),
        (GOOD, torch.tensor([True, False]), r"labels have to be a tensor of whole numbers.*bool"),
        (GOOD, torch.tensor([0j, 1j]), r"labels have to be a tensor of whole numbers.*complex64"),
        (GOOD, torch.tensor([0, 1, 2]), r"shape \(2,\), one a sample; got .*\(3,\)"),
        (GOOD, torch.tensor([[0], [1]]), r"shape \(2,\), one a sample; got .*\(2, 1\)"),
        (GOOD, torch.tensor([0, 3]), "a label is 3; with 3 classes labels go from 0 to 2"),
        (GOOD, torch.tensor([2, -100]), "a label is -100; with 3 classes"),
        (torch.tensor([[0.0, 0, 0], [0, torch.nan, 9]]), torch.tensor([0, 1]),
         r"the logits hold NaN in row 1 \(1 of 2\)"),
        (torch.tensor([[0.0, torch.inf, 0], [0, 0, 0]]), torch.tensor([0, 1]), r"\+inf in row 0"),
        (torch.full((2, 3), -torch.inf), torch.tensor([0, 1]), r"all -inf in rows 0, 1 \(2 of 2\)"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused(logits, labels, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        Predictor(TREE, score="mean")(logits, labels)


@pytest.mark.parametrize("batches", [[], [(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))]])
def test_no_samples_have_no_accuracy(batches: list[tuple[Tensor, Tensor]]) -> None:
    with pytest.raises(InputError, match="without a sample"):
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
