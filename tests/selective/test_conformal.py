import math
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.shapes import balanced, flat
from nbdt.rules import TreeLayout
from nbdt.selective import (
    above_rounding,
    calibration_scores,
    is_valid,
    stop,
    superclass,
    threshold,
)
from nbdt.selective.conformal import ROUNDING, common_ancestor, set_scores
from tests.selective import oracle
from tests.strategies import caterpillar, random_hierarchy

THING = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
LAYOUT = TreeLayout(THING)


# ── against the naive version ─────────────────────────────────────────────────────────────────


@given(oracle.samples())
def test_scores_are_those_of_the_definition(drawn):
    tree, rows, labels = drawn
    expected = [
        oracle.score(tree, row, label)
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True)
    ]
    found = calibration_scores(rows, labels, TreeLayout(tree))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


@given(oracle.samples(), st.floats(0, 1))
def test_answers_are_those_of_the_definition(drawn, t):
    tree, rows, _ = drawn
    nodes = [oracle.probability(tree, row, v) for row in rows.tolist() for v in range(len(tree))]
    assume(min(abs(p - t) for p in nodes) > 1e-9)
    expected = [oracle.answer(tree, row, t) for row in rows.tolist()]
    assert stop(rows, TreeLayout(tree), t).tolist() == expected


@given(
    st.lists(st.floats(0, 1) | st.just(-math.inf), min_size=1, max_size=120),
    st.sampled_from(["0.5", "0.55", "0.57", "0.7", "0.9", "0.95", "0.99"]),
)
def test_thresholds_are_those_of_the_definition(scores, guarantee):
    share = Fraction(guarantee)
    if len(scores) < share / (1 - share):
        with pytest.raises(InputError, match="calibration samples, got"):
            threshold(torch.tensor(scores), float(guarantee))
    else:
        found = threshold(torch.tensor(scores, dtype=torch.float64), float(guarantee))
        assert found == oracle.threshold(scores, guarantee)


@given(oracle.samples())
def test_superclasses_are_the_second_nodes_of_the_paths(drawn):
    tree, rows, _ = drawn
    expected = [tree.path(oracle.likeliest(row))[1] for row in rows.tolist()]
    assert superclass(rows, TreeLayout(tree)).tolist() == expected


# ── what the proof stands on, to the last bit ─────────────────────────────────────────────────


@given(oracle.samples(dtype=torch.float32))
def test_an_answer_is_valid_just_if_the_score_does_not_exceed_the_threshold(drawn):
    tree, rows, labels = drawn
    layout = TreeLayout(tree)
    scores = calibration_scores(rows, labels, layout)
    assert is_valid(stop(rows, layout, scores), labels, layout).all()
    wrong = scores > -math.inf
    below = torch.nextafter(scores, torch.tensor(-math.inf, dtype=torch.float64))
    assert not is_valid(stop(rows, layout, below), labels, layout)[wrong].any()


@given(oracle.samples(dtype=torch.float32), st.integers(0, 2**32))
def test_other_rounding_leads_no_sample_past_the_threshold(drawn, seed):
    tree, rows, labels = drawn
    layout = TreeLayout(tree)
    generator = torch.Generator().manual_seed(seed)
    noise = (2 * torch.rand(rows.shape, generator=generator) - 1) * ROUNDING
    # Most of what float32 is to decide: all other classes just a little less likely.
    noise = torch.where(torch.rand(len(rows), 1, generator=generator) < 0.5, noise, -ROUNDING)
    other = rows.double() + noise
    other[torch.arange(len(rows)), rows.argmax(-1)] = rows.amax(-1).double()
    same = other.argmax(-1) == rows.argmax(-1)
    raised = [above_rounding(t) for t in calibration_scores(rows, labels, layout).tolist()]
    answers = stop(other, layout, torch.tensor(raised, dtype=torch.float64))
    assert is_valid(answers, labels, layout)[same].all()


@pytest.mark.parametrize("t", [0.0, 0.3, 0.999, 1 - 1e-12, 1.0])
def test_thresholds_are_raised_by_next_to_nothing(t):
    assert t < above_rounding(t) <= t + 1.01 * ROUNDING * (1 - t) + 1e-15


