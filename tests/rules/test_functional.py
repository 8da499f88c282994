"""Every rule against the naive oracle, and by properties on random trees."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from nbdt.errors import InputError, NBDTError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import reorder
from nbdt.rules import (
    Score,
    TreeLayout,
    decision_log_probs,
    functional,
    get_score,
    hard_predict,
    node_scores,
    soft_log_probs,
)
from tests.rules.oracle import answer
from tests.strategies import caterpillar, hierarchies, random_hierarchy

SCORES = ["mean", "logsumexp"]
RULES = [node_scores, decision_log_probs, soft_log_probs, hard_predict]


@pytest.fixture(params=["listed paths", "scan"])
def way(request, monkeypatch):
    """Every test that asks for it runs once by each of the two implementations."""
    if request.param == "scan":
        monkeypatch.setattr(functional, "_suits_bags", lambda *_: False)
    return request.param


def sample(seed, *shape, scale=3.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


def check(tree, logits, score, *, log_tolerance, probability_tolerance=None):
    """All four functions against the oracle, within DESIGN.md's bounds."""
    layout = TreeLayout(tree)
    results = [rule(logits, layout, score) for rule in RULES]
    scores, decisions, soft, hard = (result.double().numpy() for result in results)
    for row, values in enumerate(logits.double().numpy()):
        expected = answer(tree, values, score)
        assert np.allclose(scores[row], expected.scores, rtol=0, atol=log_tolerance)
        assert np.allclose(decisions[row], expected.decisions, rtol=0, atol=log_tolerance)
        assert np.allclose(soft[row], expected.soft, rtol=0, atol=log_tolerance)
        if probability_tolerance is not None:
            difference = np.abs(np.exp(soft[row]) - np.exp(expected.soft))
            assert difference.max() <= probability_tolerance
        if expected.margin > log_tolerance:
            assert hard[row] == expected.hard


@pytest.mark.parametrize("score", SCORES)
@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 3, 30]))
def test_equals_the_oracle_in_float64(tree, seed, scale, score):
    logits = sample(seed, 3, tree.num_classes, scale=scale, dtype=torch.float64)
    check(tree, logits, score, log_tolerance=1e-11)


@pytest.mark.parametrize("score", SCORES)
@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1))
def test_masked_classes_have_no_part(tree, seed, score):
    logits = sample(seed, 4, tree.num_classes, dtype=torch.float64)
    masked = torch.rand(logits.shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    masked[:, seed % tree.num_classes] = False
    check(tree, logits.masked_fill(masked, -math.inf), score, log_tolerance=1e-11)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("branching", [2, 7])
@pytest.mark.parametrize("scale", [3.0, 30.0, 1e4])
def test_equals_the_oracle_at_1000_classes(way, score, branching, scale):
    tree = random_hierarchy(1000, seed=1, branching=branching)
    logits = sample(2, 3, 1000, scale=scale).clamp(-1e4, 1e4)
    bound = 1e-5 * max(1.0, logits.abs().max().item())
    check(tree, logits, score, log_tolerance=bound, probability_tolerance=1e-6)
    assert torch.isfinite(soft_log_probs(logits, TreeLayout(tree), score)).all()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("offset", [60.0, -1e4])
def test_a_common_offset_costs_no_precision(way, score, offset):
    tree = random_hierarchy(100, seed=1)
    logits = sample(2, 3, 100) + offset
    bound = 1e-5 * abs(offset)
    check(tree, logits, score, log_tolerance=bound, probability_tolerance=1e-6)
    layout = TreeLayout(tree)
    decided = decision_log_probs(logits, layout, score).exp().double().numpy()
    for row, values in enumerate(logits.double().numpy()):
        difference = np.abs(decided[row] - np.exp(answer(tree, values, score).decisions))
        assert difference.max() <= 1e-6


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_float32(score, dtype):
    tree = random_hierarchy(50, seed=3, branching=4)
    logits = sample(4, 5, 50).to(dtype)
    check(tree, logits, score, log_tolerance=1e-4, probability_tolerance=1e-6)
    assert soft_log_probs(logits, TreeLayout(tree), score).dtype == torch.float32


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("tree", [caterpillar(400), random_hierarchy(3, 0), caterpillar(2)])
def test_extreme_shapes(score, tree):
    logits = sample(5, 3, tree.num_classes, dtype=torch.float64)
    check(tree, logits, score, log_tolerance=1e-10)


def test_a_near_chain_lists_no_paths():
    assert not TreeLayout(caterpillar(400)).has_paths
    assert TreeLayout(random_hierarchy(400, 0)).has_paths


def test_memory_stays_linear_in_a_near_chain():
    layout = TreeLayout(caterpillar(21_841))
    entries = sum(buffer.numel() for buffer in layout.buffers())
    assert entries < 100 * layout.num_nodes
    soft = soft_log_probs(sample(6, 2, 21_841), layout, "mean")
    assert torch.allclose(soft.exp().sum(-1), torch.ones(2), atol=1e-5)


@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1), score=st.sampled_from(SCORES))
def test_leaf_probabilities_sum_to_one(tree, seed, score):
    soft = soft_log_probs(sample(seed, 4, tree.num_classes, scale=20), TreeLayout(tree), score)
    assert torch.allclose(soft.exp().sum(-1), torch.ones(4), atol=1e-5)


