import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.explain import Decision, Explanation, FeatureGeometry, explain_logits
from nbdt.hierarchy import Hierarchy
from nbdt.rules import TreeLayout, hard_predict, soft_log_probs
from tests.explain.samples import RULES, SCORES, THING, random_logits
from tests.strategies import caterpillar, hierarchies, random_hierarchy

seeds = st.integers(0, 2**32 - 1)
trees = hierarchies(max_classes=15, heights=False, attributes=False)
scores = st.sampled_from(SCORES)
rules = st.sampled_from(RULES)


# ── the oracle: definitions read off DESIGN's mathematics, recursive, in float64 ──────────────────


@dataclass
class Oracle:
    """One sample under one score, by the definitions."""

    tree: Hierarchy
    logits: Sequence[float]
    score: str

    def logits_under(self, node: int) -> list[float]:
        if self.tree.is_leaf(node):
            return [self.logits[node]]
        return [z for child in self.tree.children(node) for z in self.logits_under(child)]

    def node_score(self, node: int) -> float:
        under = [z for z in self.logits_under(node) if z > -math.inf]
        if not under:
            return -math.inf
        if self.score == "mean":
            return math.fsum(under) / len(under)
        top = max(under)
        return top + math.log(math.fsum(math.exp(z - top) for z in under))

    def decision(self, node: int) -> list[float]:
        """The probability of each child."""
        values = [self.node_score(child) for child in self.tree.children(node)]
        if max(values) == -math.inf:
            return [0.0] * len(values)
        weights = [math.exp(value - max(values)) for value in values]
        return [weight / math.fsum(weights) for weight in weights]

    def leaf_probabilities(self) -> list[float]:
        shares = {self.tree.root: 1.0}
        for node in self.tree.preorder():
            for child, p in zip(self.tree.children(node), self.decision_or_leaf(node), strict=True):
                shares[child] = shares[node] * p
        return [shares[leaf] for leaf in range(self.tree.num_classes)]

    def decision_or_leaf(self, node: int) -> list[float]:
        return [] if self.tree.is_leaf(node) else self.decision(node)

    def greedy_leaf(self) -> int:
        node = self.tree.root
        while not self.tree.is_leaf(node):
            values = [self.node_score(child) for child in self.tree.children(node)]
            node = self.tree.children(node)[values.index(max(values))]
        return node

    def margin(self, node: int, child: int) -> float:
        others = [self.node_score(c) for c in self.tree.children(node) if c != child]
        return self.node_score(child) - max(others)

    def entropy(self, node: int) -> float:
        shares = self.decision(node)
        return -math.fsum(p * math.log(p) for p in shares if p > 0) / math.log(len(shares))


def check(explanation: Explanation, oracle: Oracle, rule: str, tolerance: float = 1e-9) -> None:
    """Compares every part of an explanation with the oracle's; ties go either way."""
    tree, shares = oracle.tree, oracle.leaf_probabilities()
    prediction = explanation.prediction
    if rule == "soft":
        assert shares[prediction] == pytest.approx(max(shares), abs=tolerance)
    else:
        assert prediction == oracle.greedy_leaf()
    others = [share for leaf, share in enumerate(shares) if leaf != prediction]
    assert explanation.runner_up != prediction
    assert shares[explanation.runner_up] == pytest.approx(max(others), abs=tolerance)
    assert explanation.runner_up_probability == pytest.approx(max(others), abs=tolerance)
    assert explanation.diverges_at == tree.lca(prediction, explanation.runner_up)
    assert explanation.probability == pytest.approx(shares[prediction], abs=tolerance)
    assert explanation.prediction_name == tree.name(prediction)
    assert explanation.runner_up_name == tree.name(explanation.runner_up)
    assert explanation.diverges_at_name == tree.name(explanation.diverges_at)
    assert (explanation.score, explanation.rule) == (oracle.score, rule)

    route = tree.path(prediction)
    assert tuple(step.node for step in explanation.path) == route[:-1]
    assert tuple(step.child for step in explanation.path) == route[1:]
    for step in explanation.path:
        check_decision(step, oracle, tolerance)


