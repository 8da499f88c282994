"""`PathDecisions` and where paths diverge, against `Hierarchy` itself and naive walks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.hierarchy import Hierarchy
from nbdt.rules import PathDecisions, TreeLayout, decision_log_probs
from nbdt.rules.paths import divergence
from tests.evaluation.oracle import cases, samples, walks
from tests.strategies import caterpillar, hierarchies


@given(case=cases(), data=st.data())
def test_ways_are_those_of_naive_walks_to_any_node(case, data) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, _ = samples(tree, 6, seed)
    targets = data.draw(st.lists(st.integers(0, len(tree) - 1), min_size=6, max_size=6))
    decisions = decision_log_probs(logits, TreeLayout(tree), score).numpy()
    ways = PathDecisions(decisions, np.array(targets), TreeLayout(tree))
    found = {
        (sample, node): (towards, taken, right, margin, confidence, entropy, own)
        for sample, node, towards, taken, right, margin, confidence, entropy, own in zip(
            ways.samples.tolist(), ways.nodes.tolist(), ways.towards.tolist(),
            ways.taken.tolist(), ways.right.tolist(), ways.margins, ways.confidences,
            ways.entropies, ways.own, strict=True,
        )
    }  # fmt: skip
    expected = {
        (place, step.node): (
            step.towards, step.taken, step.right, pytest.approx(step.margin, abs=1e-9),
            pytest.approx(max(step.probabilities.values())), pytest.approx(step.entropy, abs=1e-9),
            pytest.approx(np.log(step.probabilities[step.towards])),
        )
        for place, walk in enumerate(walks(logits, tree, score, rule))
        for step in walk.way(targets[place])
    }  # fmt: skip
    assert found == expected
    least = [
        min((s.margin for s in walk.way(t)), default=np.inf)
        for walk, t in zip(walks(logits, tree, score, rule), targets, strict=True)
    ]
    np.testing.assert_allclose(ways.least_margins(6), least, atol=1e-9)
    lengths = [tree.depth(target) for target in targets]
    order = [(int(ways.samples[at]), int(ways.towards[at])) for at in ways.root_first]
    assert order == [(i, v) for i, target in enumerate(targets) for v in tree.path(target)[1:]]
    for at, rival in enumerate(ways.rivals.tolist()):
        siblings = walks(logits, tree, score, rule)[ways.samples[at]].decisions[ways.nodes[at]]
        others = {child: p for child, p in siblings.items() if child != ways.towards[at]}
        assert others[rival] == pytest.approx(max(others.values()))
    assert ways.totals(np.ones(len(ways.nodes)), 6).tolist() == lengths


@given(tree=hierarchies(), data=st.data())
def test_partings_are_those_of_the_tree(tree: Hierarchy, data: st.DataObject) -> None:
    pair = st.tuples(*[st.integers(0, tree.num_classes - 1)] * 2).filter(lambda p: p[0] != p[1])
    a, b = map(np.array, zip(*data.draw(st.lists(pair, min_size=1, max_size=5)), strict=True))
    layout = TreeLayout(tree)
    for one, other, node, towards_one, towards_other in zip(
        a.tolist(), b.tolist(), *(part.tolist() for part in divergence(layout, a, b)), strict=True
    ):
        assert node == tree.lca(one, other)
        assert tree.parent(towards_one) == tree.parent(towards_other) == node
        assert tree.is_ancestor(towards_one, one)
        assert tree.is_ancestor(towards_other, other)


def test_of_equal_children_the_lower_id_is_taken() -> None:
    tree = Hierarchy([3, 3, 3, -1], ["a", "b", "c"])
    even = np.log(np.full((3, 4), 1 / 3))
    ways = PathDecisions(even, np.arange(3), TreeLayout(tree))
    assert dict(zip(ways.samples.tolist(), ways.right.tolist(), strict=True)) == {
        0: True, 1: False, 2: False
    }  # fmt: skip


def test_masked_children_have_no_part() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["a", "b", "c"])
    logits = torch.tensor([[1.0, -torch.inf, 0.0]])
    decisions = decision_log_probs(logits, TreeLayout(tree)).numpy()
    ways = PathDecisions(decisions, np.array([0]), TreeLayout(tree))
    assert ways.margins[ways.nodes == 3] == np.inf
    assert ways.entropies[ways.nodes == 3] == 0
    other = PathDecisions(decisions, np.array([1]), TreeLayout(tree))
    assert other.margins[0] == -np.inf


def test_a_chain_of_thousands_is_climbed_quickly() -> None:
    tree = caterpillar(5000)
    layout = TreeLayout(tree)
    others = np.arange(1, 5000)
    nodes, _, _ = divergence(layout, np.zeros_like(others), others)
    assert nodes[[0, 1, -1]].tolist() == [tree.lca(0, 1), tree.lca(0, 2), tree.root]
