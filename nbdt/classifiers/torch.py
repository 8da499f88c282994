"""Torch networks of any kind: the head is found or named by the user, never guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbdt.classifiers.base import Adapter, libraries_of
from nbdt.classifiers.head import (
    Head,
    checked_layer,
    describe_layers,
    is_linear,
    is_torch_block,
    linear_layers,
    num_outputs,
)
from nbdt.classifiers.output_trace import SIGMOID, SOFTMAX, trace_output
from nbdt.classifiers.outputs import OutputKind, as_logits
from nbdt.errors import HeadError, InputError
from nbdt.inputs.array import as_array
from nbdt.inputs.base import kind_of


def find_head(
    network: Any,
    path: str | None = None,
    *,
    num_classes: int | None = None,
    outputs: OutputKind = "logits",
) -> Head:
    """Finds the last linear layer of a classifier; `Head.module` is the layer itself, not a copy.

    In this order: the layer that `path` names, such as ``"encoder.fc"``; the layer that the
    network's own library names (timm's ``get_classifier``, transformers' ``classifier`` or
    ``score``, torchvision's ``fc``, ``classifier``, ``head`` or ``heads``); the layer whose output
    the network's ``forward`` returns, if that can be traced without an input; the only linear layer
    or 1×1 convolution whose outputs can be the classes (`num_classes` chooses between several).
    DataParallel, DDP and `torch.compile` wrappers are unwrapped.

    The network may be on any device (the meta device included), or be a fitted linear classifier or
    MLPClassifier of scikit-learn, or a pipeline that ends in one. A network that ends in a softmax
    is refused unless `outputs` says so.

    Raises:
        HeadError: no such layer, or several qualify (the error lists them), or
            `check_classifier` refuses the network and no `path` is given.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3), nn.LogSoftmax(1))
        >>> head = find_head(net)
        >>> head.path, tuple(head.rows.shape), head.num_classes
        ('2', (3, 16), 3)
    """
    if not isinstance(network, nn.Module) or isinstance(network, Adapter):
        model = network.model if isinstance(network, Adapter) else network
        for library in libraries_of(network):
            if path is not None:
                raise HeadError(
                    f"path={path!r} names a layer of a torch network, but {type(model).__name__} "
                    "is not one; leave it out."
                )
            return library.head(model)
        raise HeadError(_not_a_classifier(network))
    if path is None:
        found = _search(network, num_classes, outputs)
        if found.path is None:
            raise HeadError(_not_found(network, found))
        path, altered = found.path, found.altered
    else:
        path = _named(network, path)
        altered = _may_alter(network, path, num_classes, outputs)
    layer = checked_layer(network.get_submodule(path), path)
    return Head(path, layer, _class_names(network, path, max(2, num_outputs(layer))), altered)


def check_classifier(model: Any, outputs: OutputKind = "logits") -> nn.Module:
    """The model as a network; refused if it is known not to choose one class among many.

    Refuses multi-label and regression networks of transformers, detection and segmentation models,
    and networks that end in a sigmoid or softmax, unless `outputs` says so; the HeadError suggests
    a fix if there is one. A network about which nothing is known passes.

    Example:
        >>> check_classifier(nn.Sequential(nn.Linear(8, 3), nn.Softmax(dim=1)))
        Traceback (most recent call last):
        nbdt.errors.HeadError: the Sequential ends in a softmax, so it gives probabilities, ...
    """
    if not isinstance(model, nn.Module):
        for library in libraries_of(model):
            return library.module(model)
        raise HeadError(_not_a_classifier(model))
    if not isinstance(model, Adapter):
        _search(model, None, outputs)
    return model


def unwrap(network: nn.Module) -> tuple[nn.Module, str]:
    """The network inside torch's wrappers, such as DDP and `torch.compile`, and its path there."""
    path: list[str] = []
    while True:
        children = dict(network.named_children())
        of_torch = type(network).__module__.startswith("torch.")
        if list(children) not in (["module"], ["_orig_mod"]) or not of_torch:
            return network, ".".join(path)
        path.extend(children)
        (network,) = children.values()


def network_logits(
    network: nn.Module, x: Any, num_classes: int | None, outputs: OutputKind = "logits"
) -> Float[Tensor, "batch classes *sites"]:
    """The network's output for a batch, as logits; see `as_logits`.

    Without `num_classes` there are as many classes as outputs. An `x` that is a mapping is passed
    as keyword arguments. An InputError if the output has another form.
    """
    return as_logits(_called(network, x), outputs, num_classes)


