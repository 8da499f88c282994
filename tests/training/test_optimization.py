"""Learning rates against torch's schedulers, and which weights decay."""

import math

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
)

from nbdt.classifiers import build
from nbdt.errors import InputError
from nbdt.training import TrainingConfig
from nbdt.training.optimization import (
    autocast,
    chosen_dtype,
    learning_rate,
    make_optimizer,
    make_scaler,
    set_learning_rate,
)
from tests.training.subjects import network

STEPS = 20


def ours(schedule, epochs=2, steps=STEPS, **values):
    config = TrainingConfig(schedule=schedule, epochs=epochs, learning_rate=0.3, **values)
    return [learning_rate(config, step, steps) for step in range(epochs * steps)]


def of_torch(make, total):
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make(optimizer)
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(("schedule", "make"), [
    ("cosine", lambda optimizer: CosineAnnealingLR(optimizer, T_max=40)),
    ("step", lambda optimizer: MultiStepLR(optimizer, milestones=[20, 30])),
    ("constant", lambda optimizer: ConstantLR(optimizer, factor=1)),
])  # fmt: skip
def test_schedules_are_those_of_torch(schedule, make):
    assert ours(schedule) == pytest.approx(of_torch(make, 40), rel=1e-9, abs=1e-12)


def test_one_cycle_is_that_of_torch_but_for_the_place_of_its_ends():
    # torch puts the peak and the end a step earlier, so the curves meet as steps get many.
    total = 4000
    expected = of_torch(lambda optimizer: OneCycleLR(optimizer, 0.3, total_steps=total), total)
    assert ours("one_cycle", steps=total // 2) == pytest.approx(expected, abs=0.3 * 5 / total)
    assert ours("one_cycle")[0] == pytest.approx(0.3 / 25)


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_the_warm_up_rises_as_in_torch_and_the_schedule_follows(schedule):
    found = ours(schedule, warmup=0.25)
    expected = of_torch(lambda optimizer: LinearLR(optimizer, start_factor=1 / 5, total_iters=4), 5)
    assert found[:5] == pytest.approx(expected, rel=1e-9)
    assert found[5] == 0.3
    # What is left is the same curve over fewer steps.
    assert found[5:] == pytest.approx(ours(schedule, epochs=1, steps=35), rel=1e-9)


@given(
    schedule=st.sampled_from(["cosine", "one_cycle", "step", "constant"]),
    epochs=st.integers(1, 5),
    steps=st.integers(1, 30),
    warmup=st.floats(0, 0.99),
)
def test_every_rate_is_positive_and_at_most_the_largest(schedule, epochs, steps, warmup):
    values = {} if schedule == "one_cycle" else {"warmup": warmup}
    found = ours(schedule, epochs, steps, **values)
    assert all(0 < rate <= 0.3 * (1 + 1e-12) for rate in found)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


def decayed(of):
    optimizer = make_optimizer(of, TrainingConfig(weight_decay=0.1))
    names = {id(parameter): name for name, parameter in of.named_parameters()}
    return {
        names[id(parameter)]
        for group in optimizer.param_groups
        for parameter in group["params"]
        if group["weight_decay"]
    }


def test_norms_and_biases_do_not_decay():
    of = build("nbdt:cifar-resnet20", num_classes=10)
    kinds = dict(of.named_modules())
    for name, _ in of.named_parameters():
        owner, _, kind = name.rpartition(".")
        is_weight = kind == "weight" and isinstance(kinds[owner], nn.Linear | nn.Conv2d)
        assert (name in decayed(of)) == is_weight
    several = nn.Sequential(
        nn.Linear(2, 3), nn.LayerNorm((3, 2, 2)), nn.GroupNorm(1, 3), nn.RMSNorm((2, 2)),
        nn.InstanceNorm2d(3, affine=True), nn.BatchNorm3d(3), nn.Bilinear(2, 3, 4),
    )  # fmt: skip
    assert decayed(several) == {"0.weight", "6.weight"}

    class Shift(nn.Module):  # what a network adds of its own
        def __init__(self):
            super().__init__()
            self.weight, self.bias = (nn.Parameter(torch.ones(3, 1, 1)) for _ in range(2))

    assert not any(decayed(nn.Sequential(Shift(), nn.BatchNorm1d(2), nn.Embedding(3, 2))))


@pytest.mark.parametrize(("make", "expected"), [
    (lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True), {"in_proj_weight", "out_proj.weight"}),
    (lambda: nn.MultiheadAttention(4, 2, kdim=2), {
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight",
    }),
    (lambda: nn.LSTM(2, 3, proj_size=1), {"weight_ih_l0", "weight_hh_l0", "weight_hr_l0"}),
    (lambda: nn.GRUCell(2, 3), {"weight_ih", "weight_hh"}),
    (lambda: nn.ConvTranspose3d(2, 3, 1), {"weight"}),
])  # fmt: skip
def test_matrices_of_layers_decay(make, expected):
    assert decayed(make()) == expected


