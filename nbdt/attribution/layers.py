"""The layer that GradCAM looks at: the last map of features on the way to the logits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbdt.errors import InputError, NotFoundError
from nbdt.model import NBDT

_MOST_LISTED = 8
# Strides differ between height and width by rounding only.
_MOST_UNEVEN = 2.0


def feature_layer(
    model: NBDT, x: Float[Tensor, "1 channels height width"], name: str | None = None
) -> str:
    """The name of the layer whose output is the last feature map before the logits.

    One pass of `x` is watched: of the layers that give a (batch, channels, height, width) tensor
    of more than one pixel, the one from whose output the logits come without passing another
    such; ``'layer4'`` of a ResNet. Where parts of the network end in several maps, where tokens
    are read last, or where there is no map, it raises an error that lists the candidates instead
    of guessing. A layer named by the caller is checked only.
    """
    network = model.network
    layers = {path: layer for path, layer in network.named_modules() if path}
    if name is not None and name not in layers:
        raise NotFoundError(
            f"the network has no layer {name!r:.80}; its layers are {_listed(layers)}."
        )
    with _watched(layers) as seen, torch.enable_grad():
        logits = model.logits(x.detach().clone().requires_grad_())
    if name is not None:
        _check_map(name, seen.get(name), x)
        return name

    ends = _last_outputs(logits, seen)
    tokens = [path for path in ends if len(seen[path].shape) == 3]
    if tokens:
        raise InputError(
            f"the logits of this {type(network).__name__} come from tokens (layer {tokens[0]!r}, "
            f"output {seen[tokens[0]].shape}), not from a map of features, so there is no layer "
            "for GradCAM; use method='integrated_gradients' or 'occlusion', or name a layer that "
            f"gives a map with layer=…: {_maps(seen, x)}."
        )
    if len(ends) != 1:
        found = ", ".join(map(repr, ends)) or "none"
        raise InputError(
            f"the last map of features before the logits is not clear ({found}); name its layer "
            f"with layer=…. Layers that give a map: {_maps(seen, x)}."
        )
    _check_map(ends[0], seen[ends[0]], x)
    return ends[0]


class _Output(NamedTuple):
    """What a layer gave when it was last called: its shape, and its node in autograd's graph."""

    shape: tuple[int, ...]
    made_by: Any


@contextmanager
def _watched(layers: dict[str, nn.Module]) -> Iterator[dict[str, _Output]]:
    """Notes what each layer gives inside, by name; the hooks are gone afterwards."""
    seen: dict[str, _Output] = {}

    def note(path: str, layer: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            seen[path] = _Output(tuple(output.shape), output.grad_fn)

    with ExitStack() as hooks:
        for path, layer in layers.items():
            hooks.enter_context(layer.register_forward_hook(partial(note, path)))
        yield seen


def _last_outputs(logits: Tensor, seen: dict[str, _Output]) -> list[str]:
    """The layers that give maps and tokens from which the logits come without passing others.

    The last layer of a block gives what the block gives: it is then called by the outermost name.
    """
    makers: dict[Any, str] = {}
    for path in sorted(seen, key=lambda path: path.count(".")):
        output = seen[path]
        are_tokens = len(output.shape) == 3 and output.shape[1] > 1
        if output.made_by is not None and (_is_map(output.shape) or are_tokens):
            makers.setdefault(output.made_by, path)
    ends, passed, pending = [], set(), [logits.grad_fn]
    while pending:
        step = pending.pop()
        if step is None or step in passed:
            continue
        passed.add(step)
        if step in makers:
            ends.append(makers[step])
        else:
            pending += [before for before, _ in step.next_functions]
    return ends


def _is_map(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[2] * shape[3] > 1


def _check_map(name: str, output: _Output | None, x: Tensor) -> None:
    if output is None:
        raise InputError(
            f"the layer {name!r} gives no tensor when the network is called; name another one."
        )
    if not _fits(output.shape, x):
        raise InputError(
            f"the output of the layer {name!r} has the shape {output.shape}, which is not a map "
            f"(batch, channels, height, width) of an input of {x.shape[2]}×{x.shape[3]} pixels; "
            "name another layer with layer=…, or use method='integrated_gradients' or "
            "'occlusion'."
        )


def _fits(shape: tuple[int, ...], x: Tensor) -> bool:
    """Whether an output is a map of the input; one with its channels last is not."""
    if not _is_map(shape):
        return False
    down, across = x.shape[2] / shape[2], x.shape[3] / shape[3]
    return min(down, across) >= 1 and max(down, across) < _MOST_UNEVEN * min(down, across)


def _maps(seen: dict[str, _Output], x: Tensor) -> str:
    return _listed(path for path, output in seen.items() if _fits(output.shape, x))


def _listed(names: Iterable[str]) -> str:
    """The last names, where heads and their features mostly are."""
    every = [repr(name) for name in names]
    omitted = len(every) - _MOST_LISTED
    return ("…, " if omitted > 0 else "") + ", ".join(every[-_MOST_LISTED:]) or "none"
