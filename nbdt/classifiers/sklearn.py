"""scikit-learn, and what follows its contract: XGBoost, LightGBM, CatBoost, skorch and others.

A classifier has ``classes_``, and ``predict_proba`` or ``decision_function``. Linear models and
multilayer perceptrons have a row per class; the tree of any other is made from its answers.

Answers are read from ``predict_proba`` where there is one, else from ``decision_function``. Some
classifiers decide otherwise, so their ``predict`` may differ from the tree's answer: an SVC counts
the votes of its pairs of classes and calibrates probabilities apart from them, and a classifier
with a threshold of its own (TunedThresholdClassifierCV) compares with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from nbdt.classifiers import skops
from nbdt.classifiers.base import Adapter, Library
from nbdt.classifiers.head import Head
from nbdt.classifiers.outputs import OutputKind, as_logits
from nbdt.errors import HeadError, InputError, NBDTError, reason_of
from nbdt.hierarchy.classes import distinct_names
from nbdt.hierarchy.validation import FloatArray
from nbdt.inputs import Input
from nbdt.inputs.table import TableInput
from nbdt.inputs.text import TextInput

_PROBABILITIES, _MARGINS = "predict_proba", "decision_function"


class EstimatorModule(Adapter):
    """A fitted classifier as a module: a batch as the estimator takes it → logits, on the CPU."""

    reason: ClassVar[str] = (
        "scikit-learn's classifiers compute outside of torch, so they have no gradients and cannot "
        "be trained or exported here."
    )
    library: ClassVar[str] = "sklearn"
    gives_logits: ClassVar[bool] = True

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.method = _PROBABILITIES if hasattr(model, _PROBABILITIES) else _MARGINS
        self.num_classes = len(model.classes_)
        self.columns = column_names(model)

    def forward(self, batch: Any) -> Tensor:
        """The logs of ``predict_proba``, or the margins of ``decision_function``."""
        named = self._named(batch)
        try:
            return self.answer(named)
        except (NBDTError, Warning):
            raise
        except Exception as error:  # boosting libraries have errors of their own
            kind = type(self.model).__name__
            raise InputError(f"this {kind} does not take the batch: {reason_of(error)}") from error

    def answer(self, batch: Any) -> Tensor:
        """`forward` for a batch exactly as the estimator wants it, with its own errors."""
        values = np.asarray(getattr(self.model, self.method)(batch))
        kind: OutputKind = "probabilities" if self.method == _PROBABILITIES else "logits"
        return as_logits(values, kind, self.num_classes)

    def _named(self, batch: Any) -> Any:
        """The batch with columns named as in `fit`, and only if they were: else scikit-learn warns.

        Columns are put in the order of `fit`.
        """
        if isinstance(batch, Tensor):
            batch = batch.detach().cpu().numpy()
        given = getattr(batch, "columns", None)
        if given is None:
            shape = getattr(batch, "shape", None) or np.shape(batch)
            if self.columns is None or len(shape) != 2 or shape[1] != len(self.columns):
                return batch
            import pandas

            if sparse.issparse(batch):
                return pandas.DataFrame.sparse.from_spmatrix(batch, columns=self.columns)
            return pandas.DataFrame(batch, columns=self.columns)
        if self.columns is None:
            return batch.to_numpy() if hasattr(self.model, "n_features_in_") else batch
        given = list(given)
        if given == self.columns:
            return batch
        lacking = [name for name in self.columns if name not in given]
        if lacking:
            raise InputError(f"the table lacks the columns {', '.join(map(repr, lacking[:5]))}.")
        return batch[self.columns]

    def extra_repr(self) -> str:
        """The estimator on one line."""
        return f"{type(self.model).__name__}.{self.method}"


class ScikitLearn(Library):
    """The interface to scikit-learn and to estimators that follow its contract."""

    name = "sklearn"

    def recognizes(self, model: object) -> bool:
        if isinstance(model, nn.Module | type):
            return False
        bases = {(base.__module__, base.__name__) for base in type(model).__mro__}
        follows = all(callable(getattr(type(model), name, None)) for name in ("fit", "predict"))
        answers = any(hasattr(type(model), name) for name in (_PROBABILITIES, _MARGINS))
        return ("sklearn.base", "BaseEstimator") in bases or (follows and answers)

    def module(self, model: Any) -> nn.Module:
        check_estimator(model)
        last, _ = _last_step(model)
        if not any(hasattr(model, name) for name in (_PROBABILITIES, _MARGINS)):
            advice = (
                "set voting='soft'"
                if getattr(last, "voting", None) == "hard"
                else "take a classifier that has one of these"
            )
            raise HeadError(
                f"this {type(last).__name__} answers with a class only; a tree needs "
                f"predict_proba or decision_function: {advice}."
            )
        in_pairs = getattr(last, "decision_function_shape", "ovr") == "ovo"
        if in_pairs and len(model.classes_) > 2 and not hasattr(model, _PROBABILITIES):
            raise HeadError(
                f"this {type(last).__name__} gives a margin per pair of classes; call "
                "set_params(decision_function_shape='ovr') on it, which needs no new fit."
            )
        module = EstimatorModule(model)
        if hasattr(model, _MARGINS) and _are_logits(model):
            module.method = _MARGINS  # which keeps the digits of probabilities near 0 and 1
        return module

    def head(self, model: Any) -> Head:
        return head_of_estimator(model)

    def classes(self, module: Any, num_classes: int | None = None) -> tuple[str, ...] | None:
        return class_names(module.model if isinstance(module, EstimatorModule) else module)

    def input(self, model: Any) -> Input | None:
        """Text for a pipeline that begins with a text vectorizer, else the columns of `fit`."""
        model = model.model if isinstance(model, EstimatorModule) else model
        if text_vectorizer(model) is not None:
            return TextInput()
        names = column_names(model)
        columns = getattr(model, "n_features_in_", None) if names is None else names
        if not columns:
            return None
        table = TableInput.from_names(columns)
        if names is not None or (not hasattr(model, "steps") and not _takes_nan(model)):
            return table
        # Some step of a pipeline may fill gaps, so the pipeline itself has to refuse them.
        return table.replace(columns=tuple(one.replace(missing="nan") for one in table.columns))

    def open(self, source: str) -> Any | None:
        return skops.load(Path(source)) if source.lower().endswith(".skops") else None

    def saves(self, module: nn.Module) -> bool:
        return isinstance(module, EstimatorModule)

    def save(self, module: Any, folder: Path) -> dict[str, Any]:
        skops.save(module.model, folder / skops.FILE)
        return {}

    def load(self, options: Mapping[str, Any], folder: Path) -> nn.Module:
        return self.module(skops.load(folder / skops.FILE))


# ── which estimators choose one class among many ──────────────────────────────────────────────


def check_estimator(model: Any) -> None:
    """Refuses what is not fitted or does not choose one class among many, with a HeadError."""
    from sklearn.base import BaseEstimator, is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    last, _ = _last_step(model)
    kind = type(last).__name__
    ours = isinstance(last, BaseEstimator)
    if last is None or isinstance(last, str) or (ours and not is_classifier(last)):
        kind = kind if ours else repr(last)
        raise HeadError(
            f"{kind} is not a classifier, so its outputs are not classes; a tree of classes needs "
            "one, such as LogisticRegression."
        )
    try:
        if ours:
            check_is_fitted(last)
        labels = model.classes_
    except (NotFittedError, AttributeError):
        labels = None
    if labels is None or len(labels) == 0:
        if hasattr(last, "cv_results_") and not last.refit:
            raise HeadError(
                f"this {kind} has no best_estimator_, as it was fitted with refit=False; fit it "
                "with refit=True."
            )
        raise HeadError(f"this {kind} is not fitted yet; call fit first.")
    several = any(np.ndim(label) for label in labels) or getattr(last, "multilabel_", False)
    binarizer = getattr(last, "_label_binarizer", None)
    if several or getattr(binarizer, "y_type_", "").startswith("multilabel"):
        raise HeadError(
            f"this {kind} is multi-label or has several outputs: a sample may have several classes "
            "or none, while a path down a tree leads to exactly one."
        )
    if len(labels) < 2:
        raise HeadError(f"this {kind} knows one class only, {str(labels[0])!r}; a tree needs two.")
    vectorizer = text_vectorizer(model)
    if vectorizer is not None and vectorizer.input != "content":
        raise HeadError(
            f"the {type(vectorizer).__name__} in front of this {kind} opens files "
            f"(input={vectorizer.input!r}); set input='content', and give it texts."
        )


def _takes_nan(model: Any) -> bool:
    from sklearn.utils import get_tags

    try:
        return bool(get_tags(model).input_tags.allow_nan)
    except Exception:  # estimators that only follow the contract
        return True


def class_names(model: Any) -> tuple[str, ...]:
    """``classes_`` as text; names that are equal as text get their index."""
    return tuple(distinct_names([str(label) for label in np.asarray(model.classes_).tolist()]))


def column_names(model: Any) -> list[str] | None:
    """The columns of `fit`; None if they had no names."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:  # CatBoost's own, which are places if the columns had none
        names = getattr(model, "feature_names_", None)
        names = None if names == [*map(str, range(len(names or ())))] else names
    return None if names is None else [str(name) for name in names]


