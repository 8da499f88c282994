import inspect

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import all_estimators

from nbdt.classifiers import check_classifier, find_head, induce
from nbdt.errors import HeadError
from nbdt.model import NBDT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
NAMES = np.array(["cat", "dog", "eel"])
LABELS = np.argmax(X[:, :3], axis=1)
MANY = np.eye(3, dtype=int)[LABELS]

LINEAR = [
    LogisticRegression(),
    LogisticRegression(fit_intercept=False),
    LinearSVC(),
    LinearSVC(fit_intercept=False),
    SGDClassifier(random_state=0),
    RidgeClassifier(),
    Perceptron(),
    LinearDiscriminantAnalysis(),
]


def name_of(value):
    return type(value).__name__


@pytest.mark.parametrize("estimator", LINEAR, ids=name_of)
@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_rows_give_the_decision_function(estimator, num_classes):
    kept = num_classes > LABELS
    estimator.fit(X[kept], NAMES[LABELS[kept]])
    head = find_head(estimator)
    assert head.path == "coef_"
    assert head.classes == tuple(NAMES[:num_classes])
    assert (head.num_classes, head.num_features) == (num_classes, 4)
    with torch.no_grad():
        scores = head.module(torch.tensor(X)).squeeze(1).numpy()
    np.testing.assert_allclose(scores, estimator.decision_function(X), atol=1e-9)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_rows_of_a_multilayer_perceptron_are_its_last(num_classes):
    kept = num_classes > LABELS
    estimator = MLPClassifier((5,), max_iter=5, random_state=0).fit(X[kept], LABELS[kept])
    head = find_head(estimator)
    assert head.path == "coefs_[-1]"
    assert tuple(head.rows.shape) == (1 if num_classes == 2 else 3, 5)
    assert head.num_classes == num_classes
    hidden = np.maximum(X @ estimator.coefs_[0] + estimator.intercepts_[0], 0)
    with torch.no_grad():
        logits = head.module(torch.tensor(hidden))
    binary = torch.stack([torch.zeros(len(X)), logits[:, 0]], dim=1) if num_classes == 2 else logits
    np.testing.assert_allclose(binary.softmax(1).numpy(), estimator.predict_proba(X), atol=1e-9)


def test_a_linear_support_vector_machine_of_two_classes():
    estimator = SVC(kernel="linear").fit(X, LABELS == 1)
    assert find_head(estimator).classes == ("False", "True")


def test_rows_of_pairs_are_refused():
    # Three classes have three pairs, so the shape alone would not tell.
    with pytest.raises(HeadError, match=r"SVC has 3 rows .* do not stand for its 3 classes"):
        find_head(SVC(kernel="linear").fit(X, LABELS))


def test_pipelines_and_searches_end_in_a_classifier():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, LABELS)
    assert find_head(pipeline).path == "logisticregression.coef_"
    assert find_head(pipeline).classes == ("0", "1", "2")
    search = GridSearchCV(pipeline, {"logisticregression__C": [1.0]}, cv=2).fit(X, LABELS)
    assert find_head(search).path == "best_estimator_.logisticregression.coef_"


def test_features_may_have_names():
    estimator = LogisticRegression().fit(X, LABELS)
    estimator.feature_names_in_ = np.array(list("abcd"))  # as after fitting on a data frame
    assert find_head(estimator).num_classes == 3


def test_sparse_rows():
    estimator = SGDClassifier(random_state=0).fit(X, LABELS)
    dense = find_head(estimator).rows
    assert torch.equal(find_head(estimator.sparsify()).rows, dense)


def test_the_head_does_not_share_memory_with_the_estimator():
    estimator = LogisticRegression().fit(X, LABELS)
    head = find_head(estimator)
    before = head.rows.clone()
    estimator.coef_ += 1
    assert torch.equal(head.rows, before)


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), MLPClassifier(), make_pipeline(StandardScaler(), LinearSVC())],
    ids=name_of,
)
def test_what_is_not_fitted_is_refused(estimator):
    with pytest.raises(HeadError, match="is not fitted yet; call fit first"):
        find_head(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression().fit(X, LABELS),
        make_pipeline(Ridge()).fit(X, LABELS),
        KMeans(2, n_init=1).fit(X),
        StandardScaler().fit(X),
        make_pipeline(StandardScaler(), "passthrough").fit(X),
    ],
    ids=name_of,
)
def test_what_does_not_classify_is_refused(estimator):
    with pytest.raises(HeadError, match="is not a classifier, so its outputs are not classes"):
        find_head(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        OneVsRestClassifier(LogisticRegression()),
        MultiOutputClassifier(LogisticRegression()),
        RidgeClassifier(),
        MLPClassifier((3,), max_iter=5, random_state=0),
        KNeighborsClassifier(),
    ],
    ids=name_of,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_several_labels_or_outputs_are_refused(estimator):
    with pytest.raises(HeadError, match=f"this {name_of(estimator)} is multi-label or has several"):
        find_head(estimator.fit(X, MANY))


