"""scikit-learn: where the rows of its fitted classifiers are."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn

from nbdt.classifiers.base import Library
from nbdt.classifiers.head import Head
from nbdt.errors import HeadError
from nbdt.hierarchy.validation import FloatArray

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


class ScikitLearn(Library):
    """The interface to scikit-learn."""

    name = "sklearn"

    def recognizes(self, model: object) -> bool:
        bases = {(base.__module__, base.__name__) for base in type(model).__mro__}
        return ("sklearn.base", "BaseEstimator") in bases

    def module(self, model: Any) -> nn.Module:
        raise HeadError(
            f"a torch network is needed, got scikit-learn's {type(model).__name__}; take "
            "torch.nn.Identity() in its place, and its decision_function's values as the input."
        )

    def head(self, model: Any) -> Head:
        return head_of_estimator(model)


def head_of_estimator(estimator: BaseEstimator) -> Head:
    """The head of a fitted linear classifier, MLPClassifier, pipeline or search over such.

    The rows are ``coef_``, or the transposed last of ``coefs_``; the class names ``classes_``. A
    HeadError if it is not fitted, not a classifier, not linear, or multi-label.
    """
    from sklearn.base import BaseEstimator, is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    last, prefix = _last_step(estimator)
    kind = type(last).__name__
    if not isinstance(last, BaseEstimator) or not is_classifier(last):
        raise HeadError(
            f"{kind} is not a classifier, so its outputs are not classes; a tree of classes needs "
            "one, such as LogisticRegression."
        )
    try:
        check_is_fitted(last)
    except NotFittedError:
        raise HeadError(f"this {kind} is not fitted yet; call fit first.") from None
    labels = getattr(last, "classes_", ())
    if getattr(last, "multilabel_", False) or isinstance(labels, list):
        raise HeadError(_several_answers(kind))

    name, weight, intercept = _weights(last, kind)
    if _predict_zeros(last).ndim > 1:
        raise HeadError(_several_answers(kind))
    classes = tuple(str(value) for value in labels)
    # A support vector machine has a row per pair of classes: three rows for three classes, which
    # look like class rows. For two classes its only row is the usual one.
    in_pairs = hasattr(last, "dual_coef_") and len(classes) > 2
    if in_pairs or len(weight) != (1 if len(classes) == 2 else len(classes)):
        raise HeadError(
            f"this {kind} has {len(weight)} rows of weights that do not stand for its "
            f"{len(classes)} classes; use a classifier with a row a class, such as LinearSVC."
        )
    bias = np.broadcast_to(np.ravel(intercept), len(weight))
    return Head(f"{prefix}{name}", _layer(torch.tensor(weight), torch.tensor(bias)), classes)


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def _last_step(estimator: BaseEstimator) -> tuple[BaseEstimator, str]:
    """The last step of a pipeline or the choice of a search, and its path."""
    from sklearn.pipeline import Pipeline

    prefix = ""
    while True:
        if isinstance(estimator, Pipeline):
            name, estimator = estimator.steps[-1]
        elif hasattr(estimator, "best_estimator_"):
            name, estimator = "best_estimator_", estimator.best_estimator_
        else:
            return estimator, prefix
        prefix += f"{name}."


def _weights(estimator: Any, kind: str) -> tuple[str, FloatArray, FloatArray]:
    """The attribute with the rows, the rows of shape (outputs, features), and the intercepts."""
    if (coefs := getattr(estimator, "coefs_", None)) is not None:
        last = np.asarray(coefs[-1], dtype=np.float64).T
        return "coefs_[-1]", last, np.asarray(estimator.intercepts_[-1], dtype=np.float64)
    rows = getattr(estimator, "coef_", None)
    if rows is None:
        raise HeadError(
            f"{kind} is not linear: it has no row of weights a class. Take a linear classifier or "
            "MLPClassifier, or give nbdt.induce an array with a row a class."
        )
    rows = rows.toarray() if sparse.issparse(rows) else rows
    return (
        "coef_",
        np.atleast_2d(np.asarray(rows, dtype=np.float64)),  # RidgeClassifier's only row is flat
        np.asarray(estimator.intercept_, dtype=np.float64),
    )


def _predict_zeros(estimator: Any) -> npt.NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the features have no names
        return np.asarray(estimator.predict(np.zeros((1, estimator.n_features_in_))))


def _several_answers(kind: str) -> str:
    return (
        f"this {kind} is multi-label or has several outputs: a sample may have several classes or "
        "none, while a path down a tree leads to exactly one."
    )