@pytest.mark.parametrize(("name", "left"), [
    ("convnext_tiny", ["layer_scale"]),
    ("vit_b_16", ["class_token", "pos_embedding"]),
    ("swin_t", ["relative_position_bias_table"]),
])  # fmt: skip
def test_parameters_of_torchvisions_networks_that_do_not_decay(name, left):
    with torch.device("meta"):
        of = getattr(torchvision.models, name)()
    found = decayed(of)
    several = {name for name, value in of.named_parameters() if value.ndim > 1}
    assert found
    assert found <= several
    for name in several - found:
        assert name.rpartition(".")[-1] in left, name
    # None of them is just missing.
    assert {name.rpartition(".")[-1] for name in several - found} == set(left)


def test_the_head_is_a_group_of_its_own_with_and_without_decay():
    of = network(norm=True)
    config = TrainingConfig(weight_decay=0.1, head_multiplier=10)
    optimizer = make_optimizer(of, config, of[4])
    set_learning_rate(optimizer, 0.25)
    found = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert found == [(0.25, 0.1), (0.25, 0.0), (2.5, 0.1), (2.5, 0.0)]
    alone = make_optimizer(network(norm=True), TrainingConfig())
    set_learning_rate(alone, 0.25)
    assert [group["lr"] for group in alone.param_groups] == [0.25, 0.25]
    names = {id(parameter): name for name, parameter in of.named_parameters()}
    assert [[names[id(p)] for p in group["params"]] for group in optimizer.param_groups] == [
        ["0.weight"], ["0.bias", "1.weight", "1.bias"], ["4.weight"], ["4.bias"],
    ]  # fmt: skip


def test_weights_that_must_not_change_are_left_out():
    of = network()
    of[0].requires_grad_(False)
    optimizer = make_optimizer(of, TrainingConfig())
    found = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert found == [id(of[3].weight), id(of[3].bias)]
    of.requires_grad_(False)
    with pytest.raises(InputError, match="no weight of the network may change"):
        make_optimizer(of, TrainingConfig())


def test_the_optimizer_is_the_one_asked_for():
    assert len(make_optimizer(nn.Linear(2, 2, bias=False), TrainingConfig()).param_groups) == 1
    sgd = make_optimizer(network(), TrainingConfig(momentum=0.7, learning_rate=0.2))
    assert isinstance(sgd, SGD)
    assert {(group["momentum"], group["lr"]) for group in sgd.param_groups} == {(0.7, 0.2)}
    adamw = make_optimizer(network(), TrainingConfig(optimizer="adamw", momentum=0.7))
    assert isinstance(adamw, AdamW)
    assert {group["betas"] for group in adamw.param_groups} == {(0.7, 0.999)}


def test_a_learning_rate_that_is_a_tensor_stays_one():
    optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=torch.tensor(0.1))
    before = optimizer.param_groups[0]["lr"]
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is before
    assert math.isclose(before.item(), 0.25)


@pytest.mark.parametrize("parametrize", [
    torch.nn.utils.parametrizations.weight_norm,
    torch.nn.utils.parametrizations.spectral_norm,
    torch.nn.utils.parametrizations.orthogonal,
], ids=["weight_norm", "spectral_norm", "orthogonal"])  # fmt: skip
def test_weights_that_are_made_of_others_decay(parametrize):
    layer = parametrize(nn.Linear(3, 3))
    groups = make_optimizer(layer, TrainingConfig(weight_decay=0.1)).param_groups
    [decaying] = [group["params"] for group in groups if group["weight_decay"]]
    assert all(parameter.ndim > 1 for parameter in decaying)
    assert not any(parameter is layer.bias for parameter in decaying)


CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_what_is_asked_for_is_taken_anywhere(name):
    assert {chosen_dtype(name, device) for device in (CPU, CUDA)} == {getattr(torch, name)}


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_auto_is_half_on_gpus_only(monkeypatch, supported, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
    assert chosen_dtype("auto", CUDA) == dtype
    assert chosen_dtype("auto", CPU) == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_layers_compute_in_it_and_only_float16_is_scaled(dtype):
    with autocast(dtype, CPU):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
    assert make_scaler(dtype, CPU).is_enabled() == (dtype == torch.float16)
