import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
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
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import all_estimators
from torch import nn

import nbdt
from nbdt.classifiers import check_classifier, find_head, induce
from nbdt.errors import HeadError, InputError, Note
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


# ── what reaches an estimator, and what does not ──────────────────────────────────────────────

FRAME = pd.DataFrame(COUNTS, columns=list("abcde"))
TEXTS = ["a good film", "a bad film", "good one", "so bad", "good", "bad bad"]


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame,
        lambda frame: frame[frame.columns[::-1]],
        pd.DataFrame.to_numpy,
        lambda frame: frame.to_dict("list"),
        lambda frame: frame.to_dict("records"),
        lambda frame: torch.tensor(frame.to_numpy()),
        lambda frame: frame.to_numpy().tolist(),
        lambda frame: pytest.importorskip("polars").from_pandas(frame),
        lambda frame: pytest.importorskip("pyarrow").Table.from_pandas(frame),
    ],
    ids=["frame", "other order", "array", "columns", "rows", "tensor", "lists", "polars", "arrow"],
)
def test_rows_in_any_form_have_the_same_answers(convert):
    """Without a warning on names: the test run makes warnings errors."""
    names = [str(i) for i in range(5)]  # those of an array's columns
    for fitted_to, frame in ((FRAME, FRAME), (COUNTS, FRAME.set_axis(names, axis=1))):
        estimator = RandomForestClassifier(5, random_state=0).fit(fitted_to, TRUTHS)
        typed = nbdt.convert(estimator, fitted_to)
        for model in (typed, NBDT(estimator, typed.hierarchy)):
            found = model.predict_proba(convert(frame))
            np.testing.assert_allclose(found, estimator.predict_proba(fitted_to), atol=1e-7)


def test_sparse_rows_stay_sparse():
    estimator = LogisticRegression(max_iter=1000).fit(sparse.csr_matrix(COUNTS), TRUTHS)
    model = nbdt.convert(estimator, sparse.csr_matrix(COUNTS))
    found = model.predict_proba(sparse.csr_matrix(COUNTS))
    np.testing.assert_allclose(found, estimator.predict_proba(COUNTS), atol=1e-12)


@pytest.mark.parametrize("wrap", [
    lambda pipeline: pipeline,
    lambda pipeline: GridSearchCV(pipeline, {"multinomialnb__alpha": [1.0]}, cv=2),
    lambda pipeline: CalibratedClassifierCV(pipeline, cv=2, ensemble=False),
    lambda pipeline: VotingClassifier([("a", pipeline), ("b", pipeline)], voting="soft"),
], ids=["pipeline", "search", "calibrated", "voting"])  # fmt: skip
@pytest.mark.parametrize("first", [
    CountVectorizer(), HashingVectorizer(alternate_sign=False),
    FeatureUnion([("words", TfidfVectorizer()), ("signs", CountVectorizer(analyzer="char"))]),
], ids=name_of)  # fmt: skip
def test_pipelines_that_begin_with_a_text_vectorizer_read_texts(wrap, first, tmp_path):
    estimator = wrap(make_pipeline(first, MultinomialNB())).fit(TEXTS, [1, 0, 1, 0, 1, 0])
    model = nbdt.convert(estimator, TEXTS)
    assert model.preprocessing.kind == "text"
    assert model.predict("good good").tolist() == [1]
    assert model.predict(pd.Series(TEXTS)).tolist() == [1, 0, 1, 0, 1, 0]
    pytest.importorskip("skops")
    model.save_pretrained(tmp_path / "model")
    loaded = NBDT.from_pretrained(tmp_path / "model")
    assert str(loaded.explain("so good")[0]) == str(model.explain(["so good"])[0])


def test_a_vectorizer_that_opens_files_is_refused():
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, [1, 0] * 3)
    pipeline[0].set_params(input="filename")
    with pytest.raises(HeadError, match=r"opens files \(input='filename'\); set input='content'"):
        check_classifier(pipeline)


