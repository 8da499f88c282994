"""`Temperature`: what it does to decisions and answers, and as a document."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import FormatError, InputError
from nbdt.hierarchy import shapes
from nbdt.rules import Temperature, TreeLayout, decision_log_probs, hard_predict, soft_log_probs
from tests.evaluation.oracle import cases, samples, walks


@given(case=cases(), data=st.data())
def test_nodes_are_tempered_each_by_its_own(case, data) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, _ = case
    logits, _ = samples(tree, 5, seed)
    nodes = data.draw(st.dictionaries(st.sampled_from(tree.inner), st.floats(0.2, 5), max_size=4))
    temperature, layout = Temperature(nodes=nodes), TreeLayout(tree)
    expected = np.ones((5, len(tree)))
    for row, walk in enumerate(walks(logits, tree, score, "soft")):
        for node, shares in walk.decisions.items():
            warmed = {c: p ** (1 / nodes.get(node, 1)) for c, p in shares.items()}
            for child, share in warmed.items():
                expected[row, child] = share / sum(warmed.values())
    decisions = temperature.decisions(logits, layout, score)
    np.testing.assert_allclose(decisions.exp(), expected, rtol=1e-9)
    products = [
        [np.prod(expected[row][list(tree.path(leaf))]) for leaf in range(tree.num_classes)]
        for row in range(5)
    ]
    log_probs = temperature.log_probs(logits, layout, score)
    np.testing.assert_allclose(log_probs.exp(), products, rtol=1e-9)
    # Decisions keep their order, so that hard answers stay.
    if nodes:
        likeliest = torch.stack([decisions[:, list(tree.children(v))].argmax(1) for v in nodes])
        plain = decision_log_probs(logits, layout, score)
        before = torch.stack([plain[:, list(tree.children(v))].argmax(1) for v in nodes])
        assert torch.equal(likeliest, before)


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_one_temperature_divides_the_logits(score) -> None:  # type: ignore[no-untyped-def]
    tree = shapes.random(9, seed=1)
    layout, (logits, _) = TreeLayout(tree), samples(tree, 20)
    hot = Temperature(3.0)
    assert torch.equal(
        hot.log_probs(logits, layout, score), soft_log_probs(logits / 3, layout, score)
    )
    answers = (soft_log_probs(logits, layout, "logsumexp")).argmax(1)
    assert torch.equal(hot.log_probs(logits, layout, "logsumexp").argmax(1), answers)
    assert torch.equal(
        hard_predict(hot.divide(logits), layout, "mean"), hard_predict(logits, layout, "mean")
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_half_types_are_divided_in_float32(score, dtype) -> None:  # type: ignore[no-untyped-def]
    layout = TreeLayout(shapes.random(9, seed=1))
    logits = (torch.randn(20, 9, generator=torch.Generator().manual_seed(0)) * 8).to(dtype)
    for temperature in (Temperature(1.5), Temperature(1.5, {9: 0.7})):
        found = temperature.log_probs(logits, layout, score)
        assert found.dtype == torch.float32
        exact = temperature.log_probs(logits.double(), layout, score)
        assert torch.allclose(found.double(), exact, atol=1e-5)


def test_masked_classes_stay_masked() -> None:
    layout = TreeLayout(shapes.balanced(4))
    logits = torch.tensor([[-torch.inf, 1.0, 2.0, 3.0]])
    found = Temperature(2.0, {layout.num_nodes - 1: 0.5}).log_probs(logits, layout).exp()
    assert found[0, 0] == 0
    assert found.sum().item() == pytest.approx(1)


def test_json_may_have_whole_numbers() -> None:
    read = Temperature.from_dict({"value": 2, "nodes": {"4": 3}})
    assert (read.value, read.of(4)) == (2.0, 6.0)


def test_what_is_written_is_what_is_read() -> None:
    temperature = Temperature(1.5, {12: 2.0, 4: 0.5})
    document = json.loads(json.dumps(temperature.to_dict()))
    assert document == {"value": 1.5, "nodes": {"4": 0.5, "12": 2.0}}
    assert Temperature.from_dict(document) == temperature
    assert Temperature.from_dict(Temperature().to_dict()) == Temperature()


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_equal(twin) -> None:  # type: ignore[no-untyped-def]
    temperature = Temperature(1.5, {4: 0.5})
    assert twin(temperature) == temperature
    assert twin(temperature) != Temperature(1.5)


def test_later_changes_of_the_given_nodes_do_not_count() -> None:
    nodes = {4: 0.5}
    temperature = Temperature(nodes=nodes)
    nodes[4] = 7.0
    assert temperature.of(4) == 0.5


def test_it_says_what_it_is() -> None:
    assert str(Temperature(1.25)) == "temperature 1.25"
    assert str(Temperature(nodes={4: 0.5, 5: 2.0})) == (
        "temperature 1, times 0.5 to 2 at 2 nodes: class probabilities are not the network's"
    )


@pytest.mark.parametrize("score", ["logsumexp", "mean"])
def test_nothing_is_done_where_it_is_1(score) -> None:  # type: ignore[no-untyped-def]
    tree = shapes.random(9, seed=1)
    layout, (logits, _) = TreeLayout(tree), samples(tree, 20)
    one = Temperature()
    assert one.divide(logits) is logits
    assert torch.equal(one.log_probs(logits, layout, score), soft_log_probs(logits, layout, score))
    assert torch.equal(
        one.decisions(logits, layout, score), decision_log_probs(logits, layout, score)
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "an object with value and nodes, got None"),
        ({"value": 1.0}, "an object with value and nodes"),
        ({"value": 1.0, "nodes": [1]}, "temperatures by node id"),
        ({"value": 1.0, "nodes": {"x": 1.0}}, "temperatures by node id"),
        ({"value": 1.0, "nodes": {"²": 1.0}}, "temperatures by node id"),
        ({"value": 1.0, "nodes": {"9" * 5000: 1.0}}, "temperatures by node id"),
        ({"value": "1", "nodes": {}}, "a number above 0; got '1'"),
        ({"value": 10**400, "nodes": {}}, "a number above 0; got 1000"),
        ({"value": 1.0, "nodes": {"3": 0}}, r"a number above 0; got 0\.0"),
    ],
)
def test_other_documents_are_refused(document: object, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        Temperature.from_dict(document)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, None])
def test_what_is_no_temperature_is_refused(value) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="a number above 0"):
        Temperature(value)
    with pytest.raises(InputError, match="a number above 0"):
        Temperature(nodes={5: value})


def test_only_inner_nodes_have_one() -> None:
    layout = TreeLayout(shapes.balanced(4))
    for wrong in (2, 7, -1):
        temperature = Temperature(nodes={wrong: 2.0})
        said = rf"node {wrong} has a temperature, .* inner nodes .* 4 to 6"
        with pytest.raises(InputError, match=said):
            temperature.log_probs(torch.zeros(1, 4), layout)
        with pytest.raises(InputError, match=said):
            temperature.check_nodes(layout.hierarchy)


@pytest.mark.usefixtures("unchecked")
def test_a_number_is_the_temperature_of_all_logits():
    assert Temperature.from_value(2) == Temperature(2.0)
    assert Temperature.from_value(None) == Temperature()
    both = Temperature(2.0, {3: 1.5})
    assert Temperature.from_value(both) is both
    assert Temperature.from_value(np.float32(2.0)) == Temperature(2.0)
    for wrong in ("hot", True):
        with pytest.raises(InputError, match="a number above 0 or a Temperature; got "):
            Temperature.from_value(wrong)
