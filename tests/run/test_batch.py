"""One batch through a model: its mode, gradients and devices, and what a layer is given."""

import torch
from torch import Tensor, nn

from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.run import forward, forward_with_inputs_of, moved, weights_device

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
X = torch.randn(7, 4)


def test_the_mode_is_eval_inside_and_each_part_is_in_its_own_afterwards() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))
    model = NBDT(network, TREE).train()
    network[1].eval()
    first = forward(model, X)
    assert torch.equal(first, forward(model, X))
    assert not first.requires_grad
    assert (model.training, network[0].training, network[1].training) == (True, True, False)


def test_inputs_may_be_mappings() -> None:
    class Text(nn.Module):
        def forward(self, words: Tensor) -> Tensor:
            return words

    assert torch.equal(forward(NBDT(Text(), TREE), {"words": torch.eye(3)}), torch.eye(3))


def test_what_a_layer_is_given_is_seen_once_a_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            both: Tensor = self.head(x) + self.head(2 * x)
            return both

    network = Twice()
    model = NBDT(network, TREE)
    logits, seen = forward_with_inputs_of(network.head, model, X)
    assert torch.equal(logits, forward(model, X))
    assert [torch.equal(one, n * X) for n, one in enumerate(seen, start=1)] == [True, True]
    assert not network.head._forward_pre_hooks


def test_tensors_of_mappings_are_moved_and_all_else_is_left() -> None:
    text = ["a", "b"]
    batch = {"ids": torch.zeros(2, 3), "inner": {"mask": torch.ones(2)}, "text": text}
    found = moved(batch, torch.device("meta"))
    assert found["ids"].device.type == found["inner"]["mask"].device.type == "meta"
    assert found["text"] is text
    assert batch["ids"].device.type == "cpu"


def test_only_images_are_stored_pixel_by_pixel() -> None:
    device = torch.device("cpu")
    images = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    found = moved(images, device, channels_last=True)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, images)
    assert moved(torch.zeros(2, 3), device, channels_last=True).is_contiguous()
    assert moved(images, device).is_contiguous()


def test_a_network_without_weights_is_anywhere() -> None:
    assert weights_device(nn.Linear(2, 3)) == torch.device("cpu")
    assert weights_device(nn.Identity()) is None
    assert moved(X, None) is X
