"""The search for the layer that makes a network's output, and the promises that guide it."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, Self

from torch import Tensor, nn

from nbdt.classifiers.base import libraries_of
from nbdt.classifiers.head import (
    LinearLayer,
    checked_layer,
    describe_layers,
    is_linear,
    is_quantized,
    is_torch_block,
    joined_layer,
    linear_layer,
    linear_layers,
    num_outputs,
    scripted_layer,
)
from nbdt.classifiers.output_trace import (
    COMPUTED,
    SIGMOID,
    SOFTMAX,
    OutputTrace,
    trace_output,
)
from nbdt.classifiers.outputs import OutputKind
from nbdt.errors import HeadError, InputError, reason_of

_PLUS = " + "  # between the paths of layers whose outputs are added

# Packages whose wrappers leave the result of a method alone.
_WRAPPERS = ("torch.", "accelerate.", "contextlib", "functools")


def runs_code_of(module: nn.Module, package: str, *names: str) -> bool:
    """Whether the methods that run are those of the module's class in a package.

    What a package states about its classes need not hold if a subclass, the object or a patch
    replaced a method. `names` are the methods that matter; by default all.
    """
    ancestors = (cls for cls in type(module).__mro__ if issubclass(cls, nn.Module))
    owner = next((cls for cls in ancestors if cls.__module__.startswith(package)), None)
    if owner is None:
        return False
    for name in names or dir(owner):
        own = inspect.getattr_static(owner, name, None)
        if name.startswith("__") or not isinstance(own, FunctionType | staticmethod | property):
            continue
        used = inspect.getattr_static(module, name, None)
        if used is own and "forward" not in name:
            continue
        links = list(_links(used))
        modules = (getattr(link, "__globals__", {}).get("__name__", "") for link in links)
        if not all(where.startswith((package, *_WRAPPERS)) for where in modules):
            return False
        if name in vars(module) and links[-1] is not list(_links(own))[-1]:
            return False
    return True


def _links(method: Any) -> Iterator[Any]:
    """The function behind a method, and those that it wraps."""
    while method is not None:
        function = getattr(method, "func", method)  # of a functools.partial
        yield getattr(function, "__func__", function)
        method = getattr(method, "__wrapped__", None)


class ExportedModule(nn.Module):
    """The module of a program that torch.export made; its mode is the one that it was made in."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        for part in module.modules():
            part.training = False
        self.training = False

    def train(self, mode: bool = True) -> Self:
        """Does nothing: the program's mode cannot change."""
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the program returns; an InputError if it was exported for other shapes."""
        try:
            return self.module(*args, **kwargs)
        except AssertionError as error:
            raise InputError(
                f"the exported program does not take this batch ({reason_of(error)}); export it "
                "with a dynamic first axis: torch.export.export(…, dynamic_shapes=…)."
            ) from None


def unwrap(network: nn.Module) -> tuple[nn.Module, str]:
    """The network inside torch's wrappers, such as DDP and `torch.compile`, and its path there."""
    path: list[str] = []
    while True:
        children = dict(network.named_children())
        of_torch = type(network).__module__.startswith("torch.")
        known = of_torch or isinstance(network, ExportedModule)
        if list(children) not in (["module"], ["_orig_mod"]) or not known:
            return network, ".".join(path)
        path.extend(children)
        (network,) = children.values()


@dataclass(frozen=True)
class Found:
    """Where the head is, or why there is none, and where it may be.

    `layer` holds its weights if the network has no such layer; `way_out` is advice for this case.
    """

    path: str | None
    problem: str = ""
    candidates: tuple[str, ...] = ()
    altered: bool = False
    layer: nn.Linear | None = None
    way_out: str = ""

    def under(self, prefix: str) -> Found:
        if self.path is not None:
            parts = (f"{prefix}.{part}".strip(".") for part in self.path.split(_PLUS))
            return replace(self, path=_PLUS.join(parts))
        candidates = tuple(f"{prefix}.{name}".strip(".") for name in self.candidates)
        return replace(self, candidates=candidates)


def search(module: nn.Module, num_classes: int | None, outputs: OutputKind = "logits") -> Found:
    """Finds the layer that makes a module's output; raises if it is not a classifier's."""
    inner, wrapped_at = unwrap(module)
    if wrapped_at:
        return search(inner, num_classes, outputs).under(wrapped_at)
    found = _search_inside(module, num_classes, outputs)
    # A hook of somebody else may return something other than what it was given.
    hooks = [getattr(hook, "__module__", "") for hook in module._forward_hooks.values()]
    hooked = not all(str(where).startswith("torch.") for where in hooks)
    return replace(found, altered=True) if hooked else found


