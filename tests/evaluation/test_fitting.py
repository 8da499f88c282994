"""Temperatures against scipy's minimisation of the loss itself."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch.utils.data import TensorDataset

from nbdt.data import load_dataset
from nbdt.errors import InputError
from nbdt.evaluation import Temperature, fit_temperature, fit_temperature_to_logits
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.model import NBDT
from nbdt.rules import TreeLayout, soft_log_probs
from tests.evaluation.oracle import samples
from tests.strategies import hierarchies


def loss(logits, labels, tree, score, temperature):  # type: ignore[no-untyped-def]
    log_probs = temperature.log_probs(logits, TreeLayout(tree), score)
    return -log_probs.gather(1, labels[:, None]).mean().item()


@settings(max_examples=15)
@given(tree=hierarchies(max_classes=10), seed=st.integers(0, 2**31), factor=st.floats(0.3, 3))
@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_it_finds_the_least_loss(score, tree, seed, factor) -> None:  # type: ignore[no-untyped-def]
    logits, labels = samples(tree, 60, seed)
    logits = logits * factor
    batches = list(zip(logits.split(25), labels.split(25), strict=True))
    fitted = fit_temperature_to_logits(batches, tree, score=score)

    best = minimize_scalar(
        lambda log: loss(logits, labels, tree, score, Temperature(float(np.exp(log)))),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert fitted.loss_after == pytest.approx(best.fun, abs=1e-7)
    if 0.06 < np.exp(best.x) < 15:
        assert fitted.temperature.value == pytest.approx(np.exp(best.x), rel=1e-3)
    assert fitted.loss_before == pytest.approx(loss(logits, labels, tree, score, Temperature()))
    assert fitted.loss_after == pytest.approx(loss(logits, labels, tree, score, fitted.temperature))
    assert fitted.loss_after <= fitted.loss_before + 1e-9
    assert fitted.samples == 60


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_per_node_each_has_the_least_loss_of_its_own(score) -> None:  # type: ignore[no-untyped-def]
    tree = shapes.random(7, branching=3, seed=2)
    logits, labels = samples(tree, 400)
    fitted = fit_temperature_to_logits(
        [(3 * logits, labels)], tree, score=score, per_node=True, min_samples=0
    )
    assert fitted.temperature.value == 1
    assert set(fitted.temperature.nodes) == set(tree.inner)
    assert fitted.loss_after < fitted.loss_before
    for node, value in fitted.temperature.nodes.items():
        for other in (value * 1.02, value / 1.02):
            nodes = {**fitted.temperature.nodes, node: other}
            assert fitted.loss_after < loss(
                3 * logits, labels, tree, score, Temperature(nodes=nodes)
            )
    after = loss(3 * logits, labels, tree, score, fitted.temperature)
    assert fitted.loss_after == pytest.approx(after)


def test_nodes_that_few_samples_pass_are_left_alone() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    logits, labels = samples(tree, 100)
    few = int((labels < 2).sum())
    fitted = fit_temperature_to_logits(
        [(logits, labels)], tree, score="logsumexp", per_node=True, min_samples=few + 1
    )
    assert set(fitted.temperature.nodes) == {4}
    fitted = fit_temperature_to_logits(
        [(logits, labels)], tree, score="logsumexp", per_node=True, min_samples=few
    )
    assert set(fitted.temperature.nodes) == {3, 4}
    after = loss(logits, labels, tree, "logsumexp", fitted.temperature)
    assert fitted.loss_after == pytest.approx(after)


def test_the_ends_of_the_range() -> None:
    tree = shapes.flat(2)
    always = fit_temperature_to_logits(
        [(torch.tensor([[1.0, 0]]), torch.tensor([0]))], tree, score="logsumexp"
    )
    assert always.temperature.value == pytest.approx(0.05, rel=1e-4)
    never = fit_temperature_to_logits(
        [(torch.tensor([[1.0, 0]]), torch.tensor([1]))], tree, score="logsumexp"
    )
    assert never.temperature.value == pytest.approx(20, rel=1e-4)
    even = fit_temperature_to_logits(
        [(torch.zeros(1, 2), torch.tensor([1]))], tree, score="logsumexp"
    )
    assert even.temperature.value == 1


def test_other_classes_may_be_masked() -> None:
    tree = shapes.balanced(4)
    logits, labels = samples(tree, 40)
    labels %= 3
    logits[:, 3] = -torch.inf
    fitted = fit_temperature_to_logits([(logits, labels)], tree, score="logsumexp")
    plain = torch.nn.functional.cross_entropy(logits / fitted.temperature.value, labels)
    assert fitted.loss_after == pytest.approx(plain.item())
    logits[0] = torch.tensor([0, 0, -torch.inf, 0])
    labels[0] = 2
    with pytest.raises(InputError, match="masked out"):
        fit_temperature_to_logits([(logits, labels)], tree, score="logsumexp")


def test_what_was_found_can_be_told_and_stored() -> None:
    tree = shapes.balanced(4)
    batch = samples(tree, 100)
    fitted = fit_temperature_to_logits([batch], tree, score="logsumexp")
    document = json.loads(json.dumps(fitted.to_dict()))
    assert Temperature.from_dict(document["temperature"]) == fitted.temperature
    assert f"Temperature {fitted.temperature.value:.3f} (" in str(fitted)
    per_node = fit_temperature_to_logits(
        [batch], tree, score="logsumexp", per_node=True, min_samples=1
    )
    assert "they change the probabilities of the classes" in str(per_node)
    nothing = fit_temperature_to_logits(
        [batch], tree, score="logsumexp", per_node=True, min_samples=10**6
    )
    assert nothing.loss_after == nothing.loss_before
    assert str(nothing).startswith("Temperature 1.000")


@pytest.mark.parametrize("batches", [[], [(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))]])
def test_without_a_sample_there_is_none(batches) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="at least one sample"):
        fit_temperature_to_logits(batches, shapes.flat(3), score="mean")


def test_the_soft_answers_of_a_network_stay() -> None:
    tree = shapes.balanced(8)
    logits, labels = samples(tree, 50)
    fitted = fit_temperature_to_logits([(logits, labels)], tree, score="logsumexp")
    layout = TreeLayout(tree)
    tempered = fitted.temperature.log_probs(logits, layout)
    assert torch.equal(tempered.argmax(1), soft_log_probs(logits, layout).argmax(1))


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_the_score_is_the_models(score) -> None:  # type: ignore[no-untyped-def]
    tree = shapes.random(6, branching=2, seed=1)
    logits, labels = samples(tree, 300)
    model = NBDT(torch.nn.Identity(), tree, score=score, temperature=Temperature(7.0))
    data = TensorDataset(3 * logits, labels)
    fitted = fit_temperature(model, data, batch_size=50)
    expected = {
        one: fit_temperature_to_logits([(3 * logits, labels)], tree, score=one).temperature.value
        for one in ("logsumexp", "mean")
    }
    assert abs(expected["logsumexp"] - expected["mean"]) > 0.1
    assert fitted.temperature.value == pytest.approx(expected[score], rel=1e-4)
    assert model.temperature == Temperature(7.0), "it is left as it is"

    fitted.apply_to(model)
    assert model.temperature == fitted.temperature
    assert model.provenance["temperature"] == fitted.to_dict()
    assert fitted.fingerprint == fit_temperature(model, data).fingerprint
    assert fitted.fingerprint != fit_temperature(model, [data[0]]).fingerprint


def test_a_score_has_to_be_named_where_there_is_no_model() -> None:
    batches = [(torch.zeros(1, 3), torch.tensor([0]))]
    with pytest.raises(TypeError, match="score"):
        fit_temperature_to_logits(batches, shapes.flat(3))  # type: ignore[call-arg]


def test_data_of_other_classes_are_refused() -> None:
    model = NBDT(torch.nn.Identity(), shapes.flat(["cat", "dog"]))
    with pytest.raises(InputError, match="classes of the data set differ from"):
        fit_temperature(model, load_dataset("digits"))
