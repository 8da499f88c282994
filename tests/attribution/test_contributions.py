"""Contributions of words, columns and values against oracles that try every subset of the parts."""

import math
from itertools import permutations
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import nbdt
from nbdt.attribution import Contributions, attribute, attribute_path
from nbdt.attribution.contributions import shapley
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.inputs import ArrayInput, Input, Preview
from nbdt.inputs.texts import text_parts

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])


class Strings(Input):
    """Texts as they are, as a classifier that is a function takes them."""

    kind = "strings"
    reads = "text"

    def read(self, value):
        return value

    def sample(self, value):
        return value

    def batch(self, samples):
        return list(samples)

    def preview(self, sample):
        return Preview(texts=(sample,))

    def parts(self, sample, *, baseline=None, by=None):
        return text_parts(sample, by)


class Counts(nn.Module):
    """Logits of texts: a weight a word and class, and what two words together add to class 0."""

    weights: ClassVar = {
        "good": (2.0, -1.0, 0.5),
        "slow": (-1.0, 0.5, 0.0),
        "film": (0.1, 0.2, 0.7),
    }

    def __init__(self, together=0.0):
        super().__init__()
        self.together = together
        self.asked = []

    def forward(self, texts):
        self.asked += texts
        rows = []
        for text in texts:
            words = text.replace(".", " ").split()
            known = [self.weights.get(word, (0, 0, 0)) for word in words]
            row = np.sum([[0.0, 0.0, 0.0], *known], axis=0)
            row[0] += self.together * ("good" in words and "film" in words)
            rows.append(row)
        return torch.tensor(np.array(rows))


def brute_force(game, parts):
    """Shapley values by their definition: the mean over all orders."""
    total, orders = 0, list(permutations(range(parts)))
    for order in orders:
        masks = np.zeros((parts + 1, parts), dtype=bool)
        for step, part in enumerate(order, 1):
            masks[step:, part] = True
        rises = np.diff(game(masks), axis=0)
        total = total + rises[np.argsort(order)]
    return total / len(orders)


def random_game(parts, seed, decisions=2):
    """A function of subsets with interactions of every order."""
    values = np.random.RandomState(seed).randn(2**parts, decisions)
    return lambda masks: values[masks @ (1 << np.arange(parts))]


@pytest.mark.parametrize("score", ["mean", "logsumexp"])
@pytest.mark.parametrize("baseline", [None, 0.5, [1.0, -2.0, 0.0, 3.0]])
def test_where_a_decision_is_linear_a_value_contributes_its_weight_times_its_rise(score, baseline):
    torch.manual_seed(0)
    layer = nn.Linear(4, 3, dtype=torch.float64)
    model = nbdt.NBDT(layer, TREE, score=score, preprocessing=ArrayInput(row=(4,)), temperature=2.0)
    model.network.float()
    x = np.array([1.5, -0.5, 2.0, 0.25])
    found = attribute(model, x, 3, baseline=baseline)  # cat against dog, linear under both scores
    weight = layer.weight.detach().double().numpy() / 2.0
    rise = x - np.broadcast_to(0.0 if baseline is None else baseline, 4)
    expected = (weight[found.child] - weight[found.rival]) * rise
    np.testing.assert_allclose(found.contributions, expected, atol=1e-6)
    assert found.is_exact
    assert found.convergence_delta == pytest.approx(0, abs=1e-6)
    assert found.total == pytest.approx(expected.sum(), abs=1e-6)


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_few_parts_get_exact_shapley_values(parts):
    game = random_game(parts, seed=parts)
    shares = shapley(game, parts, evaluations=2048, seed=0)
    np.testing.assert_allclose(shares.values, brute_force(game, parts), atol=1e-12)
    assert shares.is_exact


@pytest.mark.parametrize("parts", [2, 6, 12])
def test_shapley_values_share_out_the_whole_rise(parts):
    game = random_game(parts, seed=parts)
    shares = shapley(game, parts, evaluations=50, seed=0)
    np.testing.assert_allclose(shares.values.sum(0), shares.full - shares.empty, atol=1e-12)


def test_sampled_shapley_values_are_near_the_exact_ones_by_their_own_measure():
    game = random_game(7, seed=1)
    exact = brute_force(game, 7)
    shares = shapley(game, 7, evaluations=100, seed=3)  # fewer than all 128 subsets
    assert not shares.is_exact
    off = np.abs(shares.values - exact) / shares.errors
    assert np.sqrt(np.mean(off**2)) < 3
    assert shapley(game, 7, evaluations=100, seed=3).values.tolist() == shares.values.tolist()


def test_the_ablation_of_a_word_equals_leaving_it_out():
    network = Counts(together=1.0)
    model = nbdt.NBDT(network, TREE, preprocessing=Strings())
    text = "A good film. Not slow, good"
    explanation = model.explain([text])[0]
    found = attribute_path(model, text, explanation, method="ablation")
    without = {
        "A": "good film. Not slow, good",
        "good": "A film. Not slow, good",
        "film": "A good . Not slow, good",
        "slow": "A good film. Not , good",
    }
    for decision, one in zip(explanation.path, found, strict=True):
        assert one.difference == pytest.approx(decision.margin)
        assert one.parts == ("A", "good", "film", ".", "Not", "slow", ",", "good")
        for word, left in without.items():
            place = one.parts.index(word)
            other = attribute(model, left, decision, method="ablation").difference
            assert one.contributions[place] == pytest.approx(one.difference - other, abs=1e-6)
        assert one.convergence_delta is None
        start, end = one.spans[1][1:]
        assert one.preview.texts[0][start:end] == "good"