def _search_inside(module: nn.Module, num_classes: int | None, outputs: OutputKind) -> Found:
    known = libraries_of(module)
    for library in known:
        library.check(module)
    if is_linear(module):
        return _of_layer(module)
    if type(module).__name__ == "FullyShardedDataParallel":
        return Found(
            None,
            "its weights lie in flat pieces",
            way_out="Take the network out of FullyShardedDataParallel, or shard it with "
            "torch.distributed.fsdp.fully_shard instead.",
        )
    if is_quantized(module):
        return Found("")  # `checked_layer` reports what is wrong
    if isinstance(module, nn.AdaptiveLogSoftmaxWithLoss):
        return _hierarchical(module)
    if is_torch_block(module):
        return Found(None, f"it ends in a layer of type {type(module).__name__}")
    parts = next(filter(None, (library.head_paths(module) for library in known)), None)
    if parts is not None:
        found = [search(module.get_submodule(p), num_classes, outputs).under(p) for p in parts]
        paths = tuple(one.path for one in found if one.path is not None)
        if len(parts) == 1 or len(paths) == 1:
            return next((one for one in found if one.path is not None), found[0])
        return Found(None, f"it has {len(parts)} heads", paths)
    end = trace_output(module)
    if end is None:
        children = dict(module.named_children())
        if list(children) == ["module"]:  # a wrapper like DataParallel
            return search(children["module"], num_classes, outputs).under("module")
        return _only_layer(module, num_classes)
    one = _of_end(module, end, num_classes, outputs)
    if end.squashing is not None and not _is_expected(module, end.squashing, one, outputs):
        raise HeadError(_squashed(module, end.squashing, one))
    return replace(one, altered=one.altered or end.altered)


def _of_layer(layer: LinearLayer) -> Found:
    """A linear layer as the head; its class may make something else of its weights."""
    if runs_code_of(layer, "torch.", "forward"):
        return Found("")
    end = trace_output(layer)
    if end is None:
        return Found("", altered=True)
    if end.weights is None:
        kind = type(layer).__name__
        return Found(None, f"it ends in a {kind}, whose forward returns {end.otherwise}")
    if end.weights.weight is layer.weight and end.weights.bias in (None, layer.bias):
        return Found("", altered=end.altered)
    return Found("", altered=True, layer=linear_layer(*end.weights[1:]))


def _of_end(
    module: nn.Module, end: OutputTrace, num_classes: int | None, outputs: OutputKind
) -> Found:
    """The head at the end of a module's forward."""
    if end.maker is not None:
        return search(module.get_submodule(end.maker), num_classes, outputs).under(end.maker)
    problem = f"it returns {end.otherwise}"
    if end.weights is not None and end.weights.weight.is_floating_point():
        path, weight, bias = end.weights
        return Found(path, layer=linear_layer(weight, bias), altered=path == COMPUTED)
    terms = [_of_end(module, term, num_classes, outputs) for term in end.terms]
    paths = [term.path for term in terms if term.path is not None]
    linear = not any(
        one.altered or term.clipped for one, term in zip(terms, end.terms, strict=True)
    )
    if terms and linear and len(paths) == len(terms):
        layers = [
            one.layer or checked_layer(module.get_submodule(path), path)
            for one, path in zip(terms, paths, strict=True)
        ]
        if len({num_outputs(layer) for layer in layers}) == 1:
            direct = all(
                t.maker is None or is_linear(module.get_submodule(t.maker)) for t in end.terms
            )
            same = direct and all(t.reads is end.terms[0].reads for t in end.terms)
            joined = joined_layer(layers, [term.scale for term in end.terms], same)
            return Found(_PLUS.join(paths), altered=True, layer=joined)
    for name, part in module.named_modules():
        if isinstance(part, nn.AdaptiveLogSoftmaxWithLoss):
            return _hierarchical(part).under(name)
    return Found(None, problem, tuple(linear_layers(module)))


def _hierarchical(layer: nn.AdaptiveLogSoftmaxWithLoss) -> Found:
    groups = layer.n_clusters
    return Found(
        None,
        f"it ends in a hierarchical softmax ({type(layer).__name__}), whose first layer has "
        f"{layer.shortlist_size} classes and {groups} groups of classes as rows, not its "
        f"{layer.n_classes} classes",
        way_out="Build the tree from what it answers, as nbdt.induce(network, samples=…), or give "
        "nbdt.induce an array with a row per class.",
    )


