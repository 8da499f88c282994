import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import nbdt
from nbdt.errors import HeadError, InputError
from nbdt.sklearn import NBDTClassifier

IRIS = load_iris(as_frame=True)
X, Y = IRIS.data, IRIS.target_names[IRIS.target]

# What the estimators inside fail by themselves: bootstrapping and a loose tolerance.
WEIGHTS = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data",
     "check_sample_weight_equivalence_on_sparse_data"),
    "the estimator inside answers weights otherwise than repeated samples",
)  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LogisticRegression(), {}),
        (GaussianNB(), {}),
        (RandomForestClassifier(n_estimators=5, random_state=0), WEIGHTS),
        (LinearSVC(random_state=0), WEIGHTS),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_it_keeps_scikit_learns_contract(estimator, expected):
    results = check_estimator(
        NBDTClassifier(estimator), expected_failed_checks=expected, on_skip=None
    )
    assert len(results) > 50
    assert {found["check_name"] for found in results if found["status"] == "xfail"} == set(expected)


def test_it_answers_as_the_model_inside():
    classifier = NBDTClassifier(GaussianNB()).fit(X, Y)
    model = classifier.model_
    assert classifier.hierarchy_ is model.hierarchy
    assert classifier.classes_.tolist() == list(model.classes)
    assert (classifier.predict(X) == classifier.classes_[model.predict(X)]).all()
    np.testing.assert_allclose(classifier.predict_proba(X), model.predict_proba(X), atol=1e-12)
    np.testing.assert_allclose(
        classifier.predict_proba(X), GaussianNB().fit(X, Y).predict_proba(X), atol=1e-6
    )
    assert (classifier.decision_path(X) != model.decision_path(X)).nnz == 0
    assert str(classifier.explain(X[:2])[1]) == str(model.explain(X[:2])[1])
    hard = NBDTClassifier(GaussianNB(), rule="hard").fit(X, Y)
    assert (hard.predict(X) == hard.classes_[model.predict(X, "hard")]).all()


def test_it_works_in_pipelines_searches_and_cross_validation():
    pipeline = make_pipeline(StandardScaler(), NBDTClassifier(KNeighborsClassifier()))
    pipeline.set_output(transform="pandas").fit(X, Y)
    assert pipeline[-1].feature_names_in_.tolist() == X.columns.tolist()
    assert pipeline.score(X, Y) > 0.9
    assert cross_val_score(NBDTClassifier(GaussianNB()), X, Y, cv=3).mean() > 0.9
    search = GridSearchCV(
        NBDTClassifier(LogisticRegression(max_iter=1000)),
        {"score": ["mean", "logsumexp"], "rule": ["hard", "soft"], "estimator__C": [0.1, 1]},
        cv=2,
    ).fit(X, Y)
    assert search.score(X, Y) > 0.9
    assert search.best_estimator_.model_.score == search.best_params_["score"]


def test_score_is_a_setting_and_a_method():
    classifier = NBDTClassifier(GaussianNB(), score="mean", linkage="average", branching=3)
    assert "branching=3, estimator=GaussianNB(), linkage='average'," in repr(classifier)
    assert repr(classifier).endswith("score='mean')")
    with pytest.warns(nbdt.errors.Note, match="score='mean' averages log-probabilities"):
        classifier.fit(X, Y)
    assert classifier.model_.score == "mean"
    classifier.set_params(score="logsumexp").fit(X, Y)
    assert classifier.score(X, Y) == (classifier.predict(X) == Y).mean()
    for copied in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        assert copied.score == "logsumexp"
        assert copied.score(X, Y, sample_weight=np.ones(len(Y))) == classifier.score(X, Y)
    other = clone(classifier)
    other.set_params(score=classifier.score, estimator=LogisticRegression(max_iter=1000)).fit(X, Y)
    assert other.score(X, Y) == (other.predict(X) == Y).mean() != classifier.score(X, Y)


def test_a_fitted_estimator_can_stay_as_it_is():
    fitted = GaussianNB().fit(X, Y)
    classifier = NBDTClassifier(FrozenEstimator(fitted)).fit(X[:50], Y[:50])
    np.testing.assert_allclose(classifier.predict_proba(X), fitted.predict_proba(X), atol=1e-6)


def test_texts():
    texts = ["good film", "bad film", "a good one", "so bad"]
    classifier = NBDTClassifier(make_pipeline(TfidfVectorizer(), MultinomialNB()))
    assert classifier.fit(texts, [1, 0, 1, 0]).predict(["good"]).tolist() == [1]
    assert "Predicted 1" in str(classifier.model_.explain("good")[0])


@pytest.mark.parametrize("metric", ["outputs", "confusion"])
def test_the_tree_can_be_made_from_answers(metric):
    rows = NBDTClassifier(LogisticRegression(max_iter=1000)).fit(X, Y).hierarchy_
    answers = NBDTClassifier(LogisticRegression(max_iter=1000), metric=metric).fit(X, Y).hierarchy_
    assert not np.allclose(rows.merge_heights, answers.merge_heights)
    assert rows.classes == answers.classes


def test_what_cannot_be_is_refused_before_the_estimator_is_fitted():
    for options, said in (({"rule": "firm"}, "rule"), ({"score": "sum"}, "score")):
        with pytest.raises(InputError, match=said):
            NBDTClassifier(None, **options).fit(X, Y)
    with pytest.raises(InputError, match=r"KNeighborsClassifier.fit takes no sample_weight"):
        NBDTClassifier(KNeighborsClassifier()).fit(X, Y, sample_weight=np.ones(len(Y)))
    with pytest.raises(InputError, match="one class only, 'a'"):
        NBDTClassifier(RandomForestClassifier(2)).fit(X, np.full(len(X), "a"))
    with pytest.raises(HeadError, match="LinearRegression is not a classifier"):
        NBDTClassifier(LinearRegression()).fit(X, IRIS.target)


def test_it_is_imported_only_when_it_is_asked_for():
    code = "import nbdt, sys; print('sklearn' in sys.modules, nbdt.sklearn.NBDTClassifier)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("False <class 'nbdt.sklearn.NBDTClassifier'>")


def test_frames_in_another_order_are_scikit_learns_error():
    classifier = NBDTClassifier(GaussianNB()).fit(X, Y)
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        classifier.predict(X[X.columns[::-1]])
    assert (classifier.model_.predict(X[X.columns[::-1]]) == classifier.model_.predict(X)).all()
    assert isinstance(X, pd.DataFrame)
