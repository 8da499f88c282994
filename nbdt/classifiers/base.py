"""The interface to libraries of classifiers, and the list of libraries.

Everything specific to a library is in its module of this package, in a subclass of `Library`; other
distributions add theirs with entry points of the group ``nbdt.classifiers``.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from nbdt.classifiers.head import Head
from nbdt.errors import HeadError, InputError, NotFoundError
from nbdt.inputs.base import Input
from nbdt.inputs.image import Preprocessing
from nbdt.registry import registered_classes

Limits = type[bool] | tuple[int, int] | tuple[float, float]
"""What an argument of a network may be: a flag, or a number from the first to the second."""

MAX_CLASSES, MAX_CHANNELS, MAX_SIDE, SHARE = (1, 1_000_000), (1, 1024), (1, 4096), (0.0, 1.0)

_NAME = re.compile(r"([A-Za-z0-9_]{1,100}):([A-Za-z0-9_.-]{1,100})")


@dataclass(frozen=True)
class WeightsInfo:
    """What a publisher states about trained weights; `classes` is None if unknown."""

    preprocessing: Preprocessing
    classes: tuple[str, ...] | None


class Adapter(nn.Module):
    """A classifier that is not a torch module as one: `forward` gives its outputs as a tensor.

    A subclass's `forward` takes the batch that its `Input` makes, whatever that is.

    Args:
        model: the classifier.

    Attributes:
        library: the name of its `Library`.
        reason: why it cannot be trained, exported or differentiated: one sentence.
        gives_logits: whether `forward` makes logits of what the classifier gives, so that a model's
            `outputs` says no more than is known.
    """

    library: ClassVar[str]
    reason: ClassVar[str]
    gives_logits: ClassVar[bool] = False

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> Tensor:
        """The classifier's outputs; shape (batch, classes)."""
        raise NotImplementedError


class Library:
    """The interface to a library; a subclass overrides what its library supports.

    Attributes:
        name: the prefix of its networks' names, as in "timm:resnet50"; folders name it too.
        arguments: the arguments that its networks accept, and their limits, which keep a file from
            requesting a network of terabytes. Empty if it builds none by name.
        channels_argument: which argument is an image's number of channels, if any.
    """

    name: ClassVar[str]
    arguments: ClassVar[Mapping[str, Limits]] = {}
    channels_argument: ClassVar[str | None] = None

    # ── a model that is given ─────────────────────────────────────────────────────────────────

    def recognizes(self, model: object) -> bool:
        """Whether a model is one of the library's; imports nothing."""
        return False

    def module(self, model: Any) -> nn.Module:
        """A model that is not a torch module as one that gives logits.

        If there is no such module, a HeadError says what to do instead.
        """
        raise HeadError(f"no torch network can be made of {type(model).__name__}.")

    def head(self, model: Any) -> Head:
        """The head of a model that is not a torch module; a HeadError if it has none."""
        raise HeadError(f"{type(model).__name__} has no linear layer with a row per class.")

    def input(self, model: Any) -> Input | None:
        """What a model reads, if the library knows."""
        return None

    def as_input(self, value: Any) -> Input | None:
        """A preprocessing object of the library as an `Input`; None if it is not one."""
        return None

    def fitted(self, found: Input, module: nn.Module) -> Input:
        """An input as the library's network takes it; an InputError if they don't fit together."""
        return found

    def zero_shot(
        self, model: Any, classes: Sequence[str], prompts: Any = None, processor: Any = None
    ) -> nn.Module | None:
        """A model that compares samples with texts, as a classifier of these classes.

        None if it is not such a model.
        """
        return None

    # ── models in files ───────────────────────────────────────────────────────────────────────

    def open(self, source: str) -> Any:
        """The model that a file's name or "LIBRARY:FOLDER" stands for; None if it is not such.

        Only Python and the command line call it, never what reads a folder or a request.
        """
        return None

    def saves(self, module: nn.Module) -> bool:
        """Whether `save` writes this network, rather than its state dict and its `Builder`."""
        return False

    def save(self, module: nn.Module, folder: Path) -> dict[str, Any]:
        """Writes safe files into a folder; gives JSON options for `load`."""
        raise NotImplementedError

    def load(self, options: Mapping[str, Any], folder: Path) -> nn.Module:
        """The network that `save` wrote: nothing is unpickled, downloaded or imported by name.

        A FormatError if the options or files, which strangers may have written, are invalid.
        """
        raise NotImplementedError

    def check(self, module: nn.Module) -> None:
        """Refuses a network for another task, with a `HeadError`."""

    def check_part(self, module: nn.Module, path: str) -> None:
        """Refuses, with a `HeadError`, a layer in a module that is only a piece of what it does."""

    def head_paths(self, module: nn.Module) -> list[str] | None:
        """The parts that the library calls the network's classifier; None if it promises none.

        Several if a network averages over heads. A part may be more than a linear layer.
        """
        return None

    def classes(self, module: nn.Module, num_classes: int) -> tuple[str, ...] | None:
        """The class names that the network itself has."""
        return None

    def rebuilds(self, module: nn.Module) -> tuple[str, dict[str, Any]] | None:
        """The name and the arguments by which `construct` builds a user's network again."""
        return None

    # ── networks by name ──────────────────────────────────────────────────────────────────────

    def networks(self) -> list[str]:
        """The names of its classifiers, sorted; a MissingDependencyError if it isn't installed."""
        return []

    def construct(self, network: str, **arguments: Any) -> nn.Module:
        """A network with random weights, or with those that `weights` returned arguments for."""
        raise NotImplementedError

    def weights(self, network: str, weights: str) -> tuple[str, dict[str, Any]]:
        """Published weights: the network's name with them, and the arguments of `construct`.

        A NotFoundError if there are no such weights.
        """
        raise NotFoundError(f"{self.name}:{network} has no published weights; train it.")

    def weights_info(self, network: str, weights: str) -> WeightsInfo:
        """What the publisher states about weights; nothing is downloaded."""
        raise NotFoundError(f"{self.name}:{network} has no published weights; train it.")

    def likely_weights(self, network: str, file: str) -> str | None:
        """The published weights that a file of weights holds, by its name, or was trained like."""
        return None

    def set_by_weights(self, module: nn.Module) -> dict[str, Any]:
        """Arguments that published weights changed, and that rebuilding needs."""
        return {}

    def check_network(self, network: str) -> None:
        """Refuses a network that the library does not have, with a NotFoundError of near names."""
        known = self.networks()
        if network not in known:
            close = difflib.get_close_matches(network, known, n=3, cutoff=0.5) or known[:3]
            raise NotFoundError(
                f"{self.name} has no classifier {network!r}; near names: {', '.join(close)}."
            )


