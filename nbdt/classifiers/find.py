"""`find_head`: the last linear layer of any classifier, found or asked for, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sklearn.base import BaseEstimator
from torch import nn

from nbdt.classifiers.contracts import (
    own_class_names,
    promised_parts,
    refuse_other_tasks,
    unwrapped,
)
from nbdt.classifiers.head import (
    Head,
    checked_layer,
    is_linear,
    is_torch_block,
    linear_layers,
    listed,
    num_outputs,
)
from nbdt.classifiers.output_trace import SIGMOID, SOFTMAX, ending
from nbdt.classifiers.sklearn import head_of_estimator
from nbdt.errors import HeadError


def find_head(
    network: nn.Module | BaseEstimator, path: str | None = None, *, num_classes: int | None = None
) -> Head:
    """Finds the last linear layer of a classifier.

    In this order: the layer that `path` names; where the network's own library says it is (timm's
    ``get_classifier``, transformers' ``classifier`` or ``score``, torchvision's ``fc``,
    ``classifier``, ``head`` or ``heads``); the layer whose output the network's ``forward``
    returns, where that can be read off without an input; the only linear layer or 1×1 convolution
    whose outputs can be the classes. DataParallel, DDP and `torch.compile` are looked through.

    Args:
        network: a classifier, on any device (the meta device included), or a fitted linear
            classifier or MLPClassifier of scikit-learn, or a pipeline that ends in one.
        path: the name of the layer in the network, such as ``"encoder.fc"``.
        num_classes: how many classes there are, where known. Used only to tell layers apart when
            several could be the head.

    Returns:
        The head. Its `module` is the layer itself, not a copy.

    Raises:
        HeadError: when there is no such layer, or when more than one could be it: the error lists
            them. Also for networks that `check_classifier` refuses, unless `path` is given.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3), nn.LogSoftmax(1))
        >>> head = find_head(net)
        >>> head.path, tuple(head.rows.shape), head.num_classes
        ('2', (3, 16), 3)
    """
    if isinstance(network, BaseEstimator):
        if path is not None:
            raise HeadError(
                f"path={path!r} names a layer of a torch network, but this is a scikit-learn "
                f"{type(network).__name__}; leave it out."
            )
        return head_of_estimator(network)
    _check_is_network(network)
    if path is None:
        found = _search(network, num_classes)
        if found.path is None:
            raise HeadError(_not_found(network, found))
        path, altered = found.path, found.altered
    else:
        path = _named(network, path)
        altered = _may_alter(network, path, num_classes)
    layer = checked_layer(network.get_submodule(path), path)
    return Head(path, layer, _class_names(network, path, max(2, num_outputs(layer))), altered)


def check_classifier(network: nn.Module) -> None:
    """Refuses a network that is known not to give one logit a class, of which one is right.

    Multi-label and regression networks of transformers, detection and segmentation models, and
    networks that end in a sigmoid or softmax. A network of which nothing is known passes.

    Args:
        network: the network.

    Raises:
        HeadError: with the reason and, where there is one, the way out.

    Example:
        >>> from torch import nn
        >>> check_classifier(nn.Linear(8, 3))
        >>> check_classifier(nn.Sequential(nn.Linear(8, 3), nn.Softmax(dim=1)))
        Traceback (most recent call last):
        nbdt.errors.HeadError: the Sequential ends in a softmax, so it gives probabilities, ...
    """
    if isinstance(network, BaseEstimator):
        raise HeadError(
            f"a torch network is needed, got scikit-learn's {type(network).__name__}; take "
            "torch.nn.Identity() in its place, and its decision_function's values as the input."
        )
    _check_is_network(network)
    _search(network, None)


@dataclass(frozen=True)
class _Found:
    """Where the head is; or what speaks against there being one, and where it may be."""

    path: str | None
    problem: str = ""
    candidates: tuple[str, ...] = ()
    altered: bool = False

    def under(self, prefix: str) -> _Found:
        if self.path is not None:
            return replace(self, path=f"{prefix}.{self.path}".strip("."))
        candidates = tuple(f"{prefix}.{name}".strip(".") for name in self.candidates)
        return replace(self, candidates=candidates)


def _search(module: nn.Module, num_classes: int | None) -> _Found:
    """Finds the layer that makes a module's output; raises for what is no classifier."""
    inner, way = unwrapped(module)
    if way:
        return _search(inner, num_classes).under(way)
    refuse_other_tasks(module)
    if is_linear(module):
        return _Found("")
    if "quantized" in type(module).__module__ and not list(module.children()):
        return _Found("")  # `checked_layer` says what is wrong with it
    if is_torch_block(module):
        return _Found(None, f"it ends in a layer of type {type(module).__name__}")
    parts = promised_parts(module)
    if parts is not None:
        found = [_search(module.get_submodule(p), num_classes).under(p) for p in parts]
        paths = tuple(one.path for one in found if one.path is not None)
        if len(parts) == 1 or len(paths) == 1:
            return next((one for one in found if one.path is not None), found[0])
        return _Found(None, f"it has {len(parts)} heads", paths)
    end = ending(module)
    if end is None:
        children = dict(module.named_children())
        if list(children) == ["module"]:  # a wrapper in the manner of DataParallel
            return _search(children["module"], num_classes).under("module")
        return _only_layer(module, num_classes)
    if end.maker is None:
        one = _Found(None, f"it returns {end.otherwise}", tuple(linear_layers(module)))
    else:
        one = _search(module.get_submodule(end.maker), num_classes).under(end.maker)
    if end.squashing is not None:
        raise HeadError(_squashed(module, end.squashing, one))
    return replace(one, altered=one.altered or end.altered)