def test_what_is_not_linear_is_refused():
    for estimator in (KNeighborsClassifier(), SVC(), OneVsRestClassifier(LogisticRegression())):
        with pytest.raises(HeadError, match=f"{name_of(estimator)} is not linear"):
            find_head(estimator.fit(X, LABELS))


def test_a_path_is_for_networks():
    with pytest.raises(HeadError, match="path='coef_' names a layer of a torch network"):
        find_head(LogisticRegression().fit(X, LABELS), "coef_")
    with pytest.raises(HeadError, match="LogisticRegression is not fitted yet"):
        check_classifier(LogisticRegression())


def test_the_tree_has_the_classifiers_names():
    assert induce(LogisticRegression().fit(X, NAMES[LABELS])).names[:3] == tuple(NAMES)
    binary = induce(LogisticRegression().fit(X, LABELS == 1), ["other", "dog"])
    assert (len(binary), binary.names[:2]) == (3, ("other", "dog"))


# ── every classifier of scikit-learn ──────────────────────────────────────────────────────────

COUNTS = RNG.integers(0, 4, size=(90, 5)).astype(np.float64)  # some take counts only
TRUTHS = np.argmax(COUNTS[:, :3] + RNG.normal(0, 0.5, (90, 3)), axis=1)
REFUSED = {
    "ClassifierChain": "is multi-label or has several outputs",
    "MultiOutputClassifier": "is multi-label or has several outputs",
    "OutputCodeClassifier": "answers with a class only",
}
# Their own `predict` counts votes of pairs, has a threshold of its own, or (NearestCentroid) leaves
# out the priors that its probabilities have.
DECIDE_OTHERWISE = {
    *("SVC", "NuSVC", "OneVsOneClassifier", "TunedThresholdClassifierCV", "NearestCentroid"),
}


def fitted(name, kind):
    parameters = inspect.signature(kind).parameters
    options = {}
    if "estimators" in parameters:
        options["estimators"] = [("a", LogisticRegression()), ("b", KNeighborsClassifier())]
    elif "estimator" in parameters and name not in ("AdaBoostClassifier", "BaggingClassifier"):
        options["estimator"] = LogisticRegression()
    if "voting" in parameters:
        options["voting"] = "soft"
    options |= {key: 4 for key in ("n_estimators", "max_iter") if key in parameters}
    options |= {"max_iter": 100} if name in ("LabelPropagation", "LogisticRegressionCV") else {}
    options |= {"random_state": 0} if "random_state" in parameters else {}
    options |= {"radius": 4.0} if "radius" in parameters else {}
    options |= {"use_legacy_attributes": False} if "use_legacy_attributes" in parameters else {}
    labels = TRUTHS if name in REFUSED and name != "OutputCodeClassifier" else NAMES[TRUTHS]
    if "Threshold" in name:
        labels = NAMES[np.minimum(TRUTHS, 1)]
    if name in ("ClassifierChain", "MultiOutputClassifier"):
        labels = np.eye(3, dtype=int)[TRUTHS]
    elif name == "SelfTrainingClassifier":
        labels = np.where(np.arange(90) % 4, labels.astype(object), -1)
    return kind(**options).fit(COUNTS, labels)


@pytest.mark.parametrize(("name", "kind"), all_estimators("classifier"), ids=lambda value: value)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_classifier_has_its_tree_and_its_answers(name, kind, tmp_path):
    pytest.importorskip("skops")
    estimator = fitted(name, kind)
    if name in REFUSED:
        with pytest.raises(HeadError, match=REFUSED[name]):
            check_classifier(estimator)
        return
    # A dummy's outputs do not vary, so its tree is that of its confusion matrix.
    labels = NAMES[TRUTHS] if name == "DummyClassifier" else None
    tree = induce(estimator, samples=COUNTS, labels=labels)
    model = NBDT(estimator, tree)
    assert tree.classes == tuple(map(str, estimator.classes_))
    has_proba = hasattr(estimator, "predict_proba")
    read = estimator.predict_proba(COUNTS) if has_proba else estimator.decision_function(COUNTS)
    values = read if read.ndim == 2 else np.stack([np.zeros(len(read)), read], axis=1)
    clear = np.diff(np.sort(values, axis=1)[:, -2:]).squeeze(1) > 1e-9
    assert clear.mean() > 0.5
    found = model.predict(COUNTS).numpy()
    np.testing.assert_array_equal(found[clear], values.argmax(axis=1)[clear])
    if has_proba:
        np.testing.assert_allclose(model.predict_proba(COUNTS), read, atol=1e-6)
    if name not in DECIDE_OTHERWISE:
        own = np.searchsorted(estimator.classes_, estimator.predict(COUNTS))
        np.testing.assert_array_equal(found[clear], own[clear])

    model.save_pretrained(tmp_path / "model")
    loaded = NBDT.from_pretrained(tmp_path / "model")
    assert loaded.hierarchy == tree
    torch.testing.assert_close(loaded.predict_proba(COUNTS), model.predict_proba(COUNTS))
    assert str(loaded.explain(COUNTS[:1])[0]) == str(model.explain(COUNTS[:1])[0])