def check_decision(step: Decision, oracle: Oracle, tolerance: float) -> None:
    tree = oracle.tree
    assert step.children == tree.children(step.node)
    assert step.node_name == tree.name(step.node)
    assert step.children_names == tuple(tree.name(child) for child in step.children)
    assert step.probabilities == pytest.approx(oracle.decision(step.node), abs=tolerance)
    assert math.fsum(step.probabilities) == pytest.approx(1, abs=1e-12)
    assert step.probability == step.probabilities[step.children.index(step.child)]
    # Logits of up to 1e4 leave float64 a margin to 1e-12 of that.
    margin = oracle.margin(step.node, step.child)
    assert step.margin == pytest.approx(margin, rel=max(tolerance, 1e-9), abs=10 * tolerance)
    assert 0 <= step.entropy <= 1
    assert step.entropy == pytest.approx(oracle.entropy(step.node), abs=100 * tolerance)


# ── against the oracle ────────────────────────────────────────────────────────────────────────────


@settings(max_examples=80)
@given(trees, seeds, scores, rules, st.sampled_from([0.01, 1.0, 5.0, 100.0]))
def test_every_sample_is_explained_as_the_definitions_say(tree, seed, score, rule, scale):
    logits = random_logits(3, tree.num_classes, seed, scale)
    found = explain_logits(logits, TreeLayout(tree), score=score, rule=rule)
    assert len(found) == 3
    for explanation, row in zip(found, logits.tolist(), strict=True):
        check(explanation, Oracle(tree, row, score), rule)
        assert explanation.network_prediction == row.index(max(row))
        assert explanation.network_prediction_name == tree.name(row.index(max(row)))


@settings(max_examples=60)
@given(trees, seeds, scores, rules, st.data())
def test_masked_classes_have_no_part(tree, seed, score, rule, data):
    kept = data.draw(st.sets(st.integers(0, tree.num_classes - 1), min_size=1))
    logits = random_logits(2, tree.num_classes, seed)
    logits[0, [leaf for leaf in range(tree.num_classes) if leaf not in kept]] = -math.inf
    found = explain_logits(logits, TreeLayout(tree), score=score, rule=rule)
    assert found[0].prediction in kept
    for explanation, row in zip(found, logits.tolist(), strict=True):
        check(explanation, Oracle(tree, row, score), rule)


@settings(max_examples=40)
@given(trees, seeds, scores, st.data())
def test_ties_go_to_the_lower_id(tree, seed, score, data):
    row = data.draw(
        st.lists(st.integers(0, 2), min_size=tree.num_classes, max_size=tree.num_classes)
    )
    logits = torch.tensor([row], dtype=torch.float64)
    [soft] = explain_logits(logits, TreeLayout(tree), score=score)
    assert soft.network_prediction == row.index(max(row))
    assert soft.runner_up_probability <= soft.probability
    check(soft, Oracle(tree, row, score), "soft")
    # Every child of equal leaves is worth the same under mean, so the lowest is taken.
    [hard] = explain_logits(torch.zeros(1, len(row)), TreeLayout(tree), score="mean", rule="hard")
    assert all(step.child == step.children[0] for step in hard.path)
    assert all(step.margin == 0 and step.entropy == 1 for step in hard.path)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_types_are_explained_to_float32(dtype, score, rule):
    tree = random_hierarchy(40, seed=1, branching=4)
    logits = random_logits(4, 40, seed=1).to(dtype)
    for explanation, row in zip(
        explain_logits(logits, TreeLayout(tree), score=score, rule=rule),
        logits.tolist(),
        strict=True,
    ):
        check(explanation, Oracle(tree, row, score), rule, tolerance=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("score", SCORES)
def test_extreme_logits_stay_finite(score, rule):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]])
    for explanation, row in zip(
        explain_logits(logits, TreeLayout(THING), score=score, rule=rule),
        logits.tolist(),
        strict=True,
    ):
        # A sum near 1e4 is known to 1e-3 in float32.
        check(explanation, Oracle(THING, row, score), rule, tolerance=1e-3)
        assert all(math.isfinite(step.margin) for step in explanation.path)