def test_the_last_bits_of_a_network_do_not_matter():
    """As where the same sample is in a batch of 64 once and alone another time."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(300, 500), torch.nn.Tanh(), torch.nn.Linear(500, 40)
    )
    inputs = 10 * torch.randn(256, 300)
    layout = TreeLayout(balanced(40))
    with torch.no_grad():
        together = network(inputs).log_softmax(-1)
        alone = torch.cat([network(row[None]) for row in inputs]).log_softmax(-1)
    assert not torch.equal(together, alone)
    assert (together - alone).abs().max() < ROUNDING
    scores = calibration_scores(together, torch.arange(256) % 40, layout)
    t = torch.tensor([above_rounding(s) for s in scores.tolist()], dtype=torch.float64)
    valid = is_valid(stop(alone, layout, t), torch.arange(256) % 40, layout)
    assert valid.all()


# ── properties ────────────────────────────────────────────────────────────────────────────────


@given(oracle.samples(), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_higher_thresholds_give_answers_higher_up(drawn, two):
    tree, rows, _ = drawn
    low, high = (stop(rows, TreeLayout(tree), t).tolist() for t in sorted(two))
    assert all(tree.is_ancestor(up, down) for up, down in zip(high, low, strict=True))


@given(
    st.lists(st.floats(0, 1), min_size=99, max_size=150),
    st.lists(st.sampled_from([0.01, 0.3, 0.5, 0.9, 0.95, 0.99]), min_size=2, max_size=2),
)
def test_thresholds_rise_with_the_guarantee(scores, two):
    low, high = (threshold(torch.tensor(scores), guarantee) for guarantee in sorted(two))
    assert low <= high


@given(oracle.samples(), st.sampled_from([1.0, 2.0, math.inf]))
def test_the_root_always_qualifies(drawn, t):
    tree, rows, _ = drawn
    assert stop(rows, TreeLayout(tree), t).tolist() == [tree.root] * len(rows)


@given(oracle.samples())
def test_without_a_threshold_the_likeliest_class_is_the_answer(drawn):
    tree, rows, _ = drawn
    assert stop(rows, TreeLayout(tree), -math.inf).tolist() == rows.argmax(-1).tolist()


def test_of_equals_the_first_class_is_the_likeliest():
    rows = torch.tensor([[0.4, 0.4, 0.2]]).log()
    assert stop(rows, LAYOUT, 0.1).item() == 0
    assert calibration_scores(rows, torch.tensor([0]), LAYOUT).item() == -math.inf
    assert calibration_scores(rows, torch.tensor([1]), LAYOUT).item() == pytest.approx(0.4)


def test_a_probability_that_equals_the_threshold_is_not_enough():
    rows = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    p = [1 - (row.exp().sum() - row.exp()[0]).item() for row in rows]
    assert stop(rows, LAYOUT, p[0]).item() == 3
    assert stop(rows, LAYOUT, math.nextafter(p[0], 0)).item() == 0


def test_certainties_are_told_apart_where_float32_knows_no_difference():
    """Both probabilities are 1 in float32; what lies outside is not the same."""
    logits = torch.tensor([[30.0, 0.0, 0.0], [25.0, 0.0, 0.0]])
    rows = logits.log_softmax(-1)
    assert rows[0, 0] == rows[1, 0] == 0
    sure, less = calibration_scores(rows, torch.tensor([1, 1]), LAYOUT).tolist()
    assert less < sure < 1
    assert 1 - sure == pytest.approx(2 * math.exp(-30), rel=1e-3)


@pytest.mark.parametrize("tree", [caterpillar(1000), flat(1000), random_hierarchy(1000, 3)])
def test_a_thousand_classes_in_any_tree(tree):
    rows, labels = oracle.log_probs(20, 1000, 5), oracle.labels(20, 1000, 5)
    layout = TreeLayout(tree)
    expected = [
        oracle.score(tree, row, label)
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True)
    ]
    np.testing.assert_allclose(calibration_scores(rows, labels, layout).numpy(), expected)
    answers = [oracle.answer(tree, row, 0.61) for row in rows.tolist()]
    assert stop(rows, layout, 0.61).tolist() == answers


def test_no_samples_no_answers():
    assert stop(torch.empty(0, 3), LAYOUT, 0.5).tolist() == []
    assert calibration_scores(torch.empty(0, 3), torch.empty(0).long(), LAYOUT).tolist() == []


# ── the guarantee, by simulation ──────────────────────────────────────────────────────────────


def drawn_samples(count, tree, seed, noise=2.0):
    """A classifier that is often wrong, and more so for some samples: (log-probs, labels)."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, tree.num_classes, count)
    logits = generator.normal(0, noise, (count, tree.num_classes))
    logits[np.arange(count), labels] += generator.exponential(3, count)
    return torch.from_numpy(logits).log_softmax(-1), torch.from_numpy(labels)