def _only_layer(module: nn.Module, num_classes: int | None) -> Found:
    """The only layer that can be the head of a module whose forward could not be traced."""
    layers = linear_layers(module)
    if not layers:
        return Found(None, f"{type(module).__name__} has no linear layer or 1×1 convolution")
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
        return Found(fitting[0], altered=True)  # as nothing says otherwise
    return Found(None, problem, tuple(fitting or layers))


def named_part(
    network: nn.Module, path: str, num_classes: int | None, outputs: OutputKind
) -> Found:
    """The layer or the matrix of weights that a user names."""
    try:
        found = search(network, num_classes, outputs)
    except HeadError:
        found = Found(None)
    wrapped = f"{unwrap(network)[1]}.{path}".strip(".")
    if found.path is not None and found.path in (path, wrapped):
        return found
    for full in (path, wrapped):
        try:
            part = operator.attrgetter(full)(network) if full else network
        except (AttributeError, TypeError):
            continue
        if isinstance(part, Tensor) and part.ndim == 2 and not full.endswith(".weight"):
            return Found(full, altered=True, layer=linear_layer(part, None))
        if isinstance(part, nn.Module):
            _check_owners(network, full)
            inside = _of_layer(part) if is_linear(part) else Found("", layer=scripted_layer(part))
            if inside.path is None:
                raise HeadError(f"the layer {full!r} cannot be the head: {inside.problem}.")
            return replace(inside, path=full, altered=True)
    raise HeadError(f"{type(network).__name__} has no layer {path!r}. {_choice(network)}")


def _check_owners(network: nn.Module, path: str) -> None:
    """Refuses a layer that is a piece of another one."""
    steps = path.split(".")
    for depth in range(1, len(steps)):
        owner = network.get_submodule(".".join(steps[:depth]))
        if isinstance(owner, nn.AdaptiveLogSoftmaxWithLoss):
            found = _hierarchical(owner)
            raise HeadError(f"{path!r} is a part of a head: {found.problem}. {found.way_out}")
        for library in libraries_of(owner):
            library.check_part(owner, ".".join(steps[depth:]))


def class_names(network: nn.Module, path: str, num_classes: int) -> tuple[str, ...] | None:
    """The class names of the network, or of its part that holds the head."""
    steps = path.split(_PLUS)[0].split(".")
    for depth in range(len(steps)):
        owner = operator.attrgetter(".".join(steps[:depth]))(network) if depth else network
        for library in libraries_of(owner):
            if (names := library.classes(owner, num_classes)) is not None:
                return names
    return None


def not_found(network: nn.Module, found: Found, num_classes: int | None) -> str:
    """Why a network's head was not found, and the way out."""
    kind = type(network).__name__
    advice = found.way_out or _choice(network, found.candidates, num_classes)
    return f"the head of this {kind} was not found: {found.problem}. {advice}"


def _choice(network: nn.Module, names: Sequence[str] = (), num_classes: int | None = None) -> str:
    every = linear_layers(network)
    layers = {name: every[name] for name in names if name in every} or every
    if not layers:
        return (
            "It has no linear layer to name; give nbdt.induce an array of class rows instead, or "
            "samples to answer: nbdt.induce(network, samples=…)."
        )
    listed = f"Linear layers in it: {describe_layers(layers)}."
    outputs = {None: None, 2: {1, 2}}.get(num_classes, {num_classes})
    fitting = [name for name, one in layers.items() if not outputs or num_outputs(one) in outputs]
    if not fitting:
        return f"{listed} None of them has {num_classes} outputs; check the number of classes."
    return (
        f"{listed} Name the one whose outputs are the "
        f"classes, for example find_head(network, path={fitting[-1]!r}) or "
        f"nbdt.induce(network, head={fitting[-1]!r}). If there is none, build the tree from its "
        "answers: nbdt.induce(network, samples=…)."
    )


def _is_expected(module: nn.Module, squashing: str, found: Found, outputs: OutputKind) -> bool:
    """Whether a network that ends so gives the probabilities of one class among many."""
    if outputs != "probabilities" or squashing == SOFTMAX:
        return outputs == "probabilities"
    layer = module.get_submodule(found.path) if found.path is not None else None
    return is_linear(layer) and num_outputs(layer) == 1


def _squashed(module: nn.Module, squashing: str, found: Found) -> str:
    kind = f"the {type(module).__name__} ends in a {squashing}"
    if squashing == SOFTMAX:
        return (
            f"{kind}, so it gives probabilities, while nbdt reads logits. Say "
            "outputs='probabilities', or leave the softmax out (log_softmax may stay)."
        )
    assert squashing == SIGMOID
    layer: nn.Module | None = found.layer
    if layer is None and found.path is not None:
        layer = module.get_submodule(found.path)
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