def _only_layer(module: nn.Module, num_classes: int | None) -> _Found:
    """The only layer that can be the head of a module whose forward could not be read."""
    layers = linear_layers(module)
    if not layers:
        return _Found(None, f"{type(module).__name__} has no linear layer or 1×1 convolution")
    if num_classes is None:
        # 1×1 convolutions before the only Linear are the backbone's, as in a ResNet's shortcuts.
        dense = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
        fitting = dense if dense == list(layers)[-1:] else list(layers)
        problem = f"{len(fitting)} layers could be it"
    else:
        outputs = {num_classes, 1} if num_classes == 2 else {num_classes}
        fitting = [name for name, layer in layers.items() if num_outputs(layer) in outputs]
        problem = f"{len(fitting) or 'no'} linear layers have {num_classes} outputs"
    if len(fitting) == 1:
        return _Found(fitting[0], altered=True)  # for all that is known
    return _Found(None, problem, tuple(fitting or layers))


def _may_alter(network: nn.Module, path: str, num_classes: int | None) -> bool:
    """Whether the network may give something else than the output of the layer that was named."""
    try:
        found = _search(network, num_classes)
    except HeadError:
        return True
    return found.path != path or found.altered


def _named(network: nn.Module, path: str) -> str:
    """The path of a layer that the caller named, in the network or inside its wrapper."""
    way = unwrapped(network)[1]
    for full in (path, f"{way}.{path}".strip(".")):
        try:
            network.get_submodule(full)
        except AttributeError:
            continue
        return full
    raise HeadError(f"{type(network).__name__} has no layer {path!r}. {_choice(network)}")


def _class_names(network: nn.Module, path: str, num_classes: int) -> tuple[str, ...] | None:
    """The names that the network, or the part of it that holds the head, has for the classes."""
    steps = path.split(".")
    for depth in range(len(steps)):
        owner = network.get_submodule(".".join(steps[:depth]))
        if (names := own_class_names(owner, num_classes)) is not None:
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
        f"Linear layers in it: {listed(layers)}. Name the one whose outputs are the classes, for "
        f"example find_head(network, path={last!r}) or nbdt.induce(network, head={last!r})."
    )


def _squashed(module: nn.Module, squashing: str, found: _Found) -> str:
    kind = f"the {type(module).__name__} ends in a {squashing}"
    if squashing == SOFTMAX:
        return (
            f"{kind}, so it gives probabilities, while nbdt reads logits. Leave the softmax out "
            "(log_softmax may stay)."
        )
    assert squashing == SIGMOID
    layer = module.get_submodule(found.path) if found.path is not None else None
    outputs = num_outputs(layer) if is_linear(layer) else None
    if outputs == 1:
        return (
            f"{kind} over one output, so it gives a probability, while nbdt reads logits. Leave "
            "the sigmoid out: one output z is then read as the logits (0, z) of two classes."
        )
    over = "" if outputs is None else f" over {outputs} outputs"
    return (
        f"{kind}{over}, which makes it multi-label: an input may have several classes or none, "
        "while a path down a tree leads to exactly one. If exactly one class is right, leave the "
        "sigmoid out."
    )


def _check_is_network(network: object) -> None:
    if not isinstance(network, nn.Module):
        raise HeadError(
            "a network (torch.nn.Module) or a fitted scikit-learn classifier is needed; got "
            f"{_described(network)}."
        )


def _described(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself, not an object of it"
    return f"an object of type {type(value).__name__}"