@pytest.mark.parametrize(("n", "guarantee"), [(19, 0.9), (24, 0.9), (19, 0.95), (9, 0.8)])
def test_the_guarantee_holds_and_is_tight(n, guarantee):
    """Of scores that all differ, the last is in k of n + 1 cases at most the k-th of the others."""
    draws = 6000
    tree = balanced(8)
    layout = TreeLayout(tree)
    rows, labels = drawn_samples(draws * (n + 1), tree, seed=n)
    scores = calibration_scores(rows, labels, layout).view(draws, n + 1)
    assert 0.3 < (scores == -math.inf).double().mean() < 0.75
    t = torch.tensor([threshold(own[:n], guarantee) for own in scores], dtype=torch.float64)
    last = torch.arange(draws) * (n + 1) + n
    answers = stop(rows[last], layout, t)
    right = int(is_valid(answers, labels[last], layout).sum())
    exactly = math.ceil((n + 1) * Fraction(str(guarantee))) / (n + 1)
    assert binom.ppf(1e-6, draws, exactly) <= right <= binom.ppf(1 - 1e-6, draws, exactly)
    assert exactly >= guarantee


def test_the_guarantee_holds_where_scores_tie():
    """Rounded to a few values, as by a network that is always sure of itself."""
    draws, n, guarantee = 4000, 19, 0.9
    tree = balanced(8)
    layout = TreeLayout(tree)
    rows, labels = drawn_samples(draws * (n + 1), tree, seed=3)
    rows = (rows * 0.4).round().log_softmax(-1)
    scores = calibration_scores(rows, labels, layout).view(draws, n + 1)
    t = torch.tensor([threshold(own[:n], guarantee) for own in scores], dtype=torch.float64)
    last = torch.arange(draws) * (n + 1) + n
    right = int(is_valid(stop(rows[last], layout, t), labels[last], layout).sum())
    assert right >= binom.ppf(1e-6, draws, guarantee)


# ── what is refused ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.tensor([[3.0, 1.0, 0.0]]), "whose exp\\(\\) sums to 1"),
        (torch.full((1, 3), math.nan), "whose exp\\(\\) sums to 1"),
        (torch.zeros(1, 4), r"of shape \(batch, 3\), got torch.float32 of shape \(1, 4\)"),
        (torch.zeros(3), r"got torch.float32 of shape \(3,\)"),
        (torch.zeros(1, 3).long(), "got torch.int64"),
        ([[0.0, 0.0, 0.0]], "got a list"),
    ],
)
def test_what_are_no_log_probabilities_is_refused(rows, said):
    with pytest.raises(InputError, match=said):
        stop(rows, LAYOUT, 0.5)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.tensor([3]), "a label is 3; with 3 classes labels go from 0 to 2"),
        (torch.tensor([-1]), "a label is -1; with 3 classes"),
        (torch.tensor([0.0]), "got torch.float32"),
        (torch.tensor([True]), "got torch.bool"),
        (torch.tensor([0, 1]), r"of shape \(1,\), one per sample; got torch.int64 of shape \(2,\)"),
        (0, "got 0"),
    ],
)
def test_what_are_no_labels_is_refused(labels, said):
    with pytest.raises(InputError, match=said):
        calibration_scores(torch.tensor([[0.5, 0.25, 0.25]]).log(), labels, LAYOUT)


def test_a_tree_is_no_layout():
    with pytest.raises(InputError, match=r"got a Hierarchy: TreeLayout\(tree\) makes one of it"):
        stop(torch.tensor([[0.5, 0.25, 0.25]]).log(), THING, 0.5)


@pytest.mark.parametrize("guarantee", [0, 1, 0.0, 1.0, -0.1, 1.5, math.nan, "0.9", None, True])
def test_what_is_no_guarantee_is_refused(guarantee):
    with pytest.raises(InputError, match="share between 0 and 1, such as"):
        threshold(torch.zeros(100), guarantee)


@pytest.mark.parametrize(("guarantee", "least"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1)])
def test_too_few_samples_are_refused(guarantee, least):
    scores = torch.arange(float(least))
    assert threshold(scores, guarantee) == least - 1
    with pytest.raises(InputError, match=f"needs at least {least} .* got {least - 1}"):
        threshold(scores[1:], guarantee)


@pytest.mark.parametrize("scores", [[0.5] * 99, torch.zeros(9, 9), torch.full((99,), math.nan)])
def test_what_are_no_scores_is_refused(scores):
    with pytest.raises(InputError, match="scores must be a tensor of numbers in a row, got"):
        threshold(scores, 0.9)


def test_there_is_one_threshold_or_one_a_sample():
    rows = torch.tensor([[0.5, 0.25, 0.25]]).log().expand(3, 3)
    with pytest.raises(InputError, match=r"one per sample; got torch.float64 of shape \(2,\)"):
        stop(rows, LAYOUT, torch.tensor([0.5, 0.5]))


# ── conformal sets ────────────────────────────────────────────────────────────────────────────


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


def test_sets_keep_the_guarantee():
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
