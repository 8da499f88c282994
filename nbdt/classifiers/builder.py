"""Networks by name: built, optionally with published weights, and rebuilt from a saved folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import nn
from torch.overrides import TorchFunctionMode

from nbdt.classifiers.base import Library, Limits, WeightsInfo, libraries_of, split_name
from nbdt.documents import Document
from nbdt.errors import InputError, Note, NotFoundError

_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


class Builder(Document):
    """How to build a network again: a name and arguments, never weights.

    Building from an untrusted file imports no code that the file chose, downloads nothing, opens no
    file and is bounded in size. `arguments` are limited to the `Library`'s.

    Example:
        >>> Builder(name="nbdt:digits-cnn", arguments={"num_classes": 3}).build().linear
        Linear(in_features=64, out_features=3, bias=True)
    """

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        try:
            split_name(name)
        except InputError as error:
            raise ValueError(str(error).removeprefix("a network's name ")) from None
        return name

    @field_validator("arguments")
    @classmethod
    def _check_arguments(cls, arguments: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "name" in info.data:
            library, _ = split_name(info.data["name"])
            for key, value in arguments.items():
                if key not in library.arguments:
                    raise ValueError(
                        f"has {key!r:.80}, but networks of {library.name} are built with "
                        f"{', '.join(library.arguments)}; build it yourself and pass the network."
                    )
                _check_argument(key, value, library.arguments[key])
        return arguments

    def build(self, **weights: Any) -> nn.Module:
        """A new network, with random weights or those described by `Library.weights`' arguments.

        A NotFoundError lists near names; an InputError if the network rejects the arguments.
        """
        library, network = split_name(self.name)
        library.check_network(network)
        try:
            return library.construct(network, **self.arguments, **weights)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.name} cannot be built with {self.arguments}: {error}"
            ) from None

    def blueprint(self) -> nn.Module:
        """The network on torch's meta device: its parts and shapes, without memory or weights."""
        try:
            with torch.device("meta"):
                return self.build()
        except (NotImplementedError, RuntimeError):
            # It computes its sizes with tensors, as RegNet does.
            with _WeightlessTensors():
                return self.build()


class _WeightlessTensors(TorchFunctionMode):
    """Puts only what layers make their weights with on the meta device."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func in _MAKERS and given.get("device") is None:
            given["device"] = "meta"
        return func(*args, **given)


def builder_of(network: nn.Module) -> Builder | None:
    """The `Builder` that `build` noted on the network, or None."""
    found = getattr(network, "nbdt_builder", None)
    return found if isinstance(found, Builder) else None


def search_builder(network: nn.Module) -> Builder | None:
    """A `Builder` that builds a user's own network again, if its library can tell."""
    if builder_of(network) is not None:
        return None  # not the user's own
    for library in libraries_of(network):
        try:
            known = library.rebuilds(network)
        except InputError as error:
            warnings.warn(
                f"{error} So the folder cannot build it: to load the model, build the network "
                "yourself and pass it, by network=… or, to a command, --network FILE.py:FUNCTION.",
                Note,
                stacklevel=3,
            )
            return None
        if known is not None:
            return Builder(name=f"{library.name}:{known[0]}", arguments=known[1])
    return None


def first_that_builds(
    network: nn.Module, candidates: Iterable[tuple[str, dict[str, Any]]], library: Library
) -> tuple[str, dict[str, Any]]:
    """The first name, with arguments, that builds this network; an InputError if none does."""
    nearest = None
    for name, arguments in candidates:
        try:
            builder = Builder(name=f"{library.name}:{name}", arguments=arguments)
            different = difference(network, builder.blueprint())
        except InputError:
            continue
        if different is None:
            return name, arguments
        nearest = nearest or f"{library.name}:{name} is like it, but here {different}."
    raise InputError(
        f"no network of {library.name} is this {type(network).__name__}: {nearest or 'none fits.'}"
    )


def shortest_between(low: float, high: float) -> float:
    """The number with the fewest digits in an interval, nearest to its middle."""
    middle = (low + high) / 2
    found = (round(middle, digits) for digits in range(1, 9))
    return next((number for number in found if low <= number <= high), middle)


