import math

import numpy as np
import pytest
import torch
from hypothesis import given

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.shapes import flat
from nbdt.rules import TreeLayout
from nbdt.selective import curve, information_kept, is_valid, stop
from nbdt.selective.measures import _ROWS
from tests.selective import oracle
from tests.strategies import hierarchies, random_hierarchy

PETS = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"])


@given(hierarchies(heights=False, attributes=False))
def test_every_node_is_measured_by_the_definition(tree):
    nodes = torch.arange(len(tree))
    layout = TreeLayout(tree)
    information = [oracle.information(tree, node) for node in range(len(tree))]
    np.testing.assert_allclose(information_kept(nodes, layout).numpy(), information, atol=1e-12)
    label = tree.num_classes // 2
    valid = is_valid(nodes, torch.full((len(tree),), label), layout).tolist()
    assert valid == [oracle.holds(tree, node, label) for node in range(len(tree))]


@given(oracle.samples())
def test_the_curve_has_what_stopping_gives_at_each_threshold(drawn):
    tree, rows, labels = drawn
    layout = TreeLayout(tree)
    found = curve(rows, labels, layout)
    assert found.thresholds[0] == -math.inf
    assert (np.diff(found.thresholds) > 0).all()
    # A few of the points, the ends among them.
    for place in {0, len(found.thresholds) // 2, len(found.thresholds) - 1}:
        answers = stop(rows, layout, found.thresholds[place])
        assert found.validity[place] == is_valid(answers, labels, layout).double().mean()
        assert found.information[place] == pytest.approx(
            float(information_kept(answers, layout).mean()), abs=1e-12
        )


@given(oracle.samples())
def test_the_curve_goes_from_the_classes_to_the_root(drawn):
    tree, rows, labels = drawn
    found = curve(rows, labels, TreeLayout(tree))
    accuracy = (rows.argmax(-1) == labels).double().mean()
    assert (found.information[0], found.validity[0]) == (1, accuracy)
    assert found.information[-1] == pytest.approx(0, abs=1e-12)
    assert found.validity[-1] == 1
    assert (np.diff(found.information) < 0).all()
    assert (np.diff(found.validity) >= 0).all()
    assert 0 <= found.area <= 1 - accuracy


def test_the_area_is_that_under_the_points():
    rows = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.5, 0.4, 0.1, 0.0]]).log()
    # By hand: "dog" is missed by "cat" at 0.5 and held by the node of both, half the information.
    found = curve(rows, torch.tensor([0, 1]), TreeLayout(PETS))
    assert found.validity.tolist() == [0.5, 1, 1, 1, 1]
    assert found.information.round(12).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert found.area == pytest.approx(0.25 * 0.5 / 2)
    assert found.information_at(0.5) == 1
    assert found.information_at(0.51) == pytest.approx(0.75)
    assert found.information_at(1.01) == 0


def test_on_a_flat_tree_it_is_plain_selective_classification():
    """Risk over coverage, both counted among all samples, the surest answered first."""
    rows, labels = oracle.log_probs(300, 20, 1), oracle.labels(300, 20, 1)
    labels[:200] = rows[:200].argmax(-1)
    found = curve(rows, labels, TreeLayout(flat(20)))
    confidence, classes = (x.numpy() for x in rows.exp().max(-1))
    order = np.argsort(-confidence)
    wrong = np.cumsum((classes != labels.numpy())[order]) / 300
    np.testing.assert_allclose(found.information[::-1], np.arange(301) / 300, atol=1e-12)
    np.testing.assert_allclose(1 - found.validity[::-1], [0, *wrong], atol=1e-12)


def test_many_samples_are_looked_at_in_parts():
    tree = random_hierarchy(8)
    rows, labels = oracle.log_probs(2 * _ROWS + 5, 8, 0), oracle.labels(2 * _ROWS + 5, 8, 0)
    layout = TreeLayout(tree)
    found = curve(rows, labels, layout)
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    again = curve(rows[shuffled], labels[shuffled], layout)
    np.testing.assert_array_equal(found.thresholds, again.thresholds)
    np.testing.assert_array_equal(found.validity, again.validity)
    np.testing.assert_allclose(found.information, again.information, atol=1e-12)


def test_a_curve_needs_samples():
    with pytest.raises(InputError, match="at least one sample"):
        curve(torch.empty(0, 4), torch.empty(0).long(), TreeLayout(PETS))
    with pytest.raises(InputError, match="log_probs must be a tensor"):
        curve([[0.0] * 4], torch.tensor([0]), TreeLayout(PETS))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (torch.tensor([7]), "an answer is 7; with 7 nodes answers go from 0 to 6"),
        (torch.tensor([-1]), "an answer is -1; with 7 nodes"),
        (
            torch.tensor([0.5]),
            "answers must be a tensor of whole numbers of .*; got torch.float32",
        ),
        (torch.tensor(3), r"got torch.int64 of shape \(\)"),
        ([3], "got a list"),
    ],
)
def test_what_are_no_answers_is_refused(answers, said):
    layout = TreeLayout(PETS)
    with pytest.raises(InputError, match=said):
        information_kept(answers, layout)
    with pytest.raises(InputError, match=said):
        is_valid(answers, torch.tensor([0]), layout)


def test_a_tree_is_no_layout():
    for refused in (
        lambda: is_valid(torch.tensor([0]), torch.tensor([0]), PETS),
        lambda: information_kept(torch.tensor([0]), PETS),
    ):
        with pytest.raises(
            InputError, match=r"got a Hierarchy: TreeLayout\(tree\) makes one of it"
        ):
            refused()
