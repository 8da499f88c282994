"""The tree's loss of single classes: both ways to it against the naive oracle."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import cross_entropy

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.losses import LossLayout, class_losses, functional, paths, tree_losses
from nbdt.losses.functional import sample_losses
from nbdt.losses.paths import PathTable, path_losses
from tests.losses.oracle import class_loss
from tests.strategies import caterpillar, hierarchies, random_hierarchy

SETTINGS = [
    ("soft", "mean", None),
    ("hard", "mean", None),
    ("soft", "logsumexp", None),
    ("hard", "logsumexp", None),
    ("soft", "mean", "2020"),
    ("hard", "mean", "2020"),
]


def sample(seed, *shape, scale=3.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@given(tree=hierarchies(max_classes=20), seed=st.integers(0, 2**32 - 1))
def test_equals_the_oracle(settings, tree, seed):
    logits = sample(seed, 2, tree.num_classes)
    layout = LossLayout(tree)
    every = class_losses(logits, layout, *settings)
    for leaf in range(tree.num_classes):
        one = tree_losses(logits, torch.tensor([leaf, leaf]), layout, *settings)
        for row in range(2):
            expected = class_loss(tree, logits[row].tolist(), leaf, *settings)
            assert abs(every[row, leaf].item() - expected) < 1e-10
            assert abs(one[row].item() - expected) < 1e-10


@pytest.mark.parametrize("tree", [random_hierarchy(1000, 1), random_hierarchy(1000, 2, 9)])
@pytest.mark.parametrize("scale", [3.0, 1e4])
def test_the_fast_way_is_as_precise_at_1000_classes(tree, scale):
    logits = sample(0, 4, 1000, scale=scale, dtype=torch.float32)
    target = torch.tensor([0, 7, 500, 999])
    losses = tree_losses(logits, target, LossLayout(tree))
    for row, leaf in enumerate(target.tolist()):
        expected = class_loss(tree, logits[row].tolist(), leaf, "soft", "mean")
        assert losses[row].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("paired", [0, 4096], ids=["borders", "columns"])
@pytest.mark.parametrize("network_weight", [0.0, 0.7])
@given(tree=hierarchies(), seed=st.integers(0, 2**32 - 1), each=st.booleans())
def test_both_ways_are_the_same_with_their_gradients(paired, network_weight, tree, seed, each):
    logits = sample(seed, 5, tree.num_classes).requires_grad_()
    target = torch.from_numpy(np.random.default_rng(seed).integers(tree.num_classes, size=5))
    factors, tree_weight = sample(seed + 1, 5), sample(seed + 2, 5) if each else 3.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "MAX_PAIRED_CLASSES", paired)
        table = PathTable(tree)
    fast = path_losses(logits, target, table, tree_weight, network_weight)
    every = class_losses(logits, LossLayout(tree))
    slow = every.gather(1, target.unsqueeze(1)).squeeze(1) * tree_weight
    slow = slow + network_weight * cross_entropy(logits, target, reduction="none")
    assert torch.allclose(fast, slow, atol=1e-10)
    (expected,) = torch.autograd.grad((slow * factors).sum(), logits)
    (found,) = torch.autograd.grad((fast * factors).sum(), logits)
    assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("tree", [random_hierarchy(9, 3), random_hierarchy(9, 4, 4)])
def test_gradients(settings, tree):
    layout, target = LossLayout(tree), torch.tensor([0, 4, 8])
    logits = sample(1, 3, 9).requires_grad_()
    assert gradcheck(lambda z: tree_losses(z, target, layout, *settings), logits)
    assert gradcheck(lambda z: class_losses(z, layout, *settings), logits)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("tree", [random_hierarchy(9, 3), random_hierarchy(9, 4, 4)])
def test_gradients_of_gradients(settings, tree):
    layout, target = LossLayout(tree), torch.tensor([0, 4, 8])
    logits = sample(1, 3, 9).requires_grad_()
    loss = sample_losses(logits, target, layout, settings, 2.0, 0.5).sum()
    (slope,) = torch.autograd.grad(loss, logits, create_graph=True)
    assert gradgradcheck(lambda z: sample_losses(z, target, layout, settings, 2.0, 0.5), logits)
    again = torch.func.grad(lambda z: sample_losses(z, target, layout, settings, 2.0, 0.5).sum())
    assert torch.allclose(again(logits.detach()), slope)


def test_a_gradient_can_be_taken_twice():
    logits = sample(1, 3, 9).requires_grad_()
    total = tree_losses(logits, torch.tensor([0, 4, 8]), LossLayout(random_hierarchy(9, 3))).sum()
    (first,) = torch.autograd.grad(total, logits, retain_graph=True)
    (second,) = torch.autograd.grad(total, logits)
    assert torch.equal(first, second)


@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("tree", [random_hierarchy(9, 3), random_hierarchy(9, 4, 4)])
def test_masked_classes_are_left_to_the_rules(tree, place):
    # Wherever it stands in the leaf order, the last place included.
    masked, target = tree.leaf_order[place], int(tree.leaf_order[place - 4])
    logits = sample(2, 1, 9)
    logits[0, masked] = -torch.inf
    logits.requires_grad_()
    loss = tree_losses(logits, torch.tensor([target]), LossLayout(tree))
    expected = class_loss(tree, logits[0].tolist(), target, "soft", "mean")
    assert loss.item() == pytest.approx(expected, abs=1e-10)
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.isfinite(grad).all()


def test_logits_too_far_apart_are_left_to_the_rules():
    tree = random_hierarchy(9, 4, 4)
    logits = torch.zeros(1, 9, dtype=torch.float64)
    logits[0, 2] = -1e4
    logits.requires_grad_()
    target = torch.tensor([2])
    assert path_losses(logits, target, PathTable(tree)) is None
    loss = tree_losses(logits, target, LossLayout(tree))
    expected = class_loss(tree, logits[0].tolist(), 2, "soft", "mean")
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_half_types_give_float32(dtype, settings):
    layout, target = LossLayout(random_hierarchy(9, 4, 4)), torch.tensor([0, 4, 8])
    logits = sample(1, 3, 9, dtype=dtype)
    found = tree_losses(logits, target, layout, *settings)
    assert found.dtype == torch.float32
    assert torch.allclose(found, tree_losses(logits.float(), target, layout, *settings))


def test_nan_stays_in_its_row():
    logits = sample(2, 2, 9)
    logits[0, 3] = torch.nan
    losses = tree_losses(logits, torch.tensor([1, 1]), LossLayout(random_hierarchy(9, 3)))
    assert losses.isnan().tolist() == [True, False]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_flat_tree_has_the_networks_own_decision(settings, monkeypatch):
    tree, logits, target = shapes.flat(9), sample(1, 3, 9), torch.tensor([0, 4, 8])
    monkeypatch.setattr(functional, "path_losses", lambda *_: pytest.fail("walks"))
    found = tree_losses(logits, target, LossLayout(tree), *settings)
    for row, leaf in enumerate(target.tolist()):
        expected = class_loss(tree, logits[row].tolist(), leaf, *settings)
        assert found[row].item() == pytest.approx(expected, abs=1e-12)


# Two steps, the second of which has 399 siblings; and one sibling at each of 399 steps.
WIDE = Hierarchy([401] * 399 + [402] * 2 + [402, -1], [str(i) for i in range(401)])


@pytest.mark.parametrize("tree", [WIDE, caterpillar(400)], ids=["wide", "caterpillar"])
def test_trees_without_a_table_of_paths(tree):
    layout = LossLayout(tree)
    assert layout.paths is None
    logits, target = sample(3, 2, tree.num_classes), torch.tensor([0, 399])
    losses = tree_losses(logits, target, layout)
    for row, leaf in enumerate(target.tolist()):
        expected = class_loss(tree, logits[row].tolist(), leaf, "soft", "mean")
        assert losses[row].item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "tree", [shapes.random(21_841, seed=0), shapes.flat(21_841), caterpillar(21_841)]
)
def test_memory_stays_linear(tree):
    layout = LossLayout(tree)
    entries = sum(buffer.numel() for buffer in layout.buffers())
    assert entries < (2 * paths.MAX_ENTRIES_PER_NODE + 100) * len(tree)


def test_ordinary_trees_take_the_fast_way(monkeypatch):
    called = []
    monkeypatch.setattr(functional, "path_losses", lambda *_: called.append(True))
    logits, target = sample(1, 2, 1000), torch.tensor([3, 4])
    for tree in (random_hierarchy(1000, 1), random_hierarchy(1000, 1, 9), shapes.balanced(1000, 4)):
        tree_losses(logits, target, LossLayout(tree))
    assert len(called) == 3
    tree_losses(logits, target, LossLayout(tree), "soft", "mean", "2020")
    assert len(called) == 3


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("settings", "said"), [
    (("sotf",), "rule must be 'soft' or 'hard', got 'sotf'"),
    (("soft", "max"), "score must be 'logsumexp' or 'mean', got 'max'"),
    (("hard", "mean", "2021"), "compat must be None or '2020', got '2021'"),
    (("soft", "mean", ""), "compat must be None or '2020', got ''"),
], ids=str)  # fmt: skip
def test_losses_that_do_not_exist_are_refused(settings, said):
    layout, logits = LossLayout(random_hierarchy(9, 3)), sample(1, 2, 9)
    with pytest.raises(InputError, match=said):
        class_losses(logits, layout, *settings)
    with pytest.raises(InputError, match=said):
        tree_losses(logits, torch.tensor([3, 4]), layout, *settings)
