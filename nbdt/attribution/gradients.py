"""Integrated Gradients for words and values: along the embeddings of a text, or along an array."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbdt.attribution.contributions import Shares
from nbdt.attribution.difference import Choice, check_finite, decision_log_probs, differences
from nbdt.attribution.methods import import_captum
from nbdt.classifiers import Adapter, eval_mode, moved, network_logits, unwrap, weights_device
from nbdt.inputs import ArrayInput, Input, Parts
from nbdt.inputs.parts import Span
from nbdt.inputs.text import TextInput
from nbdt.model import NBDT

METHOD = "integrated_gradients"
_TOKENS = 8192  # of a batch of steps on the way from the baseline
_STEPS = 50


class _Explained(nn.Module):
    """The differences of a model's decisions, from tensors passed by place."""

    def __init__(
        self, model: NBDT, network: nn.Module, names: list[str], choices: list[Choice]
    ) -> None:
        super().__init__()
        self.network = network
        self._model, self._names, self._choices = [model], names, choices

    def forward(self, *tensors: Tensor) -> Float[Tensor, "batch decisions"]:
        (model,) = self._model
        batch = dict(zip(self._names, tensors, strict=True)) if self._names else tensors[0]
        logits = network_logits(self.network, batch, model.hierarchy.num_classes, model.outputs)
        return differences(decision_log_probs(model, logits), self._choices)


def integrated_gradients(
    model: NBDT, reader: Input, sample: Any, parts: Parts, choices: list[Choice], **arguments: Any
) -> Shares | None:
    """The contributions of the parts; None if the network gives no gradients for them.

    Of a text, every word is compared with padding: gradients are summed along the straight line
    between the embeddings of both, token by token. Special tokens stay as they are, so nothing of
    the rise is theirs.
    """
    if isinstance(model.network, Adapter):
        return None
    with (
        torch.inference_mode(False),
        eval_mode(model.network) as network,
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of a text that is too long, which was said already
        batch = moved(reader.batch([sample]), weights_device(network))
        if isinstance(reader, TextInput):
            return _of_words(model, network, reader, sample, batch, parts, choices, arguments)
        if isinstance(reader, ArrayInput) and isinstance(batch, Tensor):
            return _of_values(model, network, batch, parts, choices, arguments)
    return None


def _of_values(
    model: NBDT,
    network: nn.Module,
    x: Tensor,
    parts: Parts,
    choices: list[Choice],
    arguments: dict[str, Any],
) -> Shares | None:
    explained = _Explained(model, network, [], choices)
    nothing = torch.from_numpy(np.stack(parts.without(np.ones((1, len(parts)), dtype=bool)))).to(x)
    full = explained(x.detach().clone().requires_grad_())
    if not full.requires_grad:
        return None
    with torch.no_grad():
        empty = check_finite(explained(nothing), "the baseline")
    captum = import_captum()
    columns = [
        captum.IntegratedGradients(explained)
        .attribute(x, baselines=nothing, target=target, **{"n_steps": _STEPS} | arguments)
        .flatten()
        for target in range(len(choices))
    ]
    if parts.groups is not None:
        groups = torch.from_numpy(np.array(parts.groups)).to(x.device)
        blocks = torch.zeros(len(parts), dtype=x.dtype, device=x.device)
        columns = [blocks.index_add(0, groups, column) for column in columns]
    return _shares(columns, full, empty)


def _of_words(
    model: NBDT,
    network: nn.Module,
    reader: TextInput,
    text: Any,
    batch: Any,
    parts: Parts,
    choices: list[Choice],
    arguments: dict[str, Any],
) -> Shares | None:
    tokens = reader.token_spans(text)
    layer = getattr(unwrap(network)[0], "get_input_embeddings", lambda: None)()
    if tokens is None or not isinstance(layer, nn.Module):
        return None
    encoding = dict(batch) if isinstance(batch, Mapping) else {"": batch}
    ids = encoding.pop("input_ids" if "input_ids" in encoding else "")
    others = list(encoding.values())
    names = ["input_ids", *encoding] if isinstance(batch, Mapping) else []
    explained = _Explained(model, network, names, choices)
    with _output_of(layer) as seen, torch.no_grad():
        here = explained(ids, *others)
    if len(seen) != 1 or seen[0].shape[:2] != ids.shape or len(tokens) != ids.shape[1]:
        return None  # not one vector a token, once

    is_word = torch.tensor([token is not None for token in tokens], device=ids.device)
    reference = torch.where(is_word, _padding(network, layer), ids)
    with torch.no_grad():
        nothing = layer(reference)
        with _output_of(layer, nothing):
            empty = check_finite(explained(ids, *others), "the baseline")
    captum = import_captum()
    most = max(1, _TOKENS // ids.shape[1])
    attribution = captum.LayerIntegratedGradients(explained, layer)
    given = {"n_steps": _STEPS, "internal_batch_size": most} | arguments
    columns = []
    for target in range(len(choices)):
        found = attribution.attribute(
            ids,
            baselines=reference,
            additional_forward_args=tuple(others) or None,
            target=target,
            **given,
        )
        columns.append(_joined(found[0].sum(-1), tokens, parts))
    return _shares(columns, here, empty)


def _shares(columns: list[Tensor], full: Tensor, empty: list[float]) -> Shares:
    here = np.array(check_finite(full, "the sample"))
    values = torch.stack(columns, dim=-1).detach().double().cpu().numpy()
    return Shares(values, METHOD, here, np.array(empty), False)


def _padding(network: nn.Module, layer: nn.Module) -> int:
    """The token that says least: padding, if there is one."""
    config = getattr(unwrap(network)[0], "config", None)
    known = (getattr(layer, "padding_idx", None), getattr(config, "pad_token_id", None))
    return next((token for token in known if isinstance(token, int) and token >= 0), 0)


@contextmanager
def _output_of(layer: nn.Module, other: Tensor | None = None) -> Iterator[list[Tensor]]:
    """What a layer gives inside, one entry a call; `other` replaces it."""
    seen: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        seen.append(output)
        return other

    hook = layer.register_forward_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


def _joined(values: Tensor, tokens: list[Span | None], parts: Parts) -> Tensor:
    """The sum of each word's tokens; a token belongs to the word that it shares most with."""
    totals = values.new_zeros(len(parts))
    for value, token in zip(values, tokens, strict=True):
        if token is None:
            continue
        place, start, end = token
        shared = [
            min(end, last) - max(start, first) if text == place else -math.inf
            for text, first, last in parts.spans
        ]
        # A token of spaces alone belongs to the nearest word.
        totals[max(range(len(shared)), key=shared.__getitem__)] += value
    return totals
