import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from torch import nn

from nbdt.classifiers import induce
from nbdt.errors import HeadError, InputError
from nbdt.hierarchy.induce import induce as induce_from_rows
from tests.classifiers.networks import Hidden, Unreadable, mlp

ROWS = np.random.default_rng(0).integers(-8, 9, size=(7, 5)) / 8  # exact in half precision
NAMES = list("abcdefg")
EXPECTED = induce_from_rows(ROWS, NAMES)


def with_rows(layer, rows=ROWS):
    layer.weight = nn.Parameter(torch.tensor(rows, dtype=torch.float32).view_as(layer.weight))
    return layer


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        ROWS.astype(np.float16),
        np.asfortranarray(ROWS),
        ROWS.tolist(),
        tuple(map(tuple, ROWS)),
        list(torch.tensor(ROWS)),
        torch.tensor(ROWS),
        torch.tensor(ROWS, requires_grad=True),
        torch.tensor(ROWS, dtype=torch.bfloat16),
        torch.tensor(ROWS, dtype=torch.float16),
        torch.tensor(ROWS).to_sparse(),
        torch.tensor(ROWS).T.contiguous().T,
        with_rows(nn.Linear(5, 7)),
        with_rows(nn.Linear(5, 7)).bfloat16(),
        with_rows(nn.Conv2d(5, 7, 1)),
        nn.Sequential(nn.Linear(3, 5), nn.ReLU(), with_rows(nn.Linear(5, 7))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_all_sources_of_the_same_rows_give_the_same_tree(source):
    assert induce(source, NAMES) == EXPECTED


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_rows_on_a_gpu():
    assert induce(torch.tensor(ROWS, device="cuda"), NAMES) == EXPECTED
    assert induce(with_rows(nn.Linear(5, 7)).to("cuda"), NAMES) == EXPECTED


def test_integers_are_numbers():
    assert induce((8 * ROWS).astype(int), NAMES, normalize=False) == induce(
        torch.tensor(8 * ROWS, dtype=torch.int64), NAMES, normalize=False
    )


def test_options_reach_the_clustering():
    options = {"linkage": "average", "metric": "cosine", "normalize": False, "branching": 3}
    assert induce(with_rows(nn.Linear(5, 7)), NAMES, **options) == induce_from_rows(
        ROWS, NAMES, **options
    )
    assert induce(ROWS, NAMES, **options) != EXPECTED


@pytest.mark.parametrize("metric", ["confusion", "precomputed"])
def test_matrices_are_passed_on(metric):
    matrix = np.abs(ROWS @ ROWS.T) + 1
    if metric == "precomputed":
        np.fill_diagonal(matrix, 0)
    options = {"metric": metric, "linkage": "average"}
    assert induce(matrix, NAMES, **options) == induce_from_rows(matrix, NAMES, **options)
    for classifier in (Hidden(), LogisticRegression()):
        with pytest.raises(InputError, match=f"metric='{metric}' needs a matrix, .* source is a "):
            induce(classifier, metric=metric)


def test_classes_have_numbers_for_names():
    assert induce(Hidden()).names[:3] == ("0", "1", "2")
    assert induce(ROWS).names[:7] == tuple("0123456")
    assert induce(ROWS, (name for name in NAMES)) == EXPECTED


def test_a_single_row_is_two_classes():
    for source in (nn.Linear(4, 1), torch.ones(1, 4), mlp(outputs=1)):
        tree = induce(source, ["no", "yes"])
        assert len(tree) == 3
        assert tree.names[:2] == ("no", "yes")


def test_the_names_have_to_be_as_many_as_the_classes():
    with pytest.raises(InputError, match="'out' tells 3 classes apart; got 2 class names"):
        induce(Hidden(), ["cat", "dog"])
    with pytest.raises(InputError, match="'' tells 2 classes apart; got 1 class names"):
        induce(nn.Linear(4, 1), ["yes"])
    with pytest.raises(InputError, match="7 rows need 7 class names; got 2"):
        induce(ROWS, ["cat", "dog"])
    for wrong in (3, "cat", {"cat", "dog", "eel"}):  # a set would put them in any order
        with pytest.raises(InputError, match=r"classes must be a list of names, got .*cat|3"):
            induce(Hidden(), wrong)


def test_the_names_help_to_find_the_head():
    assert induce(Unreadable(), ["cat", "dog", "eel"]).names[:3] == ("cat", "dog", "eel")
    with pytest.raises(HeadError, match="2 layers are candidates"):
        induce(Unreadable())


def test_the_head_can_be_named():
    assert len(induce(Hidden(), head="body").leaves(0)) == 1
    assert induce(Hidden(), head="body").num_classes == 6
    with pytest.raises(InputError, match=r"head= is for a classifier, .* type ndarray"):
        induce(ROWS, head="body")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    rows = ROWS.copy()
    rows[2, 1] = value
    for source in (rows, torch.tensor(rows), with_rows(nn.Linear(5, 7), rows)):
        with pytest.raises(InputError, match="row 2 contains NaN or infinity"):
            induce(source)


def test_weights_that_are_not_there_are_refused():
    with pytest.raises(HeadError, match="'2' is on the meta device"):
        induce(mlp().to("meta"))
    with pytest.raises(InputError, match="this tensor is on the meta device"):
        induce(torch.ones(3, 4, device="meta"))


def test_complex_tensors_are_refused():
    with pytest.raises(InputError, match=r"real numbers is needed.*torch.complex64"):
        induce(torch.ones(3, 4, dtype=torch.complex64))


@pytest.mark.parametrize(
    "source",
    [
        None,
        nn.Linear,
        [[1, 2], [3]],
        [["cat", "dog"]],
        sparse.csr_matrix(ROWS),
        [torch.ones(2), torch.ones(3)],
        [torch.ones(2, requires_grad=True)] * 2,
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_rows_is_refused(source):
    with pytest.raises(InputError):
        induce(source)
