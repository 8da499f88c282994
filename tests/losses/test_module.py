"""TreeSupervisionLoss: torch's CrossEntropyLoss in all but the tree, and the tree by the oracle."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional as F

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.losses import Constant, Ramp, TreeSupervisionLoss
from tests.losses.oracle import class_loss, sample_loss
from tests.losses.test_functional import SETTINGS, sample
from tests.strategies import hierarchies, random_hierarchy

TREE = random_hierarchy(7, seed=1, branching=3)
WEIGHT = torch.tensor([0.2, 1.0, 3.0, 0.0, 0.7, 1.5, 1.0])
REDUCTIONS = ["mean", "sum", "none"]


def quiet(*args, **kwargs):
    """A loss whose warning about logsumexp is expected here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TreeSupervisionLoss(*args, **kwargs)


def indices(seed, *shape, classes=7, ignored=None):
    target = torch.from_numpy(np.random.default_rng(seed).integers(classes, size=shape))
    if ignored is not None:
        target.view(-1)[::3] = ignored
    return target


def probabilities(seed, *shape, dim=1):
    return sample(seed, *shape).softmax(dim)


CASES = {
    "one sample": ((7,), indices(0)),
    "batch": ((5, 7), indices(1, 5)),
    "ignored": ((5, 7), indices(1, 5, ignored=-100)),
    "all ignored": ((5, 7), torch.full((5,), -100)),
    "segmentation": ((2, 7, 3, 4), indices(2, 2, 3, 4, ignored=-100)),
    "probabilities": ((5, 7), probabilities(3, 5, 7)),
    "one sample's probabilities": ((7,), probabilities(3, 7, dim=0)),
    "probabilities, segmentation": ((2, 7, 3), probabilities(4, 2, 7, 3)),
    "empty": ((0, 7), indices(1, 0)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weight"])
def test_without_the_tree_it_is_cross_entropy_to_the_bit(case, reduction, smoothing, weight):
    shape, target = CASES[case]
    logits = sample(0, *shape, dtype=torch.float32)
    target = target.float() if target.is_floating_point() else target
    settings = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
    found = TreeSupervisionLoss(TREE, tree_weight=0, **settings)(logits, target)
    expected = F.cross_entropy(logits, target, **settings)
    assert found.shape == expected.shape
    assert torch.equal(found.nan_to_num(-1), expected.nan_to_num(-1))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weight"])
def test_targets_weights_and_reduction_work_on_the_tree_as_on_the_network(
    case, reduction, smoothing, weight
):
    # On a flat tree ℓ is cross-entropy, so torch is the oracle of all else.
    shape, target = CASES[case]
    logits = sample(0, *shape)
    settings = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
    loss = TreeSupervisionLoss(shapes.flat(7), tree_weight=0.5, network_weight=2, **settings)
    double = settings | {"weight": None if weight is None else weight.double()}
    expected = 2.5 * F.cross_entropy(logits, target, **double)
    found = loss(logits, target)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@given(
    tree=hierarchies(max_classes=12),
    seed=st.integers(0, 2**32 - 1),
    smoothing=st.sampled_from([0.0, 0.2]),
    weighted=st.booleans(),
    soft=st.booleans(),
)
def test_equals_the_oracle(settings, tree, seed, smoothing, weighted, soft):
    count = tree.num_classes
    rule, score, compat = settings
    labels = {"label_smoothing": smoothing}
    if weighted:
        labels["weight"] = sample(seed, count).abs()
    loss = quiet(
        tree,
        rule=rule,
        score=score,
        compat=compat,
        network_weight=0 if settings[:2] == ("soft", "logsumexp") else 0.5,
        tree_weight=3,
        reduction="none",
        **labels,
    )
    logits = sample(seed, 3, count)
    target = probabilities(seed, 3, count) if soft else indices(seed, 3, classes=count)
    squared = rule == "hard" and compat
    for row, found in enumerate(loss(logits, target).tolist()):
        expected = sample_loss(
            tree,
            logits[row].tolist(),
            target[row].tolist(),
            settings,
            network=loss.network_weight(0),
            tree_weight=9 if squared else 3,
            **labels,
        )
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rule", ["soft", "hard"])
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
def test_classes_may_stand_last(rule, soft):
    loss = TreeSupervisionLoss(TREE, rule=rule, label_smoothing=0.1, reduction="none")
    logits = sample(0, 2, 7, 3, 4)
    target = probabilities(1, 2, 7, 3, 4) if soft else indices(1, 2, 3, 4)
    first = loss(logits, target)
    last = loss(logits.movedim(1, -1), target.movedim(1, -1) if soft else target)
    assert first.shape == last.shape == (2, 3, 4)
    assert torch.allclose(first, last, atol=1e-12)


def test_hard_and_soft_differ_by_the_depth():
    logits, target = sample(0, 7, 7), torch.arange(7)
    settings = {"network_weight": 0, "reduction": "none"}
    soft = TreeSupervisionLoss(TREE, rule="soft", **settings)(logits, target)
    hard = TreeSupervisionLoss(TREE, rule="hard", **settings)(logits, target)
    assert torch.allclose(soft / torch.tensor(TREE.depths[:7]), hard, atol=1e-12)


@pytest.mark.parametrize("rule", ["soft", "hard"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_perfect_logits_leave_nothing(rule, dtype, classes):
    tree = random_hierarchy(classes, seed=2)
    target = torch.arange(classes)
    logits = F.one_hot(target).to(dtype) * 50 * classes
    logits.requires_grad_()
    loss = TreeSupervisionLoss(tree, rule=rule)(logits, target)
    loss.backward()
    assert 0 <= loss.item() < 1e-6
    assert logits.grad.abs().max() < 1e-6


def test_the_2020_losses_as_it_computed_them():
    # Four classes; 0 is a child of the root, 2 and 3 of the lowest node.
    tree = Hierarchy([6, 5, 4, 4, 5, 6, -1], list("abcd"))
    logits, target = torch.tensor([[1.0, 2.0, -1.0, 0.5]]).double(), torch.tensor([1])
    root = math.log(1 + math.exp(1.0 - (2.0 - 1.0 + 0.5) / 3))
    second = math.log(1 + math.exp((-1.0 + 0.5) / 2 - 2.0))
    hard = TreeSupervisionLoss(tree, rule="hard", compat="2020", tree_weight=10, network_weight=0)
    assert hard(logits, target).item() == pytest.approx(100 * (root + second) / (3 / 2))
    soft = TreeSupervisionLoss(tree, compat="2020", tree_weight=10, network_weight=0)
    perfect = F.one_hot(target, 4).double() * 1e4
    assert soft(perfect, target).item() == pytest.approx(10 * math.log(1 + 3 / math.e))


def test_the_2020_hard_weight_is_squared_from_its_start():
    settings = {"rule": "hard", "network_weight": 0}
    logits, target = sample(0, 5, 7), indices(0, 5)
    ramp = TreeSupervisionLoss(TREE, compat="2020", tree_weight=Ramp(2, 4), **settings)
    once = TreeSupervisionLoss(TREE, compat="2020", tree_weight=1, **settings)
    assert ramp(logits, target, progress=1).item() == pytest.approx(8 * once(logits, target).item())


# ── numbers ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", ["soft", "hard"])
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients(rule, soft, smoothing):
    loss = TreeSupervisionLoss(TREE, rule=rule, weight=WEIGHT, label_smoothing=smoothing)
    target = probabilities(1, 2, 7, 2) if soft else indices(1, 2, 2, ignored=-100)
    assert gradcheck(lambda logits: loss(logits, target), sample(0, 2, 7, 2).requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
def test_half_types_are_computed_in_float32(dtype, soft, autocast):
    loss = TreeSupervisionLoss(TREE, label_smoothing=0.1)
    logits = sample(0, 5, 7, scale=20).to(dtype).requires_grad_()
    target = probabilities(1, 5, 7).float() if soft else indices(1, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        found = loss(logits, target)
    found.backward()
    assert found.dtype == torch.float32
    assert logits.grad.dtype == dtype
    assert found.item() == pytest.approx(
        loss(logits.double(), target.double() if soft else target).item(), rel=1e-6
    )


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_masked_classes_have_no_part(rule):
    logits, target = sample(0, 5, 7), torch.tensor([0, 1, 2, 0, 1])
    logits[:, 4:] = -torch.inf
    logits.requires_grad_()
    loss = TreeSupervisionLoss(TREE, rule=rule, reduction="none")(logits, target)
    for row, found in enumerate(loss.tolist()):
        cross = F.cross_entropy(logits[row], target[row]).item()
        tree = class_loss(TREE, logits[row].tolist(), target[row].item(), rule, "mean")
        assert found == pytest.approx(cross + tree, abs=1e-10)
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_ignored_samples_have_no_part_whatever_their_logits(smoothing):
    logits, target = sample(0, 3, 7), torch.tensor([2, -100, 5])
    logits[1, 0] = -torch.inf
    logits.requires_grad_()
    loss = TreeSupervisionLoss(TREE, label_smoothing=smoothing)
    found = loss(logits, target)
    found.backward()
    assert found.item() == pytest.approx(loss(logits[[0, 2]], target[[0, 2]]).item(), abs=1e-12)
    assert (logits.grad[1] == 0).all()


def test_an_infinite_term_of_weight_0_does_no_harm():
    logits, target = torch.zeros(1, 7), torch.tensor([1])
    logits[0, 1] = -torch.inf
    assert TreeSupervisionLoss(TREE)(logits, target).item() == math.inf
    # A softmax of probabilities is finite where cross-entropy is not.
    tree_only = TreeSupervisionLoss(TREE, compat="2020", network_weight=0)
    assert math.log(7) < tree_only(logits, target).item() < math.log(7 * math.e)


def test_weights_of_0_leave_nothing_to_learn():
    logits = sample(0, 5, 7).requires_grad_()
    loss = TreeSupervisionLoss(TREE, tree_weight=0, network_weight=0)(logits, indices(0, 5))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


# ── schedules ─────────────────────────────────────────────────────────────────────────────────


def test_weights_follow_progress():
    logits, target = sample(0, 5, 7), indices(0, 5)
    cross = F.cross_entropy(logits, target)
    tree = TreeSupervisionLoss(TREE, network_weight=0)(logits, target)
    loss = TreeSupervisionLoss(TREE, tree_weight=Ramp(0, 0.5), network_weight=lambda t: 1 - t / 2)
    for progress in (0, 0.5, 1):
        expected = (1 - progress / 2) * cross + progress / 2 * tree
        assert loss(logits, target, progress=progress).item() == pytest.approx(expected.item())
        assert loss(logits, target, progress).item() == pytest.approx(expected.item())
    assert loss.progress is None
    loss.progress = 0.5
    assert loss(logits, target).item() == pytest.approx((0.75 * cross + 0.25 * tree).item())
    assert loss(logits, target, progress=0).item() == pytest.approx(cross.item())


def test_forgotten_progress_is_an_error():
    loss = TreeSupervisionLoss(TREE, tree_weight=Ramp(0, 1))
    with pytest.raises(InputError, match=r"tree_weight is a schedule.*set loss.progress"):
        loss(sample(0, 5, 7), indices(0, 5))
    loss.progress = 0.5
    loss.progress = None
    with pytest.raises(InputError, match="tree_weight is a schedule"):
        loss(sample(0, 5, 7), indices(0, 5))


def test_numbers_and_constants_need_no_progress():
    logits, target = sample(0, 5, 7), indices(0, 5)
    number = TreeSupervisionLoss(TREE, tree_weight=2)(logits, target)
    constant = TreeSupervisionLoss(TREE, tree_weight=Constant(2))(logits, target)
    assert torch.equal(number, constant)


@pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan, "half"])
def test_progress_goes_from_0_to_1(progress):
    loss = TreeSupervisionLoss(TREE)
    with pytest.raises(InputError, match="from 0 to 1"):
        loss(sample(0, 5, 7), indices(0, 5), progress=progress)
    with pytest.raises(InputError, match="from 0 to 1"):
        loss.progress = progress


def test_a_schedule_that_gives_no_weight_is_named():
    loss = TreeSupervisionLoss(TREE, network_weight=lambda progress: -progress)
    with pytest.raises(InputError, match=r"network_weight at progress 0.5.*got -0.5"):
        loss(sample(0, 5, 7), indices(0, 5), progress=0.5)


# ── the score logsumexp ───────────────────────────────────────────────────────────────────────


def test_training_on_cross_entropy_twice_is_refused():
    for weights in ({}, {"tree_weight": Ramp(0, 1)}, {"network_weight": Ramp(0, 1)}):
        with pytest.raises(InputError, match="train on it twice"):
            TreeSupervisionLoss(TREE, score="logsumexp", **weights)


@pytest.mark.parametrize("one", ["tree_weight", "network_weight"])
def test_cross_entropy_once_comes_with_a_warning(one):
    with pytest.warns(UserWarning, match="soft loss of a tree is the network's own cross-entropy;"):
        loss = TreeSupervisionLoss(TREE, score="logsumexp", **{one: 0})
    logits, target = sample(0, 5, 7), indices(0, 5)
    assert torch.allclose(loss(logits, target), F.cross_entropy(logits, target))


def test_hard_cross_entropy_comes_with_a_warning_that_names_the_caller():
    with pytest.warns(UserWarning, match="over the class's depth") as warned:
        TreeSupervisionLoss(TREE, rule="hard", score="logsumexp")
    assert warned[0].filename == __file__


# ── the module ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rule": "firm"}, "rule must be 'soft' or 'hard', got 'firm'"),
        ({"score": "max"}, "score must be"),
        ({"reduction": "max"}, "reduction is one of 'mean', 'sum', 'none'"),
        ({"compat": "2021"}, "compat must be None or '2020'"),
        ({"compat": "2020", "score": "logsumexp"}, "knew the score 'mean' only"),
        ({"tree_weight": -1}, "tree_weight must be a finite number of at least 0; got -1"),
        ({"network_weight": "1"}, "network_weight must be"),
        ({"label_smoothing": 1.5}, "label_smoothing is a number from 0 to 1; got 1.5"),
        ({"label_smoothing": -0.1}, "label_smoothing must be"),
        ({"weight": torch.ones(6)}, r"shape \(7,\); got \(6,\)"),
        ({"weight": [1.0] * 7}, r"a tensor of shape \(7,\); got list"),
        ({"ignore_index": None}, "ignore_index is a whole number; got None"),
        ({"ignore_index": 2.5}, "ignore_index is a whole number; got 2.5"),
        ({"ignore_index": True}, "ignore_index is a whole number; got True"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        TreeSupervisionLoss(TREE, **settings)


@pytest.mark.usefixtures("unchecked")
def test_lists_are_no_logits_and_no_targets():
    loss = TreeSupervisionLoss(TREE)
    logits, target = sample(0, 5, 7), indices(0, 5)
    with pytest.raises(InputError, match="logits must be a tensor; got list"):
        loss(logits.tolist(), target)
    with pytest.raises(InputError, match="targets must be a tensor; got list"):
        loss(logits, target.tolist())


def test_an_ignored_class_may_be_a_number_of_numpys():
    logits, target = sample(0, 5, 7), indices(0, 5, ignored=3)
    found = TreeSupervisionLoss(TREE, ignore_index=np.int64(3))(logits, target)
    assert torch.equal(found, TreeSupervisionLoss(TREE, ignore_index=3)(logits, target))


def test_it_is_a_module_as_torchs_own():
    loss = TreeSupervisionLoss(TREE, weight=WEIGHT)
    assert list(loss.state_dict()) == ["weight"]
    assert not TreeSupervisionLoss(TREE).state_dict()
    assert loss.hierarchy is TREE
    shown = repr(TreeSupervisionLoss(TREE, tree_weight=Ramp(0, 1), compat="2020"))
    assert "rule='soft', score='mean', tree_weight=Ramp(start=0.0, end=1.0, power=1.0)" in shown
    assert "network_weight=1, compat='2020'" in shown
    logits, target = sample(0, 5, 7), indices(0, 5)
    for same in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), loss.double().half()):
        assert torch.allclose(same(logits, target), loss(logits, target))


def test_it_follows_the_logits_to_their_device():
    loss = TreeSupervisionLoss(TREE, weight=WEIGHT)
    found = loss(torch.zeros(5, 7, device="meta"), indices(0, 5).to("meta"))
    assert found.is_meta
    assert loss.weight.is_meta


@pytest.mark.parametrize("rule", ["soft", "hard"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiles_whole(rule, unchecked):
    loss = TreeSupervisionLoss(TREE, rule=rule)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    logits, target = sample(0, 5, 7).requires_grad_(), indices(0, 5, ignored=-100)
    for one in (loss, compiled):
        logits.grad = None
        one(logits, target).backward()
        grads = logits.grad
        if one is loss:
            expected = grads
    assert torch.allclose(compiled(logits, target), loss(logits, target))
    assert torch.allclose(grads, expected)


def test_a_few_steps_teach_a_network_its_tree():
    torch.manual_seed(0)
    features, tree = torch.randn(60, 10), random_hierarchy(7, seed=5)
    target = indices(0, 60)
    network = torch.nn.Linear(10, 7)
    loss = TreeSupervisionLoss(tree)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        losses.append(loss(network(features), target))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < losses[0].item() / 1.5