@pytest.mark.parametrize(("values", "names"), [
    ([False, True], ("False", "True")), ([7, 3], ("3", "7")), ([0.5, 1.5], ("0.5", "1.5")),
    (["no", "yes"], ("no", "yes")), (["a", "ä"], ("a", "ä")),
], ids=str)  # fmt: skip
def test_classes_of_any_type_have_names(values, names):
    labels = np.array(values)[(TRUTHS > 0).astype(int)]
    if labels.dtype.kind == "f":
        labels = labels.astype(object)
        labels = np.array([str(label) for label in labels])
    estimator = GaussianNB().fit(COUNTS, labels)
    model = nbdt.convert(estimator, COUNTS, labels)
    assert model.classes == names
    own = [str(value) for value in estimator.predict(COUNTS)]
    assert [names[i] for i in model.predict(COUNTS)] == own


@pytest.mark.parametrize(("estimator", "said"), [
    (GridSearchCV(GaussianNB(), {}, refit=False, cv=2).fit(COUNTS, TRUTHS), "with refit=True"),
    (VotingClassifier([("a", GaussianNB())]).fit(COUNTS, TRUTHS), "class only;.* voting='soft'"),
    (SVC(decision_function_shape="ovo").fit(COUNTS, TRUTHS), "margin per pair of classes; call"),
    (IsolationForest(n_estimators=2).fit(COUNTS), "IsolationForest is not a classifier"),
    (RandomForestClassifier(2).fit(COUNTS, TRUTHS * 0), "knows one class only, '0'"),
    (RandomForestClassifier(2).fit(COUNTS, np.stack([TRUTHS] * 2, axis=1)), "is multi-label or"),
    (make_pipeline(StandardScaler(), None).fit(COUNTS), "None is not a classifier"),
], ids=str)  # fmt: skip
def test_reasons_why_there_is_no_tree(estimator, said):
    with pytest.raises(HeadError, match=said):
        check_classifier(estimator)


def test_margins_of_pairs_can_be_asked_for_by_class():
    machine = SVC(decision_function_shape="ovo").fit(COUNTS, TRUTHS)
    machine.set_params(decision_function_shape="ovr")  # the way out that the message names
    model = nbdt.convert(machine, COUNTS)
    expected = machine.decision_function(COUNTS).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(COUNTS), expected)


def test_what_the_estimator_refuses_is_one_sentence():
    model = NBDT(GaussianNB().fit(COUNTS, TRUTHS), nbdt.Hierarchy([3, 3, 4, 4, -1], list("012ab")))
    with pytest.raises(InputError, match="the table has 2 columns; the model reads 5"):
        model.predict(COUNTS[:, :2])
    with pytest.raises(InputError, match="sample 1: column '0' has no value"):
        model.predict(np.where(np.arange(90)[:, None] == 1, np.nan, COUNTS)[:3])
    pipeline = make_pipeline(StandardScaler(), GaussianNB()).fit(COUNTS, TRUTHS)
    with pytest.raises(InputError, match="this Pipeline does not take the batch: Input X cont"):
        NBDT(pipeline, model.hierarchy).predict(np.full((2, 5), np.nan))


def test_outputs_and_classes_are_known_from_the_estimator():
    estimator = GaussianNB().fit(COUNTS, TRUTHS)
    model = nbdt.convert(estimator, COUNTS, outputs="probabilities")  # true, and read anyway
    assert torch.equal(model.predict(COUNTS), nbdt.convert(estimator, COUNTS).predict(COUNTS))
    with pytest.raises(InputError, match="the classifier has 3 classes, but the tree has 2"):
        NBDT(estimator, nbdt.Hierarchy([2, 2, -1], ["cat", "dog", "pet"]))


def test_mean_scores_of_probabilities_warn():
    estimator = GaussianNB().fit(COUNTS, TRUTHS)
    tree = induce(estimator, samples=COUNTS)
    with pytest.warns(Note, match="score='mean' averages log-probabilities"):
        model = NBDT(estimator, tree, score="mean")
    model.score = "logsumexp"
    with pytest.warns(Note, match="score='logsumexp' suits a classifier"):
        model.score = "mean"
    NBDT(LogisticRegression(max_iter=1000).fit(COUNTS, TRUTHS), tree, score="mean")


