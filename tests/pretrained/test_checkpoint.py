import sys
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.pretrained import load_checkpoint

X = torch.ones(2, 4)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture
def trained() -> nn.Sequential:
    return network()


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_safetensors_file_is_read(trained: nn.Sequential, tmp_path: Path) -> None:
    save_file(trained.state_dict(), tmp_path / "net.safetensors")
    loaded = network()
    load_checkpoint(loaded, tmp_path / "net.safetensors")
    assert same(loaded, trained)


def test_one_whose_length_looks_like_a_pickle_is_too(
    trained: nn.Sequential, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    for padding in range(0, 2000, 8):  # until the header's length begins with the byte 0x80
        save_file(trained.state_dict(), path, metadata={"note": "x" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    loaded = network()
    load_checkpoint(loaded, path)
    assert same(loaded, trained)


@pytest.mark.parametrize(
    "saved",
    [
        lambda state, net: state,
        lambda state, net: OrderedDict(state),
        lambda state, net: {"net": state, "acc": 81.0, "epoch": 3},
        lambda state, net: {"state_dict": state, "best": torch.tensor(1.0)},
        lambda state, net: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state, net: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state, net: {"net": {f"module.{k}": v for k, v in state.items()}},
        lambda state, net: net,
        lambda state, net: {"model": net, "epoch": 3},
        lambda state, net: nn.DataParallel(net),
        lambda state, net: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
        lambda state, net: {"state_dict": {"model": state}},
        lambda state, net: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state, net: {f"module._orig_mod.{k}": v for k, v in state.items()},
        lambda state, net: {k.replace(".", ".module.", 1): v for k, v in state.items()},
        lambda state, net: {
            "state_dict": {f"model.{k}": v for k, v in state.items()}
            | {f"ema_model.module.{k}": v + 1 for k, v in state.items()}
            | {"criterion.weight": torch.ones(3)},
        },
        lambda state, net: {f"backbone.net.{k}": v for k, v in state.items()},
        lambda state, net: AveragedModel(net).state_dict(),
        lambda state, net: {"ema": state, "epoch": 3},
        lambda state, net: {"model": state, "model_ema": {k: v + 1 for k, v in state.items()}},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_read_if_it_is_trusted(
    saved: Any, zipped: bool, trained: nn.Sequential, tmp_path: Path
) -> None:
    torch.save(
        saved(trained.state_dict(), trained),
        tmp_path / "net.pth",
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(InputError, match=r"net\.pth is a pickle, which can run any code"):
        load_checkpoint(network(), tmp_path / "net.pth")
    loaded = network()
    load_checkpoint(loaded, tmp_path / "net.pth", trust_pickle=True)
    assert same(loaded, trained)


def test_views_and_other_types_become_the_networks_own(
    trained: nn.Sequential, tmp_path: Path
) -> None:
    state: dict[str, Tensor] = {k: v.double() for k, v in trained.state_dict().items()}
    state["0.weight"] = state["0.weight"].t().contiguous().t()
    state["1.num_batches_tracked"] = torch.tensor(0)
    state["0.bias"] = torch.cat([state["0.bias"], state["0.bias"]])[:3]
    torch.save(state, tmp_path / "net.pt")
    loaded = network()
    load_checkpoint(loaded, tmp_path / "net.pt", trust_pickle=True)
    assert same(loaded, trained)
    assert loaded[0].weight.dtype == torch.float32


def test_names_of_a_safetensors_file_and_of_the_network_may_be_wrapped(
    trained: nn.Sequential, tmp_path: Path
) -> None:
    save_file({f"_orig_mod.{k}": v for k, v in trained.state_dict().items()}, tmp_path / "w")
    for loaded in (network(), nn.DataParallel(network())):
        load_checkpoint(loaded, tmp_path / "w")
        assert same(loaded, nn.DataParallel(trained) if hasattr(loaded, "module") else trained)


@pytest.mark.parametrize("program", [torch.jit.script, lambda net: torch.jit.trace(net.eval(), X)])
def test_a_torchscript_archive_is_read(
    program: Any, trained: nn.Sequential, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program(trained).save(tmp_path / "net.pt")
    with pytest.raises(InputError, match="if you trust where it comes from"):
        load_checkpoint(network(), tmp_path / "net.pt")
    loaded = network()
    load_checkpoint(loaded, tmp_path / "net.pt", trust_pickle=True)
    assert same(loaded, trained)


def test_one_of_several_networks_is_not_guessed(trained: nn.Sequential, tmp_path: Path) -> None:
    state = trained.state_dict()
    both = {f"{who}.{k}": v for who in ("student", "teacher") for k, v in state.items()}
    save_file({k: v.clone() for k, v in both.items()}, tmp_path / "w")
    with pytest.raises(FormatError, match=r"several networks .*student\., teacher\."):
        load_checkpoint(network(), tmp_path / "w")


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "done")


def test_no_code_in_a_pickle_runs_unless_it_is_trusted(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    torch.save({"net": Attack(victim)}, tmp_path / "net.pth")
    with pytest.raises(InputError):
        load_checkpoint(network(), tmp_path / "net.pth")
    assert not victim.exists()
    with pytest.raises(FormatError, match="holds no state dict"):
        load_checkpoint(network(), tmp_path / "net.pth", trust_pickle=True)
    assert victim.exists()


def test_the_restricted_reader_is_tried_first(
    trained: nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(trained.state_dict(), tmp_path / "net.pth")
    asked: list[bool] = []
    load = torch.load

    def watched(*args: Any, weights_only: bool, **kwargs: Any) -> Any:
        asked.append(weights_only)
        return load(*args, weights_only=weights_only, **kwargs)

    monkeypatch.setattr(torch, "load", watched)
    load_checkpoint(network(), tmp_path / "net.pth", trust_pickle=True)
    assert asked == [True]


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ([1, 2], "holds no state dict, neither by itself nor as net, state_dict, model"),
        ({"epoch": 3}, "holds no state dict.*its keys are epoch"),
        ({"net": {"epoch": 3}}, "holds no state dict"),
        ({"0.weight": torch.zeros(3, 4)}, "does not fit the network: 5 tensors missing"),
        (nn.Linear(4, 3), "does not fit the network"),
    ],
)
def test_a_pickle_of_something_else(saved: Any, said: str, tmp_path: Path) -> None:
    torch.save(saved, tmp_path / "net.pth")
    with pytest.raises(FormatError, match=rf"net\.pth {said}"):
        load_checkpoint(network(), tmp_path / "net.pth", trust_pickle=True)


def test_a_file_that_is_damaged_or_none(
    trained: nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(trained.state_dict(), tmp_path / "net.pth")
    whole = (tmp_path / "net.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    torch.save({"net": Missing()}, tmp_path / "gone.pth")
    monkeypatch.delattr(sys.modules[__name__], "Missing")
    (tmp_path / "bad.pth").write_bytes(b"\x80\x02" + b"junk" * 9)
    for name in ("cut.pth", "gone.pth", "bad.pth"):
        with pytest.raises(FormatError, match=rf"{name} cannot be unpickled: "):
            load_checkpoint(network(), tmp_path / name, trust_pickle=True)
    (tmp_path / "text.bin").write_bytes(b"no weights")
    with pytest.raises(FormatError, match="not a whole safetensors file"):
        load_checkpoint(network(), tmp_path / "text.bin")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(network(), tmp_path)
    with pytest.raises(NotFoundError, match="no such file"):
        load_checkpoint(network(), tmp_path / "none.pth")


class Missing:
    """A class that is not there any more when it is unpickled."""