@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1))
def test_logsumexp_is_the_networks_own_softmax(tree, seed):
    logits = sample(seed, 4, tree.num_classes, dtype=torch.float64)
    layout = TreeLayout(tree)
    decided = decision_log_probs(logits, layout, "logsumexp")
    for leaf in range(tree.num_classes):
        on_path = decided[:, list(tree.path(leaf))].sum(-1)
        assert torch.allclose(on_path, logits.log_softmax(-1)[:, leaf], atol=1e-12)
    assert torch.equal(soft_log_probs(logits, layout, "logsumexp"), logits.log_softmax(-1))


@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1), score=st.sampled_from(SCORES))
def test_permuting_the_classes_permutes_the_answer(tree, seed, score):
    logits = sample(seed, 4, tree.num_classes, dtype=torch.float64)
    order = np.random.default_rng(seed).permutation(tree.num_classes)
    permuted = reorder(tree, [tree.classes[i] for i in order])
    here = soft_log_probs(logits, TreeLayout(tree), score)[:, order]
    there = soft_log_probs(logits[:, order], TreeLayout(permuted), score)
    assert torch.allclose(here, there, atol=1e-12)


@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1), score=st.sampled_from(SCORES))
def test_adding_a_constant_changes_nothing(tree, seed, score):
    logits = sample(seed, 4, tree.num_classes, dtype=torch.float64)
    layout = TreeLayout(tree)
    shifted = soft_log_probs(logits + 1234.5, layout, score)
    assert torch.allclose(shifted, soft_log_probs(logits, layout, score), atol=1e-9)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("branching", [2, 5])
def test_ties_go_to_the_lower_id(way, score, branching):
    tree = random_hierarchy(60, seed=7, branching=branching)
    # All leaves equal: under `mean` every sibling ties; under `logsumexp` those of equal size do.
    reached = hard_predict(torch.zeros(1, 60), TreeLayout(tree), score).item()
    node = tree.root
    while not tree.is_leaf(node):
        sizes = {child: tree.sizes[child] for child in tree.children(node)}
        best = max(sizes.values()) if score == "logsumexp" else None
        node = min(c for c, size in sizes.items() if best is None or size == best)
    assert reached == node


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("rule", RULES)
def test_autocast_changes_nothing(way, rule, score):
    layout = TreeLayout(random_hierarchy(1000, seed=1))
    logits = sample(2, 8, 1000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rule(logits, layout, score)
    assert torch.equal(found, rule(logits, layout, score))


@pytest.mark.parametrize("score", SCORES)
def test_gradients_after_a_first_call_in_inference_mode(score):
    layout = TreeLayout(random_hierarchy(9, 1))
    logits = sample(3, 2, 9, dtype=torch.float64).requires_grad_()
    with torch.inference_mode():
        soft_log_probs(logits.detach(), layout, score)
    assert gradcheck(lambda z: soft_log_probs(z, layout, score), (logits,))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (0,), (2, 0, 3), (256,)])
