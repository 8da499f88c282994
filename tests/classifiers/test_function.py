from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from torch import nn

import nbdt
from nbdt.classifiers import check_classifier, find_head, induce
from nbdt.errors import HeadError, InputError
from nbdt.model import NBDT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
TREE = nbdt.Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])


def probabilities(batch):
    values = np.exp(np.asarray(batch, dtype=np.float64))
    return values / values.sum(axis=1, keepdims=True)


class Callable:
    def __call__(self, batch):
        return probabilities(batch).tolist()


@pytest.mark.parametrize(
    "function",
    [
        probabilities,
        lambda batch: torch.from_numpy(probabilities(batch)),
        partial(probabilities),
        Callable(),
        GaussianNB().fit(X, X.argmax(1)).predict_proba,
    ],
    ids=["function", "lambda", "partial", "object", "method"],
)
def test_anything_that_can_be_called_is_a_classifier(function):
    model = NBDT(function, TREE, outputs="probabilities")
    np.testing.assert_allclose(model.predict_proba(X), np.asarray(function(X)), atol=1e-7)
    tree = induce(function, TREE.classes, samples=X, outputs="probabilities")
    assert tree.classes == TREE.classes


@pytest.mark.parametrize("convert", [torch.tensor, np.asarray, pd.DataFrame, np.ndarray.tolist])
def test_it_gets_the_batch_as_the_caller_gives_it(convert):
    given = []

    def function(batch):
        given.append(batch)
        return torch.zeros(len(batch), 3)

    batch = convert(X)
    NBDT(function, TREE).predict(batch)
    assert given[0] is batch


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (np.zeros((3, 3)), r"function.* returned an array of shape \(3, 3\) for 40 samples"),
        (np.full((40, 3), 0.5), "sample 0 are not probabilities: they sum to 1.5"),
        (np.full((40, 2), 0.5), r"of shape \(batch, 3\); got \(40, 2\)"),
        (None, "returned NoneType; expected numbers"),
    ],
)
def test_results_that_are_no_probabilities_are_refused(result, said):
    with pytest.raises(InputError, match=said):
        NBDT(lambda batch: result, TREE, outputs="probabilities").predict(X)


def test_it_is_saved_without_the_function(tmp_path):
    model = NBDT(probabilities, TREE, outputs="probabilities")
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=r"does not say how its network is built.*network="):
        NBDT.from_pretrained(tmp_path / "model")
    loaded = NBDT.from_pretrained(tmp_path / "model", network=probabilities)
    assert torch.equal(loaded.predict_proba(X), model.predict_proba(X))


def test_it_has_no_rows():
    with pytest.raises(HeadError, match=r"probabilities has no .* nbdt.induce\(function, samples"):
        find_head(probabilities)
    with pytest.raises(HeadError, match="the class Linear itself"):
        check_classifier(nn.Linear)


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(1)], ids=["softmax", "log_softmax"])
def test_networks_that_end_in_a_softmax_say_so(end):
    outputs = "probabilities" if isinstance(end, nn.Softmax) else "log_probs"
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3), end)
    x = torch.randn(6, 3)
    model = nbdt.convert(network, outputs=outputs)
    assert model.head == "2"
    assert model.hierarchy == induce(network[2])
    torch.testing.assert_close(model.predict_proba(x), NBDT(network[:3], TREE).predict_proba(x))


def test_what_a_function_raises_is_one_sentence():
    def divided(batch):
        return 1 / 0

    model = NBDT(divided, TREE, outputs="probabilities")
    with pytest.raises(InputError, match=r"divided failed: ZeroDivisionError: division by zero"):
        model.predict(np.zeros((2, 3)))
