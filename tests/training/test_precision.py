"""What layers compute in: asked for, or chosen by the device."""

import pytest
import torch
from torch import nn

from nbdt.training.precision import autocast, chosen_dtype, make_scaler

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
