"""`Builder`: how to build a network again, as a name and arguments that a file may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nbdt.classifiers.families import check_known, constructor
from nbdt.errors import FormatError, InputError

_NAME = re.compile(r"(torchvision|timm|nbdt):([A-Za-z0-9_.-]{1,100})")

# What an argument may be: a flag, or a number within these limits. The limits keep a file from
# asking for a network of terabytes.
_Limits = type[bool] | tuple[int, int] | tuple[float, float]
_CLASSES, _CHANNELS, _SIDE, _SHARE = (1, 1_000_000), (1, 1024), (1, 4096), (0.0, 1.0)
_ARGUMENTS: dict[str, dict[str, _Limits]] = {
    "torchvision": {
        "num_classes": _CLASSES,
        "image_size": _SIDE,
        "width_mult": (0.01, 4.0),
        "dropout": _SHARE,
        "aux_logits": bool,
        "transform_input": bool,
    },
    "timm": {
        "num_classes": _CLASSES,
        "in_chans": _CHANNELS,
        "img_size": _SIDE,
        "drop_rate": _SHARE,
        "drop_path_rate": _SHARE,
    },
    "nbdt": {"num_classes": _CLASSES, "in_channels": _CHANNELS},
}
# torchvision warns unless told how these are to be initialised.
_NEED_INIT_WEIGHTS = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Builder:
    """How to build a network again: a name and arguments, never weights.

    Args:
        name: "torchvision:resnet50", "timm:convnext_tiny", "nbdt:digits-cnn", ….
        arguments: what the network's constructor is given: for torchvision num_classes,
            image_size, width_mult, dropout, aux_logits, transform_input; for timm num_classes,
            in_chans, img_size, drop_rate, drop_path_rate; for nbdt num_classes, in_channels.

    Raises:
        InputError: the name is not of this form, or an argument is not among these or is out
            of range.

    Example:
        >>> builder = Builder("nbdt:digits-cnn", {"num_classes": 3})
        >>> builder.build().linear
        Linear(in_features=64, out_features=3, bias=True)
        >>> Builder.from_dict(builder.to_dict()) == builder
        True
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        match = _NAME.fullmatch(self.name) if isinstance(self.name, str) else None
        if not match:
            raise InputError(
                f"a network's name is 'torchvision:…', 'timm:…' or 'nbdt:…', got {self.name!r:.80}."
            )
        if not isinstance(self.arguments, Mapping):
            raise InputError(f"a network's arguments are a mapping, got {self.arguments!r:.80}.")
        for key, value in self.arguments.items():
            _check_argument(match[1], key, value)
        object.__setattr__(self, "arguments", dict(self.arguments))

    @property
    def family(self) -> str:
        """What stands before the colon."""
        return self.name.partition(":")[0]

    @property
    def network(self) -> str:
        """What stands after the colon."""
        return self.name.partition(":")[2]

    def build(self, **weights: Any) -> nn.Module:
        """A new network.

        Args:
            **weights: what makes the family's constructor fetch trained weights, see
                `nbdt.classifiers.build`; none, for random weights.

        Raises:
            NotFoundError: the family has no network of that name; near names are listed.
            InputError: this network does not take these arguments.
            MissingDependencyError: it is a network of timm, which is not installed.
        """
        check_known(self.family, self.network)
        arguments = dict(self.arguments)
        if self.network in _NEED_INIT_WEIGHTS and not weights:
            arguments["init_weights"] = True
        try:
            return constructor(self.family, self.network)(**arguments, **weights)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name} cannot be built with {arguments}: {error}") from None

    def blueprint(self) -> nn.Module:
        """The network on torch's meta device: its parts and shapes, without memory or weights.

        The few networks that cannot be built there are built for real.
        """
        try:
            with torch.device("meta"):
                return self.build()
        except (NotImplementedError, RuntimeError):
            return self.build()

    def to_dict(self) -> dict[str, Any]:
        """The builder as values that JSON can hold."""
        return {"name": self.name, "arguments": dict(self.arguments)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Builder:
        """The builder that `to_dict` gave.

        Raises:
            FormatError: keys are missing or unknown, or a value is not valid.
        """
        if not isinstance(document, Mapping) or set(document) != {"name", "arguments"}:
            raise FormatError(f"a builder has a name and arguments, got {document!r:.200}.")
        try:
            return cls(document["name"], document["arguments"])
        except InputError as error:
            raise FormatError(f"builder: {error}") from None


def builder_of(network: nn.Module) -> Builder | None:
    """The `Builder` that `nbdt.classifiers.build` noted on the network, or None.

    Example:
        >>> builder_of(nn.Linear(2, 2)) is None
        True
    """
    found = getattr(network, "nbdt_builder", None)
    return found if isinstance(found, Builder) else None


def _check_argument(family: str, key: object, value: object) -> None:
    allowed = _ARGUMENTS[family]
    if key not in allowed:
        raise InputError(
            f"a {family} network is built with {', '.join(allowed)}, not with {key!r:.80}; build "
            "it yourself and pass the network."
        )
    limits = allowed[str(key)]
    if isinstance(limits, tuple):
        low, high = limits
        kinds = (int,) if isinstance(low, int) else (int, float)
        if type(value) not in kinds or not low <= value <= high:  # type: ignore[operator]
            kind = "a whole number" if kinds == (int,) else "a number"
            raise InputError(f"{key} has to be {kind} from {low} to {high}, got {value!r:.80}.")
    elif not isinstance(value, limits):
        raise InputError(f"{key} has to be true or false, got {value!r:.80}.")
