import math
from functools import reduce

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom

from nbdt.hierarchy.shapes import balanced
from nbdt.rules import TreeLayout
from nbdt.selective import is_valid, threshold
from nbdt.selective.conformal import common_ancestor, set_scores
from tests.selective import oracle
from tests.selective.test_functional import drawn_samples


@given(oracle.samples(), st.floats(0, 1))
def test_it_is_the_lowest_common_ancestor_of_the_set(drawn, t):
    tree, rows, _ = drawn
    assume((rows.exp() - (1 - t)).abs().min() > 1e-9)
    expected = []
    for row in rows.tolist():
        members = [leaf for leaf, log_p in enumerate(row) if math.exp(log_p) >= 1 - t]
        expected.append(reduce(tree.lca, members, oracle.likeliest(row)))
    assert common_ancestor(rows, TreeLayout(tree), t).tolist() == expected


@given(oracle.samples())
def test_the_set_holds_the_class_just_if_its_score_does_not_exceed_the_threshold(drawn):
    tree, rows, labels = drawn
    layout = TreeLayout(tree)
    for row, label, t in zip(rows, labels, set_scores(rows, labels, layout).tolist(), strict=True):
        answer = common_ancestor(row[None], layout, t)
        assert is_valid(answer, label[None], layout).all()


def test_it_keeps_the_guarantee():
    draws, n, guarantee = 3000, 19, 0.9
    layout = TreeLayout(balanced(8))
    rows, labels = drawn_samples(draws * (n + 1), layout.hierarchy, seed=1)
    scores = set_scores(rows, labels, layout).view(draws, n + 1)
    right = 0
    for own, block, true in zip(scores, rows.split(n + 1), labels.split(n + 1), strict=True):
        answer = common_ancestor(block[-1:], layout, threshold(own[:n], guarantee))
        right += int(is_valid(answer, true[-1:], layout))
    assert right >= binom.ppf(1e-6, draws, guarantee)


def test_an_empty_set_is_the_likeliest_class():
    rows = torch.tensor([[0.6, 0.3, 0.1]]).log()
    assert common_ancestor(rows, TreeLayout(balanced(3)), 0.0).tolist() == [0]
    assert set_scores(rows, torch.tensor([2]), TreeLayout(balanced(3))).item() == pytest.approx(0.9)