def test_rows_give_exact_logits_where_probabilities_underflow():
    estimator = LogisticRegression(C=1e4, max_iter=1000).fit(COUNTS, TRUTHS)
    model = nbdt.convert(estimator)
    assert (estimator.predict_proba(1e3 * COUNTS) == 0).any()
    np.testing.assert_allclose(
        model.logits(1e3 * COUNTS), estimator.decision_function(1e3 * COUNTS), rtol=1e-9
    )


# ── libraries that follow the contract ────────────────────────────────────────────────────────


def boosters():
    yield "lightgbm", lambda m: m.LGBMClassifier(n_estimators=4, verbose=-1)
    yield "lightgbm", lambda m: make_pipeline(StandardScaler(), m.LGBMClassifier(verbose=-1))
    yield "xgboost", lambda m: m.XGBClassifier(n_estimators=4)
    yield "xgboost", lambda m: m.XGBRFClassifier(n_estimators=4)
    yield "xgboost", lambda m: m.XGBClassifier(n_estimators=4, booster="gblinear")
    yield (
        "catboost",
        lambda m: m.CatBoostClassifier(
            iterations=4, verbose=False, allow_writing_files=False, thread_count=1
        ),
    )


@pytest.mark.parametrize(("library", "build"), list(boosters()))
@pytest.mark.parametrize("num_classes", [2, 3])
def test_boosting_by_other_libraries(library, build, num_classes, tmp_path):
    estimator = build(pytest.importorskip(library))
    with pytest.raises(HeadError, match="is not fitted yet; call fit first"):
        check_classifier(estimator)
    labels = np.minimum(TRUTHS, num_classes - 1)
    estimator.fit(COUNTS, labels)
    model = nbdt.convert(estimator, COUNTS, labels)
    assert model.classes == tuple(map(str, range(num_classes)))
    expected = estimator.predict_proba(COUNTS)
    np.testing.assert_allclose(model.predict_proba(COUNTS), expected, atol=1e-6)
    pytest.importorskip("skops")
    model.save_pretrained(tmp_path / "model")
    loaded = NBDT.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.predict_proba(COUNTS), model.predict_proba(COUNTS))


def test_catboost_reads_columns_by_name(tmp_path):
    catboost, _ = pytest.importorskip("catboost"), pytest.importorskip("skops")
    words = np.array(["red", "green", "blue"])[TRUTHS]
    rows = pd.DataFrame({"a.b": COUNTS[:, 0], "text": words, "größe": COUNTS[:, 1]})
    estimator = catboost.CatBoostClassifier(
        iterations=4, verbose=False, allow_writing_files=False, thread_count=1, cat_features=[1]
    ).fit(rows, TRUTHS)
    model = nbdt.convert(estimator, rows, TRUTHS)
    assert model.preprocessing.names == tuple(rows)
    model.save_pretrained(tmp_path / "model")
    loaded = NBDT.from_pretrained(tmp_path / "model")
    for given in (rows, rows[["text", "größe", "a.b"]], rows.to_dict("records")):
        answers = loaded.predict_proba(given)
        np.testing.assert_allclose(answers, estimator.predict_proba(rows), atol=1e-6)


def test_a_frame_gives_its_names_to_a_classifier_of_an_array():
    rows = pd.DataFrame(COUNTS, columns=list("abcde"))
    estimator = RandomForestClassifier(5, random_state=0).fit(COUNTS, TRUTHS)
    model = nbdt.convert(estimator, rows, TRUTHS)
    assert model.preprocessing.names == tuple("abcde")
    np.testing.assert_allclose(model.predict_proba(rows[["e", "d", "c", "b", "a"]]),
                               estimator.predict_proba(COUNTS), atol=1e-12)  # fmt: skip


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, x):
        return self.linear(x).softmax(dim=-1)


def test_networks_of_skorch(tmp_path):
    skorch = pytest.importorskip("skorch")
    network = skorch.NeuralNetClassifier(Net, max_epochs=1, verbose=0, train_split=None)
    samples = COUNTS.astype(np.float32)
    network.fit(samples, TRUTHS.astype(np.int64))
    model = nbdt.convert(network, samples)
    np.testing.assert_allclose(
        model.predict_proba(samples), network.predict_proba(samples), atol=1e-6
    )
    pytest.importorskip("skops")
    with pytest.raises(InputError, match=r"skops does not trust.*test_sklearn.Net"):
        model.save_pretrained(tmp_path / "model")
