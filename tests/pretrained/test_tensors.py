import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nbdt.classifiers import build
from nbdt.errors import FormatError, InputError
from nbdt.pretrained import load_tensors, save_tensors


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self, tie: bool = True) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        if tie:
            self.second.weight = self.first.weight


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_to_the_bit_in_every_type(self, file, dtype):
        net = build("nbdt:digits-cnn").to(dtype)
        save_tensors(net, file)
        again = build("nbdt:digits-cnn")
        load_tensors(again, file)
        for name, tensor in net.state_dict().items():
            found = again.state_dict()[name]
            assert found.dtype == tensor.dtype
            assert torch.equal(found, tensor)
        assert all(p.requires_grad for p in again.parameters())

    def test_the_network_may_keep_its_types(self, file):
        net = nn.Linear(3, 2).half()
        save_tensors(net, file)
        again = nn.Linear(3, 2)
        load_tensors(again, file, as_stored=False)
        assert again.weight.dtype == torch.float32
        assert torch.equal(again.weight, net.weight.float())

    def test_names_are_the_networks_own(self, file):
        net = build("nbdt:cifar-resnet20")
        save_tensors(net, file)
        assert set(load_file(file)) == set(net.state_dict())

    def test_tied_weights_stay_tied(self, file):
        net = Tied()
        save_tensors(net, file)
        assert set(load_file(file)) == {"first.weight", "first.bias", "second.bias"}
        again = Tied().half()
        load_tensors(again, file)
        assert again.second.weight is again.first.weight
        assert torch.equal(again.first.weight, net.first.weight)

    def test_untied_network_does_not_fit_tied_weights(self, file):
        save_tensors(Tied(), file)
        with pytest.raises(FormatError, match=r"1 tensors missing \(second\.weight\)"):
            load_tensors(Tied(tie=False), file)

    def test_views_of_one_memory(self, file):
        net = nn.Module()
        shared = torch.arange(12.0)
        net.register_buffer("left", shared[:6].view(2, 3))
        net.register_buffer("right", shared[6:].view(2, 3).T)
        save_tensors(net, file)
        assert torch.equal(load_file(file)["right"], net.right)

    def test_no_parameters_at_all(self, file):
        save_tensors(nn.Identity(), file)
        load_tensors(nn.Identity(), file)

    def test_file_obeys_the_umask(self, file):
        save_tensors(nn.Linear(2, 2), file)
        other = file.with_name("other")
        other.touch()
        assert file.stat().st_mode == other.stat().st_mode


class TestRefusals:
    def test_to_save_what_has_no_values(self, file):
        with pytest.raises(InputError, match="weight of the network is not a tensor"):
            save_tensors(nn.Linear(2, 2, device="meta"), file)
        with pytest.raises(InputError, match="weight of the network is not a tensor"):
            save_tensors(nn.LazyLinear(2), file)

    def test_to_save_extra_state(self, file):
        class Extra(nn.Linear):
            def get_extra_state(self):
                return {"version": 1}

        with pytest.raises(InputError, match="_extra_state of the network is not a tensor"):
            save_tensors(Extra(2, 2), file)

    def test_to_save_sparse_tensors(self, file):
        net = nn.Module()
        net.register_buffer("mask", torch.eye(3).to_sparse())
        with pytest.raises(InputError, match="mask of the network is a sparse"):
            save_tensors(net, file)

    def test_missing_unknown_and_misshapen(self, file):
        save_file({"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}, file)
        net = nn.Linear(2, 4)
        before = net.weight.clone()
        with pytest.raises(FormatError) as caught:
            load_tensors(net, file)
        assert str(caught.value) == (
            "model.safetensors does not fit the network: 1 tensors missing (bias), 1 unknown to "
            "the network (extra), 1 of another shape (weight is (3, 2), expected (4, 2))."
        )
        assert torch.equal(net.weight, before)

    def test_many_are_cut_short(self, file):
        save_file({}, file)
        with pytest.raises(
            FormatError,
            match=r"12 tensors missing \(features.0.weight; features.1.weight; .*; …\)",
        ):
            load_tensors(build("nbdt:digits-cnn"), file)

    def test_integers_for_numbers(self, file):
        save_file({"weight": torch.zeros(2, 2, dtype=torch.int64), "bias": torch.zeros(2)}, file)
        with pytest.raises(FormatError, match=r"weight is torch\.int64, expected torch\.float32"):
            load_tensors(nn.Linear(2, 2), file)

    def test_batch_norm_counters_may_be_missing(self, file):
        net = build("nbdt:digits-cnn")
        state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
        save_file(state, file)
        again = build("nbdt:digits-cnn")
        load_tensors(again, file)
        assert torch.equal(again.linear.weight, net.linear.weight)

    def test_what_the_network_refuses_itself(self, file):
        class Stubborn(nn.Linear):
            def _load_from_state_dict(self, *args):
                args[-1].append("not today")

        save_tensors(nn.Linear(2, 2), file)
        with pytest.raises(FormatError, match="not today"):
            load_tensors(Stubborn(2, 2), file)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x80\x04}q\x00.",
            b"\xff" * 100,
            struct.pack("<Q", 2**60) + b"{}",
            struct.pack("<Q", 2) + b"[]",
            struct.pack("<Q", 5) + b'{"a":',
            struct.pack("<Q", 64)
            + json.dumps({"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
            .encode()
            .ljust(64),
        ],
    )
    def test_files_that_are_none(self, file, data):
        file.write_bytes(data)
        with pytest.raises(FormatError, match="not a whole safetensors file"):
            load_tensors(nn.Linear(2, 2), file)

    def test_missing_file(self, file):
        with pytest.raises(FormatError, match="not a whole safetensors file"):
            load_tensors(nn.Linear(2, 2), file)