def test_a_large_tree_with_every_rule():
    tree = random_hierarchy(1000, seed=5, branching=3)
    logits = random_logits(5, 1000, seed=5)
    for score in SCORES:
        for rule in RULES:
            found = explain_logits(logits, TreeLayout(tree), score=score, rule=rule)
            for explanation, row in zip(found, logits.tolist(), strict=True):
                check(explanation, Oracle(tree, row, score), rule)


def test_the_deepest_tree():
    tree = caterpillar(120)
    logits = random_logits(2, 120, seed=2)
    found = explain_logits(logits, TreeLayout(tree), rule="hard")
    for explanation, row in zip(found, logits.tolist(), strict=True):
        check(explanation, Oracle(tree, row, "logsumexp"), "hard")


# ── properties ────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60)
@given(trees, seeds, scores)
def test_the_probability_is_the_product_of_the_path_and_the_rules_own(tree, seed, score):
    logits, layout = random_logits(2, tree.num_classes, seed).float(), TreeLayout(tree)
    log_probs = soft_log_probs(logits, layout, score)
    for row, explanation in enumerate(explain_logits(logits, layout, score=score)):
        assert explanation.probability == math.prod(s.probability for s in explanation.path)
        assert explanation.prediction == int(log_probs[row].argmax())
        for leaf, probability in (
            (explanation.prediction, explanation.probability),
            (explanation.runner_up, explanation.runner_up_probability),
        ):
            assert probability == pytest.approx(float(log_probs[row, leaf].exp()), abs=1e-6)


@settings(max_examples=60)
@given(trees, seeds, scores)
def test_a_hard_path_leads_where_hard_predict_does_and_is_never_contrary(tree, seed, score):
    logits, layout = random_logits(3, tree.num_classes, seed).float(), TreeLayout(tree)
    found = explain_logits(logits, layout, score=score, rule="hard")
    assert [e.prediction for e in found] == hard_predict(logits, layout, score).tolist()
    for step in (step for explanation in found for step in explanation.path):
        assert not step.contrary
        assert step.probability == max(step.probabilities)


def test_a_soft_path_that_goes_against_a_decision_says_so():
    # The root leans to the animals, but they share what they have.
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    logits = torch.tensor([[1.0, 1.0, 1.3]])
    [explanation] = explain_logits(logits, TreeLayout(tree), score="logsumexp")
    assert explanation.prediction_name == "car"
    assert [step.contrary for step in explanation.path] == [True]
    assert explanation.path[0].margin == pytest.approx(1.3 - (1 + math.log(2)), abs=1e-6)


@settings(max_examples=40)
@given(trees, seeds, scores, rules)
def test_permuting_the_classes_permutes_the_explanation(tree, seed, score, rule):
    classes = tree.num_classes
    to_new = np.random.default_rng(seed).permutation(classes)
    new_of = np.concatenate([to_new, np.arange(classes, len(tree))])
    parents, names = [0] * len(tree), [""] * len(tree)
    for node in range(len(tree)):
        parents[new_of[node]] = tree.parent(node)
        names[new_of[node]] = tree.names[node]
    logits = random_logits(2, classes, seed)
    permuted = torch.empty_like(logits)
    permuted[:, to_new] = logits

    before = explain_logits(logits, TreeLayout(tree), score=score, rule=rule)
    layout = TreeLayout(Hierarchy(parents, names))
    after = explain_logits(permuted, layout, score=score, rule=rule)
    for old, new in zip(before, after, strict=True):
        assert new.prediction == to_new[old.prediction]
        assert new.network_prediction == to_new[old.network_prediction]
        assert new.runner_up == to_new[old.runner_up]
        assert new.diverges_at == old.diverges_at
        assert new.prediction_name == old.prediction_name
        for step_before, step_after in zip(old.path, new.path, strict=True):
            assert step_after.child == new_of[step_before.child]
            shares = dict(zip(step_after.children, step_after.probabilities, strict=True))
            for child in step_before.children:
                expected = step_before.probability_of(child)
                assert shares[new_of[child]] == pytest.approx(expected, abs=1e-9)
            assert step_after.margin == pytest.approx(step_before.margin, abs=1e-9)


