"""The families of networks and their members: torchvision's, timm's and the project's own."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchvision import models

from nbdt.classifiers.own import CifarResNet, LeNet, SmallCNN
from nbdt.errors import MissingDependencyError, NotFoundError

FAMILIES = ("torchvision", "timm", "nbdt")
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "digits-cnn": partial(SmallCNN, widths=(32, 64)),
    "small-cnn": partial(SmallCNN, widths=(32, 64, 128)),
    "lenet": LeNet,
    "cifar-resnet20": partial(CifarResNet, depth=20),
}


def list_networks(family: str) -> list[str]:
    """The names of the family's classifiers, sorted; timm's with and without weights' tags.

    Args:
        family: "torchvision", "timm" or "nbdt".

    Raises:
        NotFoundError: there is no such family.
        MissingDependencyError: the family is timm, which is not installed.

    Example:
        >>> list_networks("nbdt")
        ['cifar-resnet20', 'digits-cnn', 'lenet', 'small-cnn']
    """
    if family == "torchvision":
        return sorted(models.list_models(module=models))
    if family == "timm":
        timm = import_timm()
        return sorted({*timm.list_models(), *timm.list_pretrained()})
    if family == "nbdt":
        return sorted(NETWORKS)
    raise NotFoundError(f"the families are {', '.join(FAMILIES)}, not {family!r:.80}.")


def check_known(family: str, network: str) -> None:
    """Refuses a network that the family does not have, with a NotFoundError of near names."""
    known = list_networks(family)
    if network not in known:
        close = difflib.get_close_matches(network, known, n=3, cutoff=0.5) or known[:3]
        raise NotFoundError(
            f"{family} has no classifier {network!r}; near names: {', '.join(close)}."
        )


def constructor(family: str, network: str) -> Callable[..., nn.Module]:
    """What makes the network when it is called with arguments."""
    if family == "torchvision":
        return partial(models.get_model, network)
    if family == "timm":
        return partial(import_timm().create_model, network)
    return NETWORKS[network]


def import_timm() -> Any:
    """The package timm, or a MissingDependencyError that says how to install it."""
    try:
        import timm
        import timm.data
    except ImportError:
        raise MissingDependencyError(
            "networks of timm need the package timm: pip install 'nbdt-toolkit[timm]'."
        ) from None
    return timm
