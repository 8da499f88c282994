"""`Explanations`: a list in all but how a notebook shows it."""

import copy
import pickle

import torch

import nbdt
from nbdt.explain import Explanation, Explanations

TREE = nbdt.Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])


def several() -> Explanations:
    return nbdt.NBDT(torch.nn.Identity(), TREE).explain(torch.eye(3))


def test_a_model_gives_a_list_that_shows_itself() -> None:
    explanations = several()
    assert type(explanations) is Explanations
    assert explanations == list(explanations)
    assert [one.prediction for one in explanations] == [0, 1, 2]
    assert "image/svg+xml" in explanations._repr_mimebundle_()


def test_slices_show_themselves_too_and_items_are_explanations() -> None:
    explanations = several()
    assert type(explanations[1:]) is Explanations
    assert explanations[1:] == list(explanations)[1:]
    assert isinstance(explanations[-1], Explanation)
    assert explanations[-1].prediction == 2


def test_it_can_be_copied_and_pickled() -> None:
    explanations = several()
    for again in (copy.deepcopy(explanations), pickle.loads(pickle.dumps(explanations))):
        assert type(again) is Explanations
        assert again == explanations
