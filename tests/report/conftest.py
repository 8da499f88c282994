"""A model of handwritten digits that is right often but not always, and what is measured of it."""

import pytest
import torch
from torch import nn

from nbdt.classifiers import induce
from nbdt.data import LabelledImages, load_dataset
from nbdt.model import NBDT
from nbdt.report import Measurement, Origin, measure, to_page


def nearest_mean() -> nn.Module:
    """A network that answers the class whose mean training image is nearest."""
    train = load_dataset("digits", "train")
    images = torch.stack([train[index][0].flatten() for index in range(len(train))])
    labels = torch.from_numpy(train.targets)
    means = torch.stack([images[labels == label].mean(0) for label in range(10)])
    linear = nn.Linear(64, 10)
    with torch.no_grad():
        linear.weight.copy_(means)
        linear.bias.copy_(-(means**2).sum(1) / 2)
    return nn.Sequential(nn.Flatten(), linear).eval()


@pytest.fixture(scope="session")
def digits() -> LabelledImages:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def model(digits: LabelledImages) -> NBDT:
    network = nearest_mean()
    return NBDT(network, induce(network, digits.classes))


@pytest.fixture(scope="session")
def found(model: NBDT, digits: LabelledImages) -> Measurement:
    return measure(model, digits)


@pytest.fixture(scope="session")
def page(found: Measurement) -> str:
    return to_page(found, Origin(model="nearest mean", data="450 digits"))