@settings(max_examples=40)
@given(trees, seeds, scores, rules)
def test_each_sample_of_a_batch_has_its_own_numbers(tree, seed, score, rule):
    logits, layout = random_logits(5, tree.num_classes, seed), TreeLayout(tree)
    together = explain_logits(logits, layout, score=score, rule=rule)
    for row, explanation in zip(logits, together, strict=True):
        [alone] = explain_logits(row[None], layout, score=score, rule=rule)
        assert alone.prediction == explanation.prediction
        assert alone.runner_up == explanation.runner_up
        for one, other in zip(alone.path, explanation.path, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-9)
            assert one.margin == pytest.approx(other.margin, abs=1e-9)


# ── distances in feature space ────────────────────────────────────────────────────────────────────


@settings(max_examples=40)
@given(trees, seeds, rules)
def test_feature_distance_is_the_way_to_the_nearest_border(tree, seed, rule):
    generator = np.random.default_rng(seed)
    rows, biases = generator.normal(0, 1, (tree.num_classes, 6)), generator.normal(0, 1)
    features = generator.normal(0, 2, (2, 6))
    logits = torch.from_numpy(features @ rows.T + biases)
    geometry = FeatureGeometry(tree, rows)
    for explanation, row in zip(
        explain_logits(logits, TreeLayout(tree), score="mean", rule=rule, geometry=geometry),
        logits.tolist(),
        strict=True,
    ):
        oracle = Oracle(tree, row, "mean")
        for step in explanation.path:
            mine = rows[list(tree.leaves(step.child))].mean(axis=0)
            ways = []
            for sibling in set(step.children) - {step.child}:
                theirs = rows[list(tree.leaves(sibling))].mean(axis=0)
                lead = oracle.node_score(step.child) - oracle.node_score(sibling)
                ways.append(lead / np.linalg.norm(mine - theirs))
            assert step.feature_distance == pytest.approx(min(ways), rel=1e-6, abs=1e-9)


def test_moving_the_features_that_far_reaches_the_border():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    features = torch.tensor([[2.0, 0.5]], dtype=torch.float64)
    geometry, layout = FeatureGeometry(THING, rows), TreeLayout(THING)
    [explanation] = explain_logits(features @ rows.T, layout, score="mean", geometry=geometry)
    cat_over_dog = explanation.path[-1]
    assert (cat_over_dog.node_name, cat_over_dog.child_name) == ("animal", "cat")
    direction = (rows[1] - rows[0]) / (rows[1] - rows[0]).norm()
    moved = (features + cat_over_dog.feature_distance * direction) @ rows.T
    assert float(moved[0, 0] - moved[0, 1]) == pytest.approx(0, abs=1e-9)


def test_feature_distance_is_none_where_it_is_not_defined():
    geometry = FeatureGeometry(THING, torch.eye(3))
    layout, logits = TreeLayout(THING), torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, -math.inf]])

    def distances(**options: object) -> list[list[float | None]]:
        found = explain_logits(logits, layout, **options)  # type: ignore[arg-type]
        return [[step.feature_distance for step in explanation.path] for explanation in found]

    absent = [[None, None], [None, None]]
    assert distances(score="mean") == absent
    assert distances(score="logsumexp", geometry=geometry) == absent
    # A masked class is left out of the mean, so the row with one has no linear score.
    first, second = distances(score="mean", geometry=geometry)
    assert first == pytest.approx([2 / math.sqrt(1.5), 2 / math.sqrt(2)], rel=1e-6)
    assert second == [None, None]