def as_batch(x: Any) -> Any:
    """Arrays and rows of numbers as the tensor that a network takes; other lists as they are."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub":
        tensor = torch.from_numpy(np.ascontiguousarray(x))
        return tensor.to(torch.get_default_dtype()) if x.dtype.kind == "f" else tensor
    if isinstance(x, list | tuple) and x and isinstance(x[0], list | tuple | int | float):
        return torch.from_numpy(as_array(list(x), "the rows"))
    if isinstance(x, str | bytes | os.PathLike) or type(x).__module__.startswith("PIL"):
        raise InputError(
            f"this model does not say how {kind_of(x)} becomes its input; give it a "
            "preprocessing, or give a tensor."
        )
    return x


def moved(inputs: Any, device: torch.device | None, *, channels_last: bool = False) -> Any:
    """A batch on a device: a tensor, or a mapping whose tensors are moved; anything else stays.

    `channels_last` stores images, of shape (batch, channels, height, width), pixel by pixel.
    """
    if isinstance(inputs, Mapping):
        return {
            key: moved(value, device, channels_last=channels_last) for key, value in inputs.items()
        }
    if not isinstance(inputs, Tensor) or device is None:
        return inputs
    layout = torch.channels_last if channels_last and inputs.ndim == 4 else torch.preserve_format
    # Towards the CPU, values could be read before they have arrived.
    return inputs.to(device, non_blocking=device.type != "cpu", memory_format=layout)


def weights_device(network: nn.Module) -> torch.device | None:
    """Where a network's weights are; None for one without weights, which is anywhere."""
    return next((parameter.device for parameter in network.parameters()), None)


def _called(network: nn.Module, x: Any) -> Any:
    if isinstance(network, Adapter):
        return network(x)
    try:
        return network(**x) if isinstance(x, Mapping) else network(x)
    except (TypeError, AttributeError, RuntimeError) as error:
        if not isinstance(x, Tensor | Mapping):
            error.add_note(
                f"The network was given an object of type {type(x).__name__}. Most take a tensor "
                "with a row per sample, or a mapping of keyword arguments."
            )
        if isinstance(x, Tensor) and x.ndim in (1, 3):
            error.add_note("Is this one sample? A model takes a batch: x[None] makes one.")
        raise


# ── the search ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Found:
    """Where the head is, or why there is none, and where it may be."""

    path: str | None
    problem: str = ""
    candidates: tuple[str, ...] = ()
    altered: bool = False

    def under(self, prefix: str) -> _Found:
        if self.path is not None:
            return replace(self, path=f"{prefix}.{self.path}".strip("."))
        candidates = tuple(f"{prefix}.{name}".strip(".") for name in self.candidates)
        return replace(self, candidates=candidates)


def _search(module: nn.Module, num_classes: int | None, outputs: OutputKind = "logits") -> _Found:
    """Finds the layer that makes a module's output; raises if it is not a classifier's."""
    inner, wrapped_at = unwrap(module)
    if wrapped_at:
        return _search(inner, num_classes, outputs).under(wrapped_at)
    known = libraries_of(module)
    for library in known:
        library.check(module)
    if is_linear(module):
        return _Found("")
    if "quantized" in type(module).__module__ and not list(module.children()):
        return _Found("")  # `checked_layer` reports what is wrong
    if is_torch_block(module):
        return _Found(None, f"it ends in a layer of type {type(module).__name__}")
    parts = next(filter(None, (library.head_paths(module) for library in known)), None)
    if parts is not None:
        found = [_search(module.get_submodule(p), num_classes, outputs).under(p) for p in parts]
        paths = tuple(one.path for one in found if one.path is not None)
        if len(parts) == 1 or len(paths) == 1:
            return next((one for one in found if one.path is not None), found[0])
        return _Found(None, f"it has {len(parts)} heads", paths)
    end = trace_output(module)
    if end is None:
        children = dict(module.named_children())
        if list(children) == ["module"]:  # a wrapper like DataParallel
            return _search(children["module"], num_classes, outputs).under("module")
        return _only_layer(module, num_classes)
    if end.maker is None:
        one = _Found(None, f"it returns {end.otherwise}", tuple(linear_layers(module)))
    else:
        one = _search(module.get_submodule(end.maker), num_classes, outputs).under(end.maker)
    if end.squashing is not None and not _is_expected(module, end.squashing, one, outputs):
        raise HeadError(_squashed(module, end.squashing, one))
    return replace(one, altered=one.altered or end.altered)


