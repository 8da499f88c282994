"""That one decision can be interfered with alone; and that a rule which is not local is found."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.evaluation.faithfulness import changed_decisions, check_locality, locality
from nbdt.hierarchy import shapes
from nbdt.rules import Temperature, TreeLayout, decision_log_probs, node_scores
from tests.evaluation.oracle import cases, samples, walks
from tests.strategies import hierarchies


@settings(max_examples=30)
@given(tree=hierarchies(max_classes=12), data=st.data())
def test_exactly_that_decision_changes(tree, data) -> None:  # type: ignore[no-untyped-def]
    layout, (logits, _) = TreeLayout(tree), samples(tree, 1, data.draw(st.integers(0, 99)))
    node = data.draw(st.sampled_from(tree.inner))
    scores = node_scores(logits[0], layout)
    others = torch.randn(len(tree.children(node)), dtype=torch.float64)
    assert changed_decisions(scores, layout, node, others) == (node,)
    same = scores[list(tree.children(node))]
    assert changed_decisions(scores, layout, node, same) == ()


@settings(max_examples=30)
@given(case=cases())
def test_every_decision_on_the_hard_paths_is_tried(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, _ = case
    logits, _ = samples(tree, 5, seed)
    found = check_locality(logits, TreeLayout(tree), score=score)
    answers = [walk.answer for walk in walks(logits, tree, score, "hard")]
    assert found.decisions == sum(len(tree.path(answer)) - 1 for answer in answers)
    assert found.holds
    assert 0 <= found.gap < 1e-12


def test_temperatures_and_masked_classes() -> None:
    tree = shapes.random(8, branching=3, seed=1)
    logits, _ = samples(tree, 10)
    logits[::2, 3] = -torch.inf
    temperature = Temperature(2.0, {tree.root: 3.0})
    found = check_locality(logits, TreeLayout(tree), temperature=temperature)
    assert found.holds
    assert found.gap < 1e-12


def test_decisions_that_hang_together_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all children of all nodes shared one softmax."""
    monkeypatch.setattr(locality.scan, "decisions", lambda scores, _: scores.log_softmax(-1))
    tree = shapes.balanced(8)
    logits, _ = samples(tree, 3)
    found = check_locality(logits, TreeLayout(tree))
    assert (found.decisions, found.local, found.holds) == (9, 0, False)


def test_log_probabilities_that_are_not_the_sums_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = shapes.balanced(8)
    layout, (logits, _) = TreeLayout(tree), samples(tree, 3)
    monkeypatch.setattr(
        Temperature, "decisions", lambda *_: decision_log_probs(1.5 * logits, layout)
    )
    gaps = ((1.5 * logits).log_softmax(1) - logits.log_softmax(1)).abs()
    assert check_locality(logits, layout).gap == pytest.approx(gaps.max().item())


def test_no_sample_no_decision() -> None:
    found = check_locality(torch.zeros(0, 4), TreeLayout(shapes.balanced(4)))
    assert json.loads(json.dumps(found.to_dict())) == {
        "decisions": 0, "local": 0, "holds": True, "gap": 0.0
    }  # fmt: skip


@pytest.mark.parametrize(("node", "count"), [(2, 2), (2, 0), (5, 3)])
def test_scores_have_to_be_the_childrens(node: int, count: int) -> None:
    layout = TreeLayout(shapes.balanced(4))
    with pytest.raises(InputError, match=f"node {node} has . children"):
        changed_decisions(torch.zeros(7), layout, node, torch.zeros(count))