def test_any_leading_shape(way, score, shape):
    tree = random_hierarchy(9, seed=8, branching=3)
    layout = TreeLayout(tree)
    logits = sample(9, *shape, 9)
    flat = logits.reshape(-1, 9)
    for rule in RULES:
        whole = rule(logits, layout, score)
        last = {node_scores: 1, decision_log_probs: 1, soft_log_probs: 1, hard_predict: 0}[rule]
        assert whole.shape[: whole.ndim - last] == shape
        one_by_one = [rule(row[None], layout, score)[0] for row in flat]
        if one_by_one:
            # Rows must be independent of what else is in the batch.
            assert torch.allclose(
                whole.reshape(len(flat), *whole.shape[whole.ndim - last :]).double(),
                torch.stack(one_by_one).double(),
                atol=1e-5,
            )


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("rule", RULES[:3])
def test_gradients(way, score, rule):
    for tree in [random_hierarchy(9, 1), random_hierarchy(9, 2, branching=4), caterpillar(5)]:
        layout = TreeLayout(tree)
        logits = sample(10, 3, 9 if tree.num_classes == 9 else 5, dtype=torch.float64)
        logits.requires_grad_()
        assert gradcheck(lambda z, layout=layout: rule(z, layout, score), (logits,))


@pytest.mark.parametrize("rule", RULES[:3])
def test_gradients_of_gradients(way, rule):
    layout = TreeLayout(random_hierarchy(9, 2, branching=3))
    logits = sample(10, 3, 9, dtype=torch.float64).requires_grad_()
    assert gradgradcheck(lambda z: rule(z, layout, "mean"), (logits,))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("rule", RULES[:3])
def test_function_transforms(rule, score):
    layout = TreeLayout(random_hierarchy(9, 2, branching=3))
    logits = sample(10, 4, 9, dtype=torch.float64)

    def total(z):
        return rule(z, layout, score)[..., 3].sum()

    assert torch.allclose(torch.func.vmap(lambda z: rule(z, layout, score))(logits),
                          rule(logits, layout, score))  # fmt: skip
    tracked = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(total(tracked), tracked)
    assert torch.allclose(torch.func.grad(total)(logits), expected)


@pytest.mark.parametrize("score", SCORES)
def test_gradients_of_masked_classes_are_finite(score):
    tree = random_hierarchy(12, seed=11, branching=3)
    masked = torch.zeros(12)
    masked[list(tree.leaves(tree.children(tree.root)[0]))] = -math.inf
    logits = sample(12, 2, 12).requires_grad_()
    soft = soft_log_probs(logits + masked, TreeLayout(tree), score)
    soft[:, torch.isfinite(masked)].sum().backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("score", SCORES)
def test_rows_with_nan_give_nan_and_leave_the_others_alone(score):
    tree = random_hierarchy(8, seed=13)
    layout = TreeLayout(tree)
    logits = sample(14, 3, 8)
    expected = soft_log_probs(logits, layout, score)
    logits[1, 2] = math.nan
    soft = soft_log_probs(logits, layout, score)
    assert torch.isnan(soft[1]).any()
    assert torch.allclose(soft[[0, 2]], expected[[0, 2]], atol=1e-5)


@pytest.mark.parametrize(
    ("logits", "score", "says"),
    [
        (torch.zeros(2, 4), "mean", "3 classes"),
        (torch.tensor(1.0), "mean", "3 classes"),
        (torch.zeros(2, 3, dtype=torch.long), "mean", "floating"),
        (torch.zeros(2, 3), "median", "median"),
        (np.zeros((2, 3)), "mean", "tensor of floating-point numbers; got an? ndarray"),
    ],
)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_sentence(rule, logits, score, says):
    layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["a", "b", "c"]))
    with pytest.raises(InputError, match=says) as caught:
        rule(logits, layout, score)
    assert isinstance(caught.value, NBDTError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.usefixtures("unchecked")
def test_a_tree_is_no_layout(rule):
    tree = random_hierarchy(3, 0)
    with pytest.raises(InputError, match="TreeLayout; got Hierarchy"):
        rule(torch.zeros(2, 3), tree, "mean")
    with pytest.raises(InputError, match="Hierarchy, got str"):
        TreeLayout("tree")


@pytest.mark.parametrize("name", SCORES)
def test_leaf_weights_are_the_gradient_of_the_score(name: str) -> None:
    score = get_score(name)
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    logits[0, 0, 1] = -torch.inf
    logits.requires_grad_()
    (expected,) = torch.autograd.grad(score.of_leaves(logits).sum(), logits)
    torch.testing.assert_close(score.leaf_weights(logits.detach()), expected)
    torch.testing.assert_close(Score.leaf_weights(score, logits.detach()), expected)
