"""Models that the tests of saliency share."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import nbdt
from nbdt.attribution import Saliency
from nbdt.data.digits import PREPROCESSING, Digits, load_digits
from nbdt.demo.training import one_thread, train
from nbdt.hierarchy import Hierarchy

pytest.importorskip("captum", reason="saliency is the extra [attribution], on Captum")


@dataclass(frozen=True)
class DigitModel:
    """A network trained on digits, its tree, and digits it has not seen."""

    model: nbdt.NBDT
    held_out: Digits


@pytest.fixture(scope="session")
def digits() -> DigitModel:
    training, held_out = load_digits().split(seed=0)
    with one_thread():
        network = train(training, 0, lambda *_: None)
    tree = nbdt.induce(network, held_out.classes)
    return DigitModel(nbdt.NBDT(network, tree, preprocessing=PREPROCESSING).eval(), held_out)


@pytest.fixture
def tree() -> Hierarchy:
    return Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus", "animal", "thing", "any"])


@pytest.fixture
def linear(tree: Hierarchy) -> nbdt.NBDT:
    """Its logits are linear in the pixels of a 2-channel 3×4 input."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 4))
    return nbdt.NBDT(network, tree, score="mean").eval()


@pytest.fixture
def conv(tree: Hierarchy) -> nbdt.NBDT:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        nn.Dropout(0.5),
        nn.ReLU(),
        nn.Conv2d(5, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )
    return nbdt.NBDT(network, tree).eval()


def made(**changes):
    fields = {
        "attribution": torch.tensor([[1.0, -0.5], [0.25, 0.0]]),
        "node": 3, "node_name": "animal", "child": 0, "child_name": "cat",
        "rival": 1, "rival_name": "dog",
        "probability": 0.999, "difference": 2.0, "method": "integrated_gradients",
    }  # fmt: skip
    return Saliency(**fields | changes)