def text_vectorizer(model: Any) -> Any | None:
    """The text vectorizer that a pipeline begins with, also in a search, a union or an ensemble."""
    while model is not None:
        if any(base.__name__ == "_VectorizerMixin" for base in type(model).__mro__):
            return model
        steps = getattr(model, "steps", None) or getattr(model, "transformer_list", None)
        members = getattr(model, "estimators_", None)
        inner = [getattr(model, name, None) for name in ("best_estimator_", "estimator_")]
        if steps:
            model = next((step[1] for step in steps if step[1] not in (None, "passthrough")), None)
        elif (found := next((one for one in inner if one is not None), None)) is not None:
            model = found
        elif isinstance(members, list) and members and not hasattr(model, "n_features_in_"):
            model = members[0]
        elif getattr(model, "calibrated_classifiers_", None):
            model = model.calibrated_classifiers_[0].estimator
        else:
            model = None
    return None


def _last_step(estimator: Any) -> tuple[Any, str]:
    """The last step of a pipeline or the choice of a search, and its path."""
    prefix = ""
    while True:
        if getattr(estimator, "steps", None) and hasattr(estimator, "named_steps"):
            name, estimator = estimator.steps[-1]
        elif hasattr(estimator, "best_estimator_"):
            name, estimator = "best_estimator_", estimator.best_estimator_
        else:
            return estimator, prefix
        prefix += f"{name}."


