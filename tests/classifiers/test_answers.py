"""Trees of classifiers without rows: from a confusion matrix, or from their outputs."""

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

import nbdt
from nbdt.classifiers import induce
from nbdt.errors import HeadError, InputError
from nbdt.hierarchy import shapes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
TRUTHS = (X[:, :5] + RNG.normal(size=(120, 5))).argmax(axis=1)
NAMES = np.array(["ant", "bee", "cat", "dog", "eel"])
KNN = KNeighborsClassifier(9).fit(X[:60], NAMES[TRUTHS[:60]])


def assert_same(tree, other):
    """The same tree, but for the last digits of its heights."""
    assert (tree.names, tree.parents.tolist()) == (other.names, other.parents.tolist())
    np.testing.assert_allclose(tree.merge_heights, other.merge_heights, rtol=1e-9)


def naive_rows(probabilities):
    """DESIGN's rows of outputs, one number at a time."""
    logs = []
    for row in probabilities:
        floored = [max(p, 1e-3) for p in row]
        line = [np.log(p / sum(floored)) for p in floored]
        logs.append([value - sum(line) / len(line) for value in line])
    rows = []
    for column in zip(*logs, strict=True):
        mean = sum(column) / len(column)
        row = [value - mean for value in column]
        rows.append([value / np.sqrt(sum(v * v for v in row)) for value in row])
    return np.array(rows)


def test_outputs_are_clustered_as_the_design_says():
    probabilities = KNN.predict_proba(X)
    assert (probabilities == 0).any()
    tree = induce(KNN, samples=X)
    assert_same(tree, induce(probabilities, NAMES, metric="outputs"))
    heights = linkage(pdist(naive_rows(probabilities)), "ward")[:, 2]
    np.testing.assert_allclose(tree.merge_heights[5:], heights, rtol=1e-5)


@pytest.mark.parametrize("labels", [NAMES[TRUTHS], TRUTHS, torch.tensor(TRUTHS), TRUTHS.tolist()])
def test_labels_are_values_names_or_indices(labels):
    # KNeighborsClassifier's own values are the names, so its indices are none of them.
    function = nbdt.classifiers.check_classifier(KNN).forward
    expected = confusion_matrix(NAMES[TRUTHS], KNN.predict(X), labels=NAMES)
    tree = induce(expected, NAMES, metric="confusion")
    assert induce(function, NAMES, samples=X, labels=labels) == tree
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "U":
        assert induce(KNN, samples=X, labels=labels) == tree
        assert nbdt.convert(KNN, X, labels).hierarchy == tree


def test_a_classifier_without_mistakes_has_the_tree_of_its_outputs():
    easy, labels = X[:60], KNN.predict(X[:60])
    assert induce(KNN, samples=easy, labels=labels) == induce(KNN, samples=easy)
    heights = induce(KNN, samples=easy, labels=labels, metric="confusion").merge_heights
    assert set(heights[5:]) == {1.0}


def test_rows_come_first_unless_a_metric_asks_for_answers():
    linear = LogisticRegression().fit(X, TRUTHS)
    assert induce(linear, samples=X, labels=TRUTHS) == induce(linear)
    outputs = induce(linear, samples=X, metric="outputs")
    assert_same(outputs, induce(linear.predict_proba(X), metric="outputs"))
    assert outputs != induce(linear)


def test_networks_without_a_head_answer_in_parts():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 5, generator=torch.manual_seed(0)))

        def forward(self, x):
            assert not torch.is_grad_enabled()
            assert len(x) <= 256
            return x @ self.weight

    network, samples = Scaled(), torch.randn(600, 5, generator=torch.manual_seed(1))
    with pytest.raises(HeadError):
        induce(network)
    expected = (samples @ network.weight).detach().double().softmax(1)
    for given in (samples, samples.numpy()):
        assert_same(induce(network, samples=given), induce(expected, metric="outputs"))


@pytest.mark.parametrize("num_classes", [2, 3, 8])
def test_a_class_that_never_varies_is_no_error(num_classes):
    logits = np.zeros((20, num_classes))
    logits[:, 1:] = RNG.normal(size=(20, num_classes - 1))
    logits[:, 1:] -= logits[:, 1:].mean(axis=1, keepdims=True)
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert induce(values, metric="outputs").num_classes == num_classes


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (KNN, {"labels": TRUTHS}, "labels belong to samples"),
        (KNN, {"metric": "outputs"}, "needs a matrix, but the source is a KNeigh.*give it samples"),
        (KNN, {"metric": "precomputed", "samples": X}, "needs a matrix, but the source is a KNeig"),
        (KNN, {"samples": X, "labels": NAMES[TRUTHS][:9]}, "120 samples need as many labels; got"),
        (KNN, {"samples": X, "labels": ["fox"] * 120}, "label of sample 0 is 'fox', .* ant, bee"),
        (KNN, {"samples": X[:, :2]}, "the table has 2 columns; the model reads 5"),
        (KNN, {"samples": X[:1]}, "two samples or more"),
        (KNN, {"samples": np.repeat(X[:1], 9, axis=0)}, "all samples the same answer"),
        (KNN, {"samples": X, "classes": ["a", "b"]}, "of shape .batch, 2.; got .120, 5."),
        (np.full((9, 3), 0.5), {"metric": "outputs"}, "needs probabilities: 0 or more, each row"),
        (np.eye(3), {"samples": X}, "samples= is for a classifier, .* type ndarray"),
    ],
)
def test_what_does_not_fit_is_refused(source, options, said):
    with pytest.raises(InputError, match=said):
        induce(source, **options)


def test_outputs_are_not_resampled_as_rows():
    rows = np.abs(RNG.normal(size=(4, 4)))
    with pytest.raises(InputError, match="metric='outputs' compares whole classes"):
        nbdt.hierarchy.support.resampled_trees(rows, metric="outputs")
    assert shapes.random(4, seed=0).num_classes == 4
