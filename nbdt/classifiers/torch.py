"""Torch networks of any kind: the head is found or named by the user, never guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from nbdt.classifiers.base import Adapter, Library, libraries_of
from nbdt.classifiers.head import Head, checked_layer, num_outputs
from nbdt.classifiers.outputs import OutputKind, as_logits
from nbdt.classifiers.search import (
    ExportedModule,
    class_names,
    named_part,
    not_found,
    search,
    unwrap,
)
from nbdt.errors import HeadError, InputError
from nbdt.inputs.array import as_array
from nbdt.inputs.base import Input, kind_of


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
    if path is not None:
        found = named_part(network, path, num_classes, outputs)
    else:
        found = search(network, num_classes, outputs)
        if found.path is None:
            raise HeadError(not_found(network, found, num_classes))
    path = found.path
    assert path is not None
    layer = found.layer or checked_layer(network.get_submodule(path), path)
    classes = class_names(network, path, max(2, num_outputs(layer)))
    return Head(path, layer, classes, found.altered, detached=found.layer is not None)


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
        search(model, None, outputs)
    # Programs of torch.export refuse to change their mode.
    fixed = isinstance(model, fx.GraphModule) and "train" in vars(model)
    return ExportedModule(model) if fixed else model


class Torch(Library):
    """The interface to torch's own programs that are not modules."""

    name = "torch"

    def recognizes(self, model: object) -> bool:
        kind = type(model)
        return (kind.__module__, kind.__name__) == (
            "torch.export.exported_program",
            "ExportedProgram",
        )

    def module(self, model: Any) -> nn.Module:
        return check_classifier(model.module())

    def head(self, model: Any) -> Head:
        return find_head(model.module())


def network_logits(
    network: nn.Module, x: Any, num_classes: int | None, outputs: OutputKind = "logits"
) -> Float[Tensor, "batch classes *sites"]:
    """The network's output for a batch, as logits; see `as_logits`.

    Without `num_classes` there are as many classes as outputs. An `x` that is a mapping is passed
    as keyword arguments. An InputError if the output has another form.
    """
    if isinstance(network, Adapter) and network.gives_logits:
        outputs = "logits"
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


def _not_a_classifier(value: object) -> str:
    kind = (
        f"the class {value.__name__} itself, not an object of it"
        if isinstance(value, type)
        else f"an object of type {type(value).__name__}"
    )
    return f"a network (torch.nn.Module) or a fitted scikit-learn classifier is needed; got {kind}."


def fitted_input(reads: Input, network: nn.Module) -> Input:
    """The input as this network takes it; an InputError if they don't fit together."""
    inner, _ = unwrap(network)
    if not isinstance(inner, Adapter):
        reads = reads.fitted_to(inner.forward)
        for library in libraries_of(inner):
            reads = library.fitted(reads, inner)
    return reads