def _are_logits(model: Any) -> bool:
    """Whether a model's margins are the logits of its probabilities."""
    try:
        return not head_of_estimator(model).altered
    except HeadError:
        return False


# ── rows ──────────────────────────────────────────────────────────────────────────────────────


def head_of_estimator(estimator: Any) -> Head:
    """The head of a fitted linear classifier, MLPClassifier, pipeline or search over such.

    The rows are ``coef_``, or the transposed last of ``coefs_``; those of a pipeline are rows of
    its last step's features. A HeadError if it is not fitted, not a classifier, not linear, or
    multi-label.
    """
    check_estimator(estimator)
    last, prefix = _last_step(estimator)
    kind = type(last).__name__
    name, weight, intercept = _weights(last, kind)
    classes = class_names(estimator)
    # A support vector machine has a row per pair of classes: three rows for three classes, which
    # look like class rows. For two classes its only row is the usual one.
    in_pairs = hasattr(last, "dual_coef_") and len(classes) > 2
    if in_pairs or len(weight) != (1 if len(classes) == 2 else len(classes)):
        raise HeadError(
            f"this {kind} has {len(weight)} rows of weights that do not stand for its "
            f"{len(classes)} classes; {_FROM_ANSWERS}, or use a classifier with a row a class, "
            "such as LinearSVC."
        )
    bias = np.broadcast_to(np.ravel(intercept), len(weight))
    layer = _layer(torch.tensor(weight), torch.tensor(bias))
    return Head(f"{prefix}{name}", layer, classes, altered=_is_altered(last, layer))


_FROM_ANSWERS = (
    "build its tree from its answers, nbdt.induce(classifier, samples=X) or (…, labels=y)"
)


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def _weights(estimator: Any, kind: str) -> tuple[str, FloatArray, FloatArray]:
    """The attribute with the rows, the rows of shape (outputs, features), and the intercepts."""
    if (coefs := getattr(estimator, "coefs_", None)) is not None:
        last = np.asarray(coefs[-1], dtype=np.float64).T
        return "coefs_[-1]", last, np.asarray(estimator.intercepts_[-1], dtype=np.float64)
    rows = _own_rows(estimator)
    if rows is None:
        raise HeadError(
            f"{kind} is not linear: it has no row of weights a class; {_FROM_ANSWERS}, or give "
            "nbdt.induce an array with a row a class."
        )
    rows = rows.toarray() if sparse.issparse(rows) else rows
    return (
        "coef_",
        np.atleast_2d(np.asarray(rows, dtype=np.float64)),  # RidgeClassifier's only row is flat
        np.asarray(estimator.intercept_, dtype=np.float64),
    )


def _own_rows(estimator: Any) -> Any | None:
    try:
        return estimator.coef_
    except Exception:  # XGBoost has the property and raises where its booster is not linear
        return None


def _is_altered(estimator: Any, layer: nn.Linear) -> bool:
    """Whether probabilities are anything but the softmax of the rows' values, as one-vs-rest's."""
    if not hasattr(estimator, _PROBABILITIES) or hasattr(estimator, "coefs_"):
        return False
    features = np.random.default_rng(0).normal(size=(8, layer.in_features))
    spread = np.abs(features @ layer.weight.numpy().T).max()
    features /= max(spread, 1e-9)
    values = as_logits(layer(torch.from_numpy(features)), num_classes=max(2, layer.out_features))
    found = EstimatorModule(estimator)(features).double().softmax(1)
    return not torch.allclose(found, values.softmax(1), atol=1e-6)
