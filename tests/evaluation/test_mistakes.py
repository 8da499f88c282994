"""Mistakes against naive sets of ancestors and paths."""

import json
from collections import Counter

import pytest
from hypothesis import given

from nbdt.evaluation import MistakeCounter
from nbdt.hierarchy import Hierarchy, shapes
from tests.evaluation.oracle import cases, counted, samples, walks


def naive_height(tree: Hierarchy, node: int) -> int:
    return max((1 + naive_height(tree, child) for child in tree.children(node)), default=0)


def above(tree: Hierarchy, leaf: int) -> set[int]:
    return {leaf, *tree.ancestors(leaf)} - {tree.root}


@given(case=cases())
def test_every_number_is_that_of_naive_walks(case) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 25, seed)
    found = counted(MistakeCounter(tree, examples=2), logits, labels, score, rule)

    pairs = [
        (index, label, walk.answer)
        for index, (label, walk) in enumerate(
            zip(labels.tolist(), walks(logits, tree, score, rule), strict=True)
        )
    ]
    wrong = [pair for pair in pairs if pair[1] != pair[2]]
    lcas = [next(v for v in tree.ancestors(y) if v in tree.path(a)) for _, y, a in wrong]
    heights = [naive_height(tree, node) for node in lcas]
    distances = [len(above(tree, y) ^ above(tree, a)) for _, y, a in wrong]
    assert (found.samples, found.count) == (25, len(wrong))
    assert {h: n for h, n in enumerate(found.by_height) if n} == Counter(heights)
    assert len(found.by_height) == naive_height(tree, tree.root) + 1
    assert found.mean_height_of_all == pytest.approx(sum(heights) / 25)
    assert found.mean_distance_of_all == pytest.approx(sum(distances) / 25)
    if wrong:
        assert found.mean_height == pytest.approx(sum(heights) / len(wrong))
        assert found.mean_distance == pytest.approx(sum(distances) / len(wrong))
    else:
        assert found.mean_height is found.mean_distance is None

    shared = sum(len(above(tree, y) & above(tree, a)) for _, y, a in pairs)
    precision = shared / sum(len(above(tree, a)) for _, _, a in pairs)
    recall = shared / sum(len(above(tree, y)) for _, y, _ in pairs)
    assert (found.hierarchical_precision, found.hierarchical_recall) == pytest.approx(
        (precision, recall)
    )
    harmonic = 2 / (1 / precision + 1 / recall) if shared else 0
    assert found.hierarchical_f1 == pytest.approx(harmonic)

    ways: dict[tuple[int, int, int], list[int]] = {}
    for (index, label, answer), node in zip(wrong, lcas, strict=True):
        true, taken = (
            next(c for c in tree.children(node) if tree.is_ancestor(c, leaf))
            for leaf in (label, answer)
        )
        ways.setdefault((node, true, taken), []).append(index)
    assert {(c.node, c.true_child, c.taken_child): c.count for c in found.confusions} == {
        key: len(indices) for key, indices in ways.items()
    }
    for one in found.confusions:
        assert list(one.examples) == ways[one.node, one.true_child, one.taken_child][:2]
        assert one.true_child_name == tree.name(one.true_child)
    counts = [one.count for one in found.confusions]
    assert counts == sorted(counts, reverse=True)

    by_node: dict[int, list[int]] = {}
    for (index, _, _), node in zip(wrong, lcas, strict=True):
        by_node.setdefault(node, []).append(index)
    assert {one.node: (one.mistakes, list(one.examples)) for one in found.nodes} == {
        node: (len(indices), indices[:2]) for node, indices in by_node.items()
    }
    assert sum(one.share for one in found.nodes) == pytest.approx(1 if wrong else 0)
    costs = [one.mistakes for one in found.nodes]
    assert costs == sorted(costs, reverse=True)


def test_it_can_be_stored_as_json() -> None:
    tree = shapes.balanced(6)
    found = counted(MistakeCounter(tree), *samples(tree, 50))
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["mean_height"] == found.mean_height
    assert document["hierarchical_f1"] == found.hierarchical_f1
    assert document["confusions"][0]["examples"] == list(found.confusions[0].examples)
    assert document["nodes"][0]["mistakes"] == found.nodes[0].mistakes