def build(name: str, *, weights: str | None = None, **arguments: Any) -> nn.Module:
    """A network by name; its `Builder` is noted on it, for `NBDT.save_pretrained`.

    Args:
        name: "torchvision:resnet50", "timm:convnext_tiny", "nbdt:digits-cnn", ….
        weights: None for random weights. A name, such as "DEFAULT", loads torchvision's or timm's
            published weights, which **downloads** them unless they are cached; for timm the name is
            the tag, such as "a1_in1k".
        **arguments: as in `Builder`.

    Raises:
        NotFoundError: no network or no weights have this name, or they cannot be fetched.
        InputError: the arguments do not fit the network, or the weights.

    Example:
        >>> build("torchvision:resnet18", num_classes=10).fc
        Linear(in_features=512, out_features=10, bias=True)
    """
    library, network = split_name(name)
    builder = Builder(name=name, arguments=arguments)
    if weights is None:
        module = builder.build()
    else:
        library.check_network(network)
        network, options = library.weights(network, weights)
        name = f"{library.name}:{network}"
        try:
            module = builder.replace(name=name).build(**options)
        except (OSError, RuntimeError) as error:
            raise NotFoundError(
                f"the weights {weights} of {name} could not be fetched: {error}"
            ) from error
        arguments |= library.set_by_weights(module)
        builder = Builder(name=name, arguments=arguments)
    module.nbdt_builder = builder  # type: ignore[assignment]
    return module


def weights_info(name: str, weights: str = "DEFAULT") -> WeightsInfo:
    """The preprocessing and class names of trained weights; nothing is downloaded."""
    library, network = split_name(name)
    library.check_network(network)
    return library.weights_info(network, weights)


def likely_info(name: str, file: str) -> tuple[str, WeightsInfo] | None:
    """The published weights that a file of weights holds or was trained like, and their facts."""
    library, network = split_name(name)
    library.check_network(network)
    weights = library.likely_weights(network, file)
    try:
        return None if weights is None else (weights, library.weights_info(network, weights))
    except (NotFoundError, InputError):
        return None


def difference(network: nn.Module, built: nn.Module) -> str | None:
    """The first difference between two networks, apart from their weights, as a phrase.

    It compares the types of the parts, their plain settings (stride, dropout, …), and the names and
    shapes of the tensors.

    Example:
        >>> difference(nn.Linear(2, 3), nn.Linear(2, 4))
        'out_features is 3, not 4'
    """
    mine, theirs = dict(network.named_modules()), dict(built.named_modules())
    for name in [*mine, *theirs]:
        if name not in theirs or name not in mine:
            return f"{name} is {'there' if name in mine else 'missing'}"
        one, other = mine[name], theirs[name]
        if type(one) is not type(other):
            return f"{name or 'it'} is a {type(one).__name__}, not a {type(other).__name__}"
        settings, expected = _settings(one), _settings(other)
        for key in [*settings, *expected]:
            if settings.get(key) != expected.get(key):
                where = f"{name}.{key}" if name else key
                return f"{where} is {settings.get(key)!r}, not {expected.get(key)!r}"
    shapes, others = (
        {key: tuple(value.shape) for key, value in net.state_dict().items()}
        for net in (network, built)
    )
    for key in [*shapes, *others]:
        if shapes.get(key) != others.get(key):
            return f"{key} has shape {shapes.get(key)}, not {others.get(key)}"
    return None


def _settings(module: nn.Module) -> dict[str, Any]:
    # In-place or not, the numbers are the same; train or eval is not part of the architecture, and
    # a replaced last layer leaves the number of classes as it was.
    return {
        key: value
        for key, value in vars(module).items()
        if (isinstance(value, bool | int | float | str | tuple) or key == "forward")
        and not key.startswith("_")
        and key not in ("training", "inplace", "num_classes")
    }


def _check_argument(key: str, value: object, limits: Limits) -> None:
    if isinstance(limits, tuple):
        low, high = limits
        kinds = (int,) if isinstance(low, int) else (int, float)
        if type(value) not in kinds or not low <= value <= high:  # type: ignore[operator]
            kind = "a whole number" if kinds == (int,) else "a number"
            raise ValueError(f"has {key}={value!r:.80}; it must be {kind} from {low} to {high}.")
    elif not isinstance(value, limits):
        raise ValueError(f"has {key}={value!r:.80}; it must be true or false.")