def test_interactions_make_contributions_differ_from_ablation_but_not_from_all_subsets():
    model = nbdt.NBDT(Counts(together=1.0), TREE, score="mean", preprocessing=Strings())
    (found,) = attribute_path(model, "good slow film", [3])
    # cat minus dog: each word's own difference, and half of what good and film add together.
    np.testing.assert_allclose(found.contributions, [3.0 + 0.5, -1.5, -0.1 + 0.5], atol=1e-6)
    assert found.convergence_delta == pytest.approx(0, abs=1e-6)
    assert str(found).splitlines()[1] == "  “good” spoke for cat by 3.50"


def test_ngrams_and_characters_are_parts_too():
    model = nbdt.NBDT(Counts(), TREE, preprocessing=Strings())
    assert attribute(model, "good", 4, by="character").parts == tuple("good")
    grams = attribute(model, "good", 3, by=3, method="ablation")
    assert grams.parts == ("goo", "ood")
    assert grams.kind == "n-gram"
    assert grams.contributions == pytest.approx((3.0, 3.0))  # without either, no word is left
    with pytest.raises(InputError, match="by must be 'word', 'character'"):
        attribute(model, "good", 3, by=0)


def test_long_samples_are_asked_once_a_part_and_add_up_where_the_decision_is_a_sum():
    text = " ".join(["good", "slow", "film"] * 40)
    network = Counts()
    found = attribute(nbdt.NBDT(network, TREE, score="mean", preprocessing=Strings()), text, 3)
    assert found.is_exact
    np.testing.assert_allclose(found.contributions, [3.0, -1.5, -0.1] * 40, atol=1e-4)
    found = attribute(nbdt.NBDT(Counts(together=1.0), TREE, preprocessing=Strings()), text, 3)
    assert (found.method, found.is_exact) == ("ablation", False)


def test_a_class_of_probability_0_is_counted_as_1_in_1000():
    def forward(rows):
        first = rows[:, :1].clamp(0, 1)
        return torch.cat([first, 1 - first, torch.zeros_like(first)], dim=1)

    network = nn.Sequential(nn.Identity())
    network.forward = forward
    reader = ArrayInput(row=(2,))
    model = nbdt.NBDT(network, TREE, outputs="probabilities", preprocessing=reader)
    (found,) = attribute_path(model, [1.0, 5.0], [3])
    assert found.floor == 1e-3
    # From (0.001, 1) to (1, 0.001).
    assert found.contributions == pytest.approx((2 * math.log(1000), 0.0), abs=1e-5)


def test_the_document_is_plain_and_says_what_is_known():
    model = nbdt.NBDT(nn.Linear(2, 3), TREE, preprocessing=ArrayInput(row=(2,)))
    found = attribute(model, [1.0, 2.0], "animal")
    assert isinstance(found, Contributions)
    document = found.to_dict()
    assert document["parts"][0] == {
        "name": "value 0",
        "value": "1",
        "contribution": found.contributions[0],
    }
    assert {document["kind"], document["in_place"]} == {"value", "0"}
    assert repr(found).startswith("Contributions('animal': ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample": [[1.0, 2.0], [3.0, 4.0]]}, "one sample; got 2"),
        ({"method": "grad_cam"}, "method must be one of shapley, ablation"),
        ({"by": 2}, "by=2 is for models that read text"),
        ({"baseline": [1.0, 2.0, 3.0]}, r"the baseline has the shape \(3,\); expected \(2,\)"),
        ({"evaluations": 0}, "evaluations must be a positive whole number"),
        ({"decision": 0}, "is the class 'cat', which decides nothing"),
    ],
)
def test_what_cannot_be_attributed_is_refused_in_a_sentence(arguments, message):
    model = nbdt.NBDT(nn.Linear(2, 3), TREE, preprocessing=ArrayInput(row=(2,)))
    asked = {"sample": [1.0, 2.0], "decision": 3} | arguments
    with pytest.raises(InputError, match=message):
        attribute(model, asked.pop("sample"), asked.pop("decision"), **asked)


def test_a_model_that_fails_without_some_parts_says_so():
    class Picky(Counts):
        def forward(self, texts):
            if "" in texts:
                raise ValueError("no text")
            return super().forward(texts)

    model = nbdt.NBDT(Picky(), TREE, preprocessing=Strings())
    with pytest.raises(InputError, match="without some of its parts, but: no text"):
        attribute(model, "good film", 3, method="shapley")
    assert attribute(model, "good film", 3).method == "ablation"


def test_pixels_are_todays_saliency(conv, linear):
    x = torch.randn(1, 2, 8, 8)
    assert attribute_path(conv, x)[0].method == "grad_cam"
    # No map of features, so no GradCAM.
    assert attribute(linear, torch.randn(1, 2, 3, 4), 6).method == "integrated_gradients"
