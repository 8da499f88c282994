"""`nbdt.induce`: a tree from any classifier, or any array with a row per class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nbdt.classifiers.base import Adapter, input_of, libraries_of, open_classifier
from nbdt.classifiers.eval_mode import eval_mode
from nbdt.classifiers.head import plain_tensor
from nbdt.classifiers.outputs import OutputKind
from nbdt.classifiers.torch import (
    as_batch,
    check_classifier,
    find_head,
    moved,
    network_logits,
    weights_device,
)
from nbdt.errors import HeadError, InputError
from nbdt.hierarchy.classes import ambiguity, canonical, note_told_apart
from nbdt.hierarchy.induce import induce as induce_from_rows
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import FloatArray, class_names
from nbdt.inputs.table import TableInput

# Samples of a tensor that a network answers at a time.
_BATCH = 256


def induce(
    source: Any,
    classes: Sequence[str] | None = None,
    *,
    samples: Any = None,
    labels: Any = None,
    head: str | None = None,
    outputs: OutputKind = "logits",
    linkage: str | None = None,
    metric: str | None = None,
    normalize: bool = True,
    branching: int | None = None,
) -> Hierarchy:
    """Builds a tree of the classes from a classifier's weights, or from its answers.

    The rows of the last linear layer are clustered bottom-up (Wan et al., ICLR 2021, section 3.1).
    The network confuses classes whose rows point in similar directions, and the tree puts them
    close together. A classifier without rows (a forest, a function, …) needs `samples`, best ones
    that it was not fitted to: with `labels` its confusion matrix is clustered (or its outputs, if
    it makes no mistake), without them its outputs.

    Args:
        source: a network, whose head `find_head` finds; a linear layer; any other classifier that
            `nbdt.NBDT` takes; or any array (numpy, torch of any device and dtype, lists) of shape
            (C, features) with a row per class: weights, class-mean features, embeddings of the
            class names. With ``metric="confusion"`` a confusion matrix, with ``"precomputed"`` a
            matrix of distances, both of shape (C, C), and with ``"outputs"`` probabilities of
            shape (samples, C). A single row stands for two classes.
        classes: the names of the C classes; by default the classifier's own (scikit-learn's
            ``classes_``, transformers' ``id2label``), else ``"0" … "C-1"``.
        samples: what a classifier answers, in any form that it reads. Not looked at if it has rows
            and no `metric` asks for answers.
        labels: the true class of each sample: a name, an index, or a value of ``classes_``.
        head: the path of the network's last linear layer, to skip the search for it.
        outputs: what the classifier returns: "logits", "log_probs" or "probabilities".
        linkage: ``"ward"``, ``"average"``, ``"complete"``, ``"single"``, ``"weighted"``,
            ``"centroid"`` or ``"median"``, as in `scipy.cluster.hierarchy.linkage`; by default
            Ward's between rows and outputs, else average.
        metric: ``"euclidean"`` or ``"cosine"`` between rows, ``"confusion"``, ``"outputs"`` or
            ``"precomputed"``, as in `nbdt.hierarchy.induce`.
        normalize: divide each row by its L2 norm first, as in the paper but not in its code.
        branching: the maximum number of children per node; 2 by default.

    Raises:
        HeadError: the head of the network is absent, ambiguous or not a classifier's.
        InputError: rows hold NaN or infinity, there are fewer than two classes or a wrong number of
            names, or options conflict.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> layer.weight.data = torch.tensor([[1, 0], [1, 0.1], [0, 1]])
        >>> print(induce(layer, ["cat", "dog", "car"]))
        dog, cat, car
        ├─ car
        └─ cat, dog
           ├─ cat
           └─ dog
    """
    names = None if classes is None else class_names(classes)
    if isinstance(source, str | os.PathLike):
        source = open_classifier(source)
    if isinstance(source, nn.Module) or libraries_of(source):
        if labels is not None and samples is None:
            raise InputError("labels belong to samples; give both, or neither.")
        if metric == "precomputed" or (metric in ("confusion", "outputs") and samples is None):
            raise InputError(
                f"metric={metric!r} needs a matrix, but the source is a {type(source).__name__}"
                + ("." if metric == "precomputed" else "; give it samples, too.")
            )
        rows, names, metric = _of_classifier(source, names, head, outputs, samples, labels, metric)
    else:
        given = {"head": head, "samples": samples, "labels": labels}
        for name in (name for name, value in given.items() if value is not None):
            raise InputError(
                f"{name}= is for a classifier, but the source is an object of type "
                f"{type(source).__name__}; leave it out."
            )
        rows = _rows_of_array(source)
    return induce_from_rows(
        rows,
        names,
        linkage=linkage,
        metric=metric or "euclidean",
        normalize=normalize,
        branching=2 if branching is None else branching,
    )


def _of_classifier(
    source: Any,
    names: list[str] | None,
    head: str | None,
    outputs: OutputKind,
    samples: Any,
    labels: Any,
    metric: str | None,
) -> tuple[FloatArray, list[str] | None, str | None]:
    """The rows of a classifier, or what it answers, with the metric between them."""
    if metric not in ("confusion", "outputs"):
        try:
            rows, names = _rows_of_classifier(source, head, names, outputs)
            return rows, names, metric
        except HeadError:
            if samples is None or head is not None or metric is not None:
                raise
    module = check_classifier(source, outputs)
    reader = input_of(source)
    if isinstance(reader, TableInput) and not reader.named and hasattr(samples, "columns"):
        reader = TableInput.from_frame(samples)  # the names are news to the classifier
    batch = samples if reader is None else reader.prepared(samples)
    logits = _answers(module, batch, None if names is None else len(names), outputs)
    if names is None:
        own = (library.classes(module, logits.shape[1]) for library in libraries_of(module))
        found = next((one for one in own if one is not None), None)
        names = None if found is None else list(found)
    probabilities = _as_float64(logits.double().softmax(dim=1))
    if labels is None or metric == "outputs":
        return probabilities, names, "outputs"
    truths = _indices(labels, probabilities.shape[1], names, module)
    if len(truths) != len(probabilities):
        raise InputError(f"{len(probabilities)} samples need as many labels; got {len(truths)}.")
    confusion = np.zeros((probabilities.shape[1],) * 2)
    np.add.at(confusion, (truths, probabilities.argmax(axis=1)), 1)
    if metric is None and not (confusion - np.diag(np.diagonal(confusion))).any():
        return probabilities, names, "outputs"  # which class is like which, no mistake says
    return confusion, names, "confusion"


def _answers(module: nn.Module, batch: Any, num_classes: int | None, outputs: OutputKind) -> Tensor:
    device = weights_device(module)
    with eval_mode(module) as still:
        if isinstance(still, Adapter):
            return _of_sites(network_logits(still, batch, num_classes, outputs))
        batch = as_batch(batch)
        parts = torch.split(batch, _BATCH) if isinstance(batch, Tensor) else [batch]
        found = (network_logits(still, moved(x, device), num_classes, outputs) for x in parts)
        return torch.cat([_of_sites(logits).cpu() for logits in found])


def _of_sites(logits: Tensor) -> Tensor:
    """Every site of a map as a sample."""
    return logits.movedim(1, -1).reshape(-1, logits.shape[1])


def _indices(
    labels: Any, num_classes: int, names: list[str] | None, module: nn.Module
) -> npt.NDArray[np.int64]:
    """Labels as indices of classes; they are values of ``classes_``, names, or indices."""
    values = getattr(getattr(module, "model", None), "classes_", None)
    known: dict[Any, int] = {canonical(name): i for i, name in enumerate(names or ())}
    own = range(num_classes) if values is None else np.asarray(values).tolist()
    known |= {_key(value): i for i, value in enumerate(own)}
    given = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels).ravel().tolist()
    for sample, label in enumerate(given):
        if isinstance(label, str) and (several := ambiguity(label, names or ())):
            raise InputError(f"the label of sample {sample}, {several}.")
        if isinstance(label, list) or _key(label) not in known:
            raise InputError(
                f"the label of sample {sample} is {label!r:.80}, which is none of the classes "
                f"{', '.join(map(str, list(known)[:5]))}{', …' * (len(known) > 5)}."
            )
    return np.array([known[_key(label)] for label in given], dtype=np.int64)


def _key(label: Any) -> Any:
    return canonical(label) if isinstance(label, str) else label


def _rows_of_classifier(
    source: Any, path: str | None, names: list[str] | None, outputs: OutputKind
) -> tuple[FloatArray, list[str] | None]:
    num_classes = None if names is None else len(names)
    head = find_head(source, path, num_classes=num_classes, outputs=outputs)
    if names is None:
        names = None if head.classes is None else list(head.classes)
        note_told_apart(names or ())
    elif len(names) != head.num_classes:
        raise InputError(
            f"the head {head.path!r} tells {head.num_classes} classes apart; got {len(names)} "
            "class names."
        )
    return _as_float64(head.rows), names


def _rows_of_array(source: Tensor | npt.ArrayLike) -> FloatArray:
    if isinstance(source, Tensor):
        if source.is_meta or source.is_complex():
            what = "is on the meta device" if source.is_meta else f"is of type {source.dtype}"
            raise InputError(f"an array of real numbers is needed, but this tensor {what}.")
        return _as_float64(source)
    try:
        return np.asarray(source, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            "a tree is induced from a network, another classifier, or an array of numbers with "
            f"one row per class; got an object of type {type(source).__name__}."
        ) from None


def _as_float64(rows: Tensor) -> FloatArray:
    array: FloatArray = plain_tensor(rows).cpu().to(torch.float64).numpy()
    return array
