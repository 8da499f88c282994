"""`fit_temperature` against scipy's minimisation of the loss itself."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from nbdt.errors import InputError
from nbdt.evaluation import Temperature, fit_temperature
from nbdt.hierarchy import Hierarchy, shapes
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
    fitted = fit_temperature(batches, tree, score=score)

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
    fitted = fit_temperature(
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
    fitted = fit_temperature([(logits, labels)], tree, per_node=True, min_samples=few + 1)
    assert set(fitted.temperature.nodes) == {4}
    fitted = fit_temperature([(logits, labels)], tree, per_node=True, min_samples=few)
    assert set(fitted.temperature.nodes) == {3, 4}
    after = loss(logits, labels, tree, "logsumexp", fitted.temperature)
    assert fitted.loss_after == pytest.approx(after)


def test_the_ends_of_the_range() -> None:
    tree = shapes.flat(2)
    always = fit_temperature([(torch.tensor([[1.0, 0]]), torch.tensor([0]))], tree)
    assert always.temperature.value == pytest.approx(0.05, rel=1e-4)
    never = fit_temperature([(torch.tensor([[1.0, 0]]), torch.tensor([1]))], tree)
    assert never.temperature.value == pytest.approx(20, rel=1e-4)
    even = fit_temperature([(torch.zeros(1, 2), torch.tensor([1]))], tree)
    assert even.temperature.value == 1


def test_other_classes_may_be_masked() -> None:
    tree = shapes.balanced(4)
    logits, labels = samples(tree, 40)
    labels %= 3
    logits[:, 3] = -torch.inf
    fitted = fit_temperature([(logits, labels)], tree)
    plain = torch.nn.functional.cross_entropy(logits / fitted.temperature.value, labels)
    assert fitted.loss_after == pytest.approx(plain.item())
    logits[0] = torch.tensor([0, 0, -torch.inf, 0])
    labels[0] = 2
    with pytest.raises(InputError, match="masked out"):
        fit_temperature([(logits, labels)], tree)


def test_what_was_found_can_be_told_and_stored() -> None:
    tree = shapes.balanced(4)
    batch = samples(tree, 100)
    fitted = fit_temperature([batch], tree)
    document = json.loads(json.dumps(fitted.to_dict()))
    assert Temperature.from_dict(document["temperature"]) == fitted.temperature
    assert f"Temperature {fitted.temperature.value:.3f} (" in str(fitted)
    per_node = fit_temperature([batch], tree, per_node=True, min_samples=1)
    assert "they change the probabilities of the classes" in str(per_node)
    nothing = fit_temperature([batch], tree, per_node=True, min_samples=10**6)
    assert nothing.loss_after == nothing.loss_before
    assert str(nothing).startswith("Temperature 1.000")


@pytest.mark.parametrize("batches", [[], [(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))]])
def test_without_a_sample_there_is_none(batches) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="without a sample"):
        fit_temperature(batches, shapes.flat(3))


def test_the_soft_answers_of_a_network_stay() -> None:
    tree = shapes.balanced(8)
    logits, labels = samples(tree, 50)
    fitted = fit_temperature([(logits, labels)], tree)
    layout = TreeLayout(tree)
    tempered = fitted.temperature.log_probs(logits, layout)
    assert torch.equal(tempered.argmax(1), soft_log_probs(logits, layout).argmax(1))
