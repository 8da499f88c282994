"""`attribute`: one function for every kind of input, by the parts that this kind has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from nbdt.attribution.contributions import (
    MOST_SAMPLED,
    PART_METHODS,
    Shares,
    as_contributions,
    batch_logits,
    contributions,
)
from nbdt.attribution.difference import (
    Attribution,
    Attributions,
    Choice,
    Path,
    checked_model,
    choices_on,
    decision_log_probs,
    site_on,
)
from nbdt.attribution.gradients import METHOD as GRADIENTS
from nbdt.attribution.gradients import integrated_gradients
from nbdt.attribution.saliency import path_saliency
from nbdt.classifiers import Adapter
from nbdt.errors import InputError
from nbdt.explain import Decision, explain_predictions
from nbdt.hierarchy.lookup import Node
from nbdt.inputs import ArrayInput, Input, Parts, Preprocessing, Preview
from nbdt.inputs.base import kind_of
from nbdt.model import NBDT

_PIXEL_METHODS: list[Any] = ["grad_cam", "integrated_gradients", "occlusion"]


def attribute(
    model: NBDT, sample: Any, decision: Decision | Node, *, method: Any = None, **options: Any
) -> Attribution:
    """What each part of a sample contributed to a node's preferring one child to its sibling.

    It explains the score of the child taken minus that of its nearest sibling under the model's own
    score and temperature: the decision's margin. The options are those of `attribute_path`.
    """
    (found,) = attribute_path(model, sample, [decision], method=method, **options)
    return found


def attribute_path(
    model: NBDT,
    sample: Any,
    path: Path | None = None,
    *,
    method: Any = None,
    baseline: Any = None,
    by: str | int | None = None,
    **arguments: Any,
) -> Attributions:
    """The attribution of each decision on a path: an explanation's, or some of its decisions.

    Of images it is a `Saliency`, by pixels; of texts `Contributions` by words, of rows by columns,
    of arrays by values.

    Args:
        sample: one sample, in any form that the model's input reads.
        path: by default that of the model's explanation of the sample.
        method: "shapley" or "ablation", which work for every model but not for pixels;
            "integrated_gradients" of words and values; one of `decision_saliency`'s of pixels; or a
            class of `captum.attr`. By default the best that the model allows: GradCAM, Integrated
            Gradients of words, else Shapley values, which are exact where a decision is a sum over
            the parts.
        baseline: what takes the place of a part that is left out: a row, a number, an array; by
            default the model's example row, 0, or nothing in place of words.
        by: of texts: "word", "character", or a number n for the n-grams of characters.
        arguments: `evaluations`, the most samples to ask the model for, and `seed`, of Shapley
            values; those of Captum for others.
    """
    checked_model(model)
    reader = model.preprocessing or _reader_of(sample)
    if isinstance(reader, Preprocessing):
        if by is not None:
            raise InputError(f"by={by!r:.80} is for texts; this model reads {reader.reads}.")
        return _pixels(model, reader, sample, path, method, baseline=baseline, **arguments)
    one = _only(reader, sample)
    logits = batch_logits(model, reader, [one])
    if path is None:
        path = explain_predictions(model.predictions(logits))[0]
    choices = choices_on(model, path, decision_log_probs(model, logits)[0])
    parts = reader.parts(one, baseline=baseline, by=by)
    if not len(parts):
        raise InputError("the sample has no part that could be left out.")
    shares, floor = _shares(model, reader, one, parts, choices, method, arguments)
    return Attributions(
        as_contributions(model, parts, choices, shares, floor=floor, preview=reader.preview(one))
    )


def _shares(
    model: NBDT,
    reader: Input,
    sample: Any,
    parts: Parts,
    choices: list[Choice],
    method: Any,
    arguments: dict[str, Any],
) -> tuple[Shares, float | None]:
    """Gradients where they are asked for or fit best; else what leaving parts out does."""
    known = (*PART_METHODS, GRADIENTS)
    if not (method is None or callable(method) or method in known):
        raise InputError(
            f"method must be one of {', '.join(known)}, or a class of captum.attr, for a model "
            f"that reads {reader.reads}; got {method!r:.80}."
        )
    is_best = parts.kind == "word" or (parts.kind == "value" and len(parts) > MOST_SAMPLED)
    if choices and (method == GRADIENTS or (method is None and is_best)):
        found = integrated_gradients(model, reader, sample, parts, choices, **arguments)
        if found is not None:
            return found, None
        if method == GRADIENTS:
            raise InputError(
                f"{GRADIENTS} needs a network that gives gradients for each {parts.kind}, which "
                "this one does not; use method='shapley' or 'ablation'."
            )
    return contributions(model, reader, parts, choices, method=method, **arguments)


def _pixels(
    model: NBDT, reader: Preprocessing, sample: Any, path: Path | None, method: Any, **options: Any
) -> Attributions:
    x = model.prepared(sample)
    preview = Preview() if isinstance(sample, Tensor) else reader.preview(_only(reader, sample))
    if path is None:
        path = model.explain(x)[0]
    methods: list[Any] = [method] if method is not None else _PIXEL_METHODS
    if method is None and isinstance(model.network, Adapter):
        methods = _PIXEL_METHODS[-1:]
    elif method is None and site_on(path) is not None:
        methods = _PIXEL_METHODS[1:]  # the last map of features is the map of classes itself
    for place, one in enumerate(methods, 1):
        try:
            found = path_saliency(model, x, path, method=one, **options)
        except InputError:
            if place == len(methods):
                raise
            continue
        break
    return Attributions(replace(saliency, preview=preview) for saliency in found)


def _reader_of(sample: Any) -> Input:
    """The input for samples of a model that does not say what it reads."""
    if isinstance(sample, Tensor | np.ndarray):
        return Preprocessing() if sample.ndim == 4 else ArrayInput()
    raise InputError(
        f"this model does not say how {kind_of(sample)} becomes its input; give it a preprocessing."
    )


def _only(reader: Input, sample: Any) -> Any:
    samples = reader.samples(sample)
    if len(samples) != 1:
        raise InputError(f"attribution explains one sample; got {len(samples)}.")
    return samples[0]
