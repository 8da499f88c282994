"""A tree beside its controls, against plain counting."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from nbdt.errors import InputError
from nbdt.evaluation import controls
from nbdt.evaluation.controls import ControlCounter
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import TreeLayout, hard_predict
from tests.evaluation.oracle import counted, samples, walks

TREE = shapes.random(8, branching=3, seed=3)


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_it_counts_the_hard_answers_of_every_tree(score) -> None:  # type: ignore[no-untyped-def]
    logits, labels = samples(TREE, 60)
    random, shuffled = counted(ControlCounter(TREE, trees=4, seed=5), logits, labels, score)
    assert (random.kind, shuffled.kind) == ("random trees", "shuffled leaves")

    def right(tree: Hierarchy) -> np.ndarray:
        answers = [walk.answer for walk in walks(logits, tree, score, "hard")]
        return np.equal(answers, labels.numpy())

    own = right(TREE)
    for found, trees in (
        (random, [shapes.random(8, branching(TREE), seed=5 + i) for i in range(4)]),
        (shuffled, [controls._shuffled(TREE, 5 + i) for i in range(4)]),
    ):
        others = np.array([right(tree) for tree in trees])
        assert (found.samples, found.correct) == (60, own.sum())
        assert found.control_correct == tuple(others.sum(1))
        assert found.better_than == sum(others.sum(1) < own.sum())
        assert found.gain == pytest.approx(own.mean() - others.mean())
        squared = np.var(own - others.mean(0), ddof=1) / 60 + np.var(others.mean(1), ddof=1) / 4
        width = student.ppf(0.975, 3) * np.sqrt(squared)
        assert found.interval == pytest.approx((found.gain - width, found.gain + width))


def branching(tree: Hierarchy) -> int:
    return round(np.mean([len(tree.children(node)) for node in tree.inner]))


def test_shuffled_trees_keep_the_shape() -> None:
    trees = [controls._shuffled(TREE, seed) for seed in range(6)]
    assert len({tuple(tree.parents) for tree in trees}) > 1
    for tree in trees:
        assert tree.classes == TREE.classes
        assert list(tree.parents[8:]) == list(TREE.parents[8:])
        for node in tree.inner:
            assert len(tree.children(node)) == len(TREE.children(node))


def test_a_tree_of_what_is_alike_is_better() -> None:
    """Pairs that are mistaken for each other: only their own tree can say which pair it is."""
    tree = shapes.balanced(16)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(16, (400,), generator=generator)
    alike = torch.tensor([[(a // 2 == b // 2) + (a // 8 == b // 8) for b in range(16)]
                          for a in range(16)], dtype=torch.float64)  # fmt: skip
    logits = 2 * alike[labels] + torch.randn(400, 16, generator=generator, dtype=torch.float64)
    logits[torch.arange(400), labels] += 2.5
    for found in counted(ControlCounter(tree), logits, labels, "mean"):
        assert found.is_better
        assert found.better_than == 10
    # A tree that puts pairs apart at the root is not, whatever its even shape alone is worth.
    apart = [int(f"{one:04b}"[::-1], 2) for one in range(16)]
    parents = [*tree.parents[:16][apart].tolist(), *tree.parents[16:].tolist()]
    counter = ControlCounter(Hierarchy(parents, tree.classes))
    random, shuffled = counted(counter, logits, labels, "mean")
    assert random.is_better
    assert not shuffled.is_better


def test_the_interval_holds_the_gain_of_many_trees() -> None:
    """95 % of intervals should hold it; with 30 of them, hardly fewer than 25 do."""
    logits, labels = samples(TREE, 3000, seed=9)
    layouts = [TreeLayout(controls._shuffled(TREE, 1000 + i)) for i in range(200)]
    right = [(hard_predict(logits, one, "mean") == labels).double().mean() for one in layouts]
    own = (hard_predict(logits, TreeLayout(TREE), "mean") == labels).double().mean()
    truth = (own - torch.stack(right).mean()).item()
    held = 0
    for place in range(30):
        counter, rows = (
            ControlCounter(TREE, trees=5, seed=100 * place),
            slice(50 * place, 50 * place + 50),
        )
        low, high = counted(counter, logits[rows], labels[rows], "mean")[1].interval
        held += low <= truth <= high
    assert held >= 25


@pytest.mark.parametrize("tree", [shapes.balanced(2), shapes.flat(5)], ids=["pair", "flat"])
def test_where_all_trees_are_one_none_is_better(tree: Hierarchy) -> None:
    logits, labels = samples(tree, 40)
    for found in counted(ControlCounter(tree, trees=2), logits, labels):
        assert (found.gain, found.interval, found.is_better) == (0, (0, 0), False)


def test_it_can_be_stored() -> None:
    found = counted(ControlCounter(TREE, trees=2), *samples(TREE, 10))
    document = json.loads(json.dumps(found[0].to_dict()))
    assert (document["kind"], document["trees"], document["samples"]) == ("random trees", 2, 10)
    assert document["gain"] == pytest.approx(document["accuracy"] - document["control_accuracy"])


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="trees must be an integer ≥ 2; got 1"):
        ControlCounter(TREE, trees=1)
    with pytest.raises(InputError, match="seed must be an integer ≥ 0; got -1"):
        ControlCounter(TREE, seed=-1)
    with pytest.raises(InputError, match="at least two samples; got 0"):
        ControlCounter(TREE).compute()