@cache
def libraries() -> tuple[Library, ...]:
    """The built-in libraries, and those that other distributions registered."""
    return tuple(library() for library in registered_classes("nbdt.classifiers", Library))


def libraries_of(model: object) -> list[Library]:
    """The libraries that recognize a model, or the one that made an adapter."""
    if isinstance(model, Adapter):
        return [library_named(model.library)]
    return [library for library in libraries() if library.recognizes(model)]


def library_named(name: str) -> Library:
    """The library of that name; a NotFoundError lists the others."""
    for library in libraries():
        if library.name == name:
            return library
    known = ", ".join(library.name for library in libraries())
    raise NotFoundError(f"there is no library {name!r:.80}; the libraries are {known}.")


def open_classifier(source: str | os.PathLike[str]) -> Any:
    """The classifier that a file's name or "LIBRARY:FOLDER" stands for.

    Example:
        >>> open_classifier("model.xyz")
        Traceback (most recent call last):
        nbdt.errors.NotFoundError: model.xyz: no library reads this as a classifier; ...
    """
    text = os.fspath(source)
    for library in libraries():
        if (model := library.open(text)) is not None:
            return model
    raise NotFoundError(
        f"{text}: no library reads this as a classifier; give a fitted classifier or a network, "
        "or the name of one, such as model.onnx, model.skops or transformers:FOLDER."
    )


def input_of(model: Any) -> Input | None:
    """What a model reads, if one of its libraries knows."""
    found = (library.input(model) for library in libraries_of(model))
    return next((one for one in found if one is not None), None)


def as_input(value: Any) -> Input:
    """An `Input`, or any library's own preprocessing as one; an InputError if none knows it."""
    if isinstance(value, Input):
        return value
    for library in libraries():
        if (found := library.as_input(value)) is not None:
            return found
    raise InputError(
        f"preprocessing must be a Preprocessing or another Input, or a library's own, such as "
        f"weights.transforms(); got {value!r:.80}."
    )


def zero_shot(
    model: Any,
    classes: Sequence[str] | None,
    prompts: str | Sequence[str] | None = None,
    processor: Any = None,
) -> Any:
    """A model such as CLIP as a classifier of these classes; any other classifier as it is.

    Args:
        model: a classifier, or a model of transformers that compares images with texts.
        classes: their names.
        prompts: texts in which ``{}`` stands for a name, "a photo of a {}." by default; several are
            averaged.
        processor: the model's own, if it was not opened from a folder that has one.
    """
    if classes is not None:
        for library in libraries_of(model):
            if (found := library.zero_shot(model, classes, prompts, processor)) is not None:
                return found
    if prompts is not None:
        raise InputError(
            "prompts are for models that compare images with texts, such as CLIP, together with "
            f"classes; got {type(model).__name__}."
        )
    return model


def builders() -> dict[str, Library]:
    """By name, the libraries that build networks by name."""
    return {library.name: library for library in libraries() if library.arguments}


def split_name(name: object) -> tuple[Library, str]:
    """The library and the network in a name such as "timm:resnet50"."""
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    known = builders()
    if not match or match[1] not in known:
        *first, last = (f"'{library}:…'" for library in known)
        raise InputError(
            f"a network's name must be {', '.join(first)} or {last}, got {name!r:.80}."
        )
    return known[match[1]], match[2]


def list_networks(library: str) -> list[str]:
    """The names of a library's classifiers, sorted; timm's with and without weights' tags.

    The library is "torchvision", "timm", "nbdt", or one that another distribution registered. A
    MissingDependencyError if it is not installed.
    """
    known = builders()
    if library not in known:
        raise NotFoundError(f"the libraries are {', '.join(known)}, not {library!r:.80}.")
    return known[library].networks()