def _only_layer(module: nn.Module, num_classes: int | None) -> _Found:
    """The only layer that can be the head of a module whose forward could not be traced."""
    layers = linear_layers(module)
    if not layers:
        return _Found(None, f"{type(module).__name__} has no linear layer or 1×1 convolution")
    if num_classes is None:
        # 1×1 convolutions before the only Linear belong to the backbone, as in ResNet shortcuts.
        dense = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
        fitting = dense if dense == list(layers)[-1:] else list(layers)
        problem = f"{len(fitting)} layers are candidates"
    else:
        outputs = {num_classes, 1} if num_classes == 2 else {num_classes}
        fitting = [name for name, layer in layers.items() if num_outputs(layer) in outputs]
        problem = f"{len(fitting) or 'no'} linear layers have {num_classes} outputs"
    if len(fitting) == 1:
        return _Found(fitting[0], altered=True)  # as nothing says otherwise
    return _Found(None, problem, tuple(fitting or layers))


def _may_alter(network: nn.Module, path: str, num_classes: int | None, outputs: OutputKind) -> bool:
    """Whether the network may return something other than this layer's output."""
    try:
        found = _search(network, num_classes, outputs)
    except HeadError:
        return True
    return found.path != path or found.altered


def _named(network: nn.Module, path: str) -> str:
    for full in (path, f"{unwrap(network)[1]}.{path}".strip(".")):
        try:
            network.get_submodule(full)
        except AttributeError:
            continue
        return full
    raise HeadError(f"{type(network).__name__} has no layer {path!r}. {_choice(network)}")


def _class_names(network: nn.Module, path: str, num_classes: int) -> tuple[str, ...] | None:
    """The class names of the network, or of its part that holds the head."""
    steps = path.split(".")
    for depth in range(len(steps)):
        owner = network.get_submodule(".".join(steps[:depth]))
        for library in libraries_of(owner):
            if (names := library.classes(owner, num_classes)) is not None:
                return names
    return None


def _not_found(network: nn.Module, found: _Found) -> str:
    kind = type(network).__name__
    choice = _choice(network, found.candidates)
    return f"the head of this {kind} was not found: {found.problem}. {choice}"


def _choice(network: nn.Module, names: Sequence[str] = ()) -> str:
    every = linear_layers(network)
    layers = {name: every[name] for name in names if name in every} or every
    if not layers:
        return "It has no linear layer to name; give nbdt.induce an array of class rows instead."
    last = list(layers)[-1]
    return (
        f"Linear layers in it: {describe_layers(layers)}. Name the one whose outputs are the "
        f"classes, for example find_head(network, path={last!r}) or "
        f"nbdt.induce(network, head={last!r})."
    )


def _is_expected(module: nn.Module, squashing: str, found: _Found, outputs: OutputKind) -> bool:
    """Whether a network that ends so gives the probabilities of one class among many."""
    if outputs != "probabilities" or squashing == SOFTMAX:
        return outputs == "probabilities"
    layer = module.get_submodule(found.path) if found.path is not None else None
    return is_linear(layer) and num_outputs(layer) == 1


def _squashed(module: nn.Module, squashing: str, found: _Found) -> str:
    kind = f"the {type(module).__name__} ends in a {squashing}"
    if squashing == SOFTMAX:
        return (
            f"{kind}, so it gives probabilities, while nbdt reads logits. Say "
            "outputs='probabilities', or leave the softmax out (log_softmax may stay)."
        )
    assert squashing == SIGMOID
    layer = module.get_submodule(found.path) if found.path is not None else None
    outputs = num_outputs(layer) if is_linear(layer) else None
    if outputs == 1:
        return (
            f"{kind} over one output, so it gives a probability, while nbdt reads logits. Say "
            "outputs='probabilities', or leave the sigmoid out: one output z is then read as the "
            "logits (0, z) of two classes."
        )
    over = "" if outputs is None else f" over {outputs} outputs"
    return (
        f"{kind}{over}, which makes it multi-label: an input may have several classes or none, "
        "while a path down a tree leads to exactly one. If exactly one class is right, leave the "
        "sigmoid out."
    )


def _not_a_classifier(value: object) -> str:
    kind = (
        f"the class {value.__name__} itself, not an object of it"
        if isinstance(value, type)
        else f"an object of type {type(value).__name__}"
    )
    return f"a network (torch.nn.Module) or a fitted scikit-learn classifier is needed; got {kind}."
