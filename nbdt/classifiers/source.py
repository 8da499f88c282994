"""`nbdt.induce`: a tree from a network, a fitted classifier, or any array with a row per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nbdt.classifiers.base import libraries_of
from nbdt.classifiers.torch import find_head
from nbdt.errors import InputError
from nbdt.hierarchy.induce import induce as induce_from_rows
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import FloatArray, class_names

MATRIX_METRICS = ("confusion", "precomputed")


def induce(
    source: Any,
    classes: Sequence[str] | None = None,
    *,
    head: str | None = None,
    linkage: str = "ward",
    metric: str = "euclidean",
    normalize: bool = True,
    branching: int = 2,
) -> Hierarchy:
    """Builds a tree of the classes from a classifier's weights.

    The rows of the last linear layer are clustered bottom-up (Wan et al., ICLR 2021, section 3.1).
    The network confuses classes whose rows point in similar directions, and the tree puts them
    close together.

    Args:
        source: a network, whose head `find_head` finds; a linear layer; a fitted scikit-learn
            classifier; or any array (numpy, torch of any device and dtype, lists) of shape (C,
            features) with a row per class: weights, class-mean features, embeddings of the class
            names. With ``metric="confusion"`` a confusion matrix, with ``"precomputed"`` a matrix
            of distances, both of shape (C, C). A single row stands for two classes.
        classes: the names of the C classes; by default the classifier's own (scikit-learn's
            ``classes_``, transformers' ``id2label``), else ``"0" … "C-1"``.
        head: the path of the network's last linear layer, to skip the search for it.
        linkage: ``"ward"``, ``"average"``, ``"complete"``, ``"single"``, ``"weighted"``,
            ``"centroid"`` or ``"median"``, as in `scipy.cluster.hierarchy.linkage`.
        metric: ``"euclidean"`` or ``"cosine"`` between rows, ``"confusion"`` or ``"precomputed"``.
        normalize: divide each row by its L2 norm first, as in the paper but not in its code.
        branching: the maximum number of children per node.

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
    if isinstance(source, nn.Module) or libraries_of(source):
        if metric in MATRIX_METRICS:
            raise InputError(
                f"metric={metric!r} needs a matrix of shape (classes, classes), but the source is "
                f"a {type(source).__name__}."
            )
        rows, names = _rows_of_classifier(source, head, names)
    else:
        if head is not None:
            raise InputError(
                f"head={head!r} names a layer of a network, but the source is an object of type "
                f"{type(source).__name__}; leave it out."
            )
        rows = _rows_of_array(source)
    return induce_from_rows(
        rows, names, linkage=linkage, metric=metric, normalize=normalize, branching=branching
    )


def _rows_of_classifier(
    source: Any, path: str | None, names: list[str] | None
) -> tuple[FloatArray, list[str] | None]:
    head = find_head(source, path, num_classes=None if names is None else len(names))
    if names is None:
        names = None if head.classes is None else list(head.classes)
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
        return _as_float64(source.detach())
    try:
        return np.asarray(source, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            "a tree is induced from a network, a fitted scikit-learn classifier, or an array of "
            f"numbers with one row per class; got an object of type {type(source).__name__}."
        ) from None


def _as_float64(rows: Tensor) -> FloatArray:
    dense = rows if rows.layout == torch.strided else rows.to_dense()
    array: FloatArray = dense.cpu().to(torch.float64).numpy()
    return array
