"""`NBDTClassifier`: the tree of any classifier as an estimator of scikit-learn.

`nbdt.NBDT` is for a classifier that is trained already; this one is fitted like any other, and
lives in pipelines, searches and cross-validation. Import it by name: ``import nbdt`` does not
import scikit-learn.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from torch import Tensor

from nbdt.classifiers import check_classifier, induce, input_of
from nbdt.classifiers.sklearn import EstimatorModule, class_names
from nbdt.conversion import typed_reader
from nbdt.errors import HeadError, InputError
from nbdt.explain import Explanations, explain_predictions
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.rules import (
    Predictions,
    RuleName,
    ScoreName,
    get_rule,
    get_score,
    path_indicator,
)


class _ScoreName(str):
    """The parameter `score`, which can be called as the method `score` that scikit-learn wants."""

    owner: NBDTClassifier | None = None

    def __call__(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        owner = cast("NBDTClassifier", self.owner)
        return float(accuracy_score(y, owner.predict(X), sample_weight=sample_weight))

    def __reduce__(self) -> tuple[Any, ...]:
        return _ScoreName, (str(self),)


class _Score:
    """The attribute `score`: a method of every classifier, and a setting of the tree."""

    def __get__(self, owner: NBDTClassifier | None, kind: type | None = None) -> Any:
        if owner is None:
            return self
        value = vars(owner)["score"]
        if isinstance(value, _ScoreName):
            value.owner = owner
        return value

    def __set__(self, owner: NBDTClassifier, value: Any) -> None:
        # `clone` insists on getting back the very object that it gave.
        ours = isinstance(value, _ScoreName) and value.owner in (None, owner)
        owner.__dict__["score"] = (
            _ScoreName(value) if isinstance(value, str) and not ours else value
        )


class NBDTClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that decides down a tree of its classes, made of any classifier.

    `fit` fits a clone of the estimator and induces the tree: from its rows of weights if it has
    one per class, else from its outputs for the training samples. Wrap a fitted estimator in
    scikit-learn's ``FrozenEstimator`` to keep it as it is.

    Args:
        estimator: the classifier, with ``predict_proba`` or ``decision_function``.
        rule: how decisions become an answer, "soft" or "hard"; only `predict`, `decision_path` and
            `explain` depend on it.
        score: how a node is scored, "logsumexp" or "mean". As a method, ``score(X, y)`` is the
            mean accuracy.
        linkage: as in `nbdt.induce`, like `metric`, `normalize` and `branching`.

    Attributes:
        estimator_: the fitted classifier.
        classes_: its classes, in the order of `predict_proba`'s columns and the tree's leaves.
        hierarchy_: the tree, an `nbdt.Hierarchy`.
        model_: the `nbdt.NBDT`, for reports, saving and serving.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = NBDTClassifier(GaussianNB()).fit(X, y)
        >>> round(classifier.score(X, y), 2), classifier.decision_path(X).shape
        (0.96, (150, 5))
    """

    score = _Score()

    def __init__(
        self,
        estimator: Any,
        *,
        rule: RuleName = "soft",
        score: Any = "logsumexp",
        linkage: str | None = None,
        metric: str | None = None,
        normalize: bool = True,
        branching: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.rule = rule
        self.score = score
        self.linkage = linkage
        self.metric = metric
        self.normalize = normalize
        self.branching = branching

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags, tags.array_api_support = inner.input_tags, False
        tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        tags.classifier_tags.multi_label = False
        tags.non_deterministic = inner.non_deterministic
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Fits the estimator and builds the tree; an InputError if it takes no `sample_weight`."""
        get_rule(self.rule), get_score(self.score)  # before what may take hours
        estimator = clone(self.estimator)
        if sample_weight is None:
            estimator.fit(X, y)
        elif has_fit_parameter(estimator, "sample_weight"):
            estimator.fit(X, y, sample_weight=sample_weight)
        else:
            raise InputError(
                f"{type(estimator).__name__}.fit takes no sample_weight; leave it out."
            )
        labels: Any = getattr(estimator, "classes_", ())
        if len(labels) == 1:
            raise InputError(f"y has one class only, {str(labels[0])!r}; a tree needs two classes.")
        network = cast(EstimatorModule, check_classifier(estimator))
        self.estimator_ = estimator
        self.classes_ = labels
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))
        reader = input_of(estimator)
        with suppress(InputError):  # scikit-learn takes more than a model folder describes
            reader = typed_reader(reader, X, network)
        self.model_ = NBDT(
            network,
            self._induced(network, X, y),
            cast(ScoreName, str(self.score)),
            self.rule,
            preprocessing=reader,
        )
        self.hierarchy_ = self.model_.hierarchy
        return self

    def _induced(self, network: EstimatorModule, X: Any, y: Any) -> Hierarchy:  # noqa: N803
        options: dict[str, Any] = {
            "linkage": self.linkage,
            "normalize": self.normalize,
            "branching": self.branching,
        }
        if self.metric not in ("confusion", "outputs"):
            try:
                return induce(network, metric=self.metric, **options)
            except HeadError:
                if self.metric is not None:
                    raise
        # Mistakes on the samples that it was fitted to are few and say little, its outputs do.
        metric, answers = self.metric or "outputs", network.answer(X).double().softmax(dim=1)
        if metric == "confusion":
            predicted = self.classes_[answers.argmax(dim=1).numpy()]
            answers = confusion_matrix(y, predicted, labels=self.classes_)
        return induce(answers, class_names(network.model), metric=metric, **options)

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The class of each sample under the `rule`; shape (n_samples,)."""
        indices = self._predictions(X).answer_classes.numpy()
        answers: npt.NDArray[Any] = self.classes_[indices]
        return answers

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """The soft probability of every class, whatever the rule; shape (n_samples, n_classes)."""
        logits, model = self._logits(X), self.model_
        log_probs = model.temperature.log_probs(logits, model.layout, model.score)
        probabilities: npt.NDArray[np.float64] = log_probs.double().softmax(dim=1).numpy()
        return probabilities

    def decision_path(self, X: Any) -> csr_matrix:  # noqa: N803
        """Which nodes each sample passes: an indicator matrix, shape (n_samples, n_nodes)."""
        return path_indicator(self.hierarchy_, self._predictions(X).answer_classes.numpy())

    def explain(self, X: Any) -> Explanations:  # noqa: N803
        """Each sample's answer, with the decisions that led to it."""
        return explain_predictions(self._predictions(X), self.model_.geometry())

    def _predictions(self, X: Any) -> Predictions:  # noqa: N803
        logits = self._logits(X)
        return self.model_.predictions(logits, self.rule)

    def _logits(self, X: Any) -> Tensor:  # noqa: N803
        """As the estimator itself sees the samples, with scikit-learn's checks and warnings."""
        check_is_fitted(self)
        return cast(EstimatorModule, self.model_.network).answer(X)