def test_feature_distance_passes_over_siblings_that_no_movement_tells_apart():
    tree = Hierarchy([3, 3, 3, -1], ["cat", "twin", "dog"])
    geometry = FeatureGeometry(tree, [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    [explanation] = explain_logits(
        torch.tensor([[3.0, 2.0, 1.0]]), TreeLayout(tree), score="mean", geometry=geometry
    )
    assert explanation.path[0].feature_distance == pytest.approx(2.0)
    alike = FeatureGeometry(tree, [[1.0, 0.0]] * 3)
    [explanation] = explain_logits(
        torch.tensor([[3.0, 2.0, 1.0]]), TreeLayout(tree), score="mean", geometry=alike
    )
    assert explanation.path[0].feature_distance is None


# ── the edges ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("score", SCORES)
def test_an_empty_batch_has_no_explanations(score, rule):
    geometry = FeatureGeometry(THING, torch.eye(3))
    logits = torch.empty(0, 3)
    assert explain_logits(logits, TreeLayout(THING), score=score, rule=rule) == []
    assert explain_logits(logits, TreeLayout(THING), score="mean", geometry=geometry) == []


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_one_class_left_still_has_a_runner_up(kept):
    logits = torch.full((1, 3), -math.inf)
    logits[0, kept] = 1.5
    for rule in RULES:
        [explanation] = explain_logits(logits, TreeLayout(THING), rule=rule)
        assert (explanation.prediction, explanation.probability) == (kept, 1.0)
        assert explanation.runner_up == (1 if kept == 0 else 0)
        assert explanation.runner_up_probability == 0.0
        assert all(step.margin == math.inf for step in explanation.path)
        assert all(step.entropy == 0 for step in explanation.path)


def test_the_entropy_of_a_nearly_even_decision_is_not_above_one():
    tree = Hierarchy([7] * 7 + [-1], list("abcdefg"))
    logits = random_logits(400, 7, scale=1e-8)
    for explanation in explain_logits(logits, TreeLayout(tree)):
        assert 1 - 1e-12 < explanation.path[0].entropy <= 1


def test_gradients_are_left_alone():
    logits = torch.randn(2, 3, requires_grad=True)
    explain_logits(logits, TreeLayout(THING), score="mean")
    assert logits.grad is None


def test_text_and_children_are_shared_by_the_samples():
    first, second = explain_logits(torch.tensor([[3.0, 2.0, 1.0]] * 2), TreeLayout(THING))
    for one, other in zip(first.path, second.path, strict=True):
        assert one.children is other.children
        assert one.children_names is other.children_names
    assert first.runner_up_name is THING.names[1]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "hold NaN in rows 1, 3 (2 of 4); look for NaN in the input or the weights."),
        (math.inf, "hold +inf in rows 1, 3 (2 of 4); they must be finite, or -inf."),
    ],
)
def test_logits_that_hold_no_prediction_are_refused_by_row(value, reason):
    logits = torch.zeros(4, 3)
    logits[1, 2] = logits[3, 0] = value
    with pytest.raises(InputError) as error:
        explain_logits(logits, TreeLayout(THING))
    assert str(error.value) == f"the logits {reason}"


def test_rows_with_every_class_masked_are_refused_by_row():
    logits = torch.zeros(9, 3)
    logits[2] = -math.inf
    with pytest.raises(InputError, match=r"are all -inf in row 2 \(1 of 9\); leave one class"):
        explain_logits(logits, TreeLayout(THING))
    with pytest.raises(InputError, match=r"in rows 0, 1, 2, 3, 4, … \(9 of 9\)"):
        explain_logits(torch.full((9, 3), -math.inf), TreeLayout(THING))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        (torch.zeros(3), r"shape \(batch, 3\), .*; got \(3,\)"),
        (torch.zeros(2, 4), r"shape \(…, 3\); got \(2, 4\)"),
        (torch.zeros(1, 2, 3), r"shape \(batch, 3\), .*; got \(1, 2, 3\)"),
        (torch.zeros(2, 3, dtype=torch.int64), r"floating-point numbers; got torch\.int64"),
        ([[1.0, 2.0, 3.0]], "floating-point numbers; got a list"),
    ],
)
def test_what_is_no_batch_of_logits_is_refused(logits, reason):
    with pytest.raises(InputError, match=reason):
        explain_logits(logits, TreeLayout(THING))


@pytest.mark.usefixtures("unchecked")
def test_unknown_rules_scores_and_foreign_geometry_are_refused():
    layout, logits = TreeLayout(THING), torch.zeros(1, 3)
    with pytest.raises(InputError, match="rule must be 'soft' or 'hard', got 'both'"):
        explain_logits(logits, layout, rule="both")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="score must be 'logsumexp' or 'mean', got 'max'"):
        explain_logits(logits, layout, score="max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="TreeLayout, got Hierarchy"):
        explain_logits(logits, THING)  # type: ignore[arg-type]
    other = Hierarchy([3, 3, 3, -1], ["cat", "dog", "car"])
    with pytest.raises(InputError, match="another tree"):
        explain_logits(logits, layout, geometry=FeatureGeometry(other, torch.eye(3)))
