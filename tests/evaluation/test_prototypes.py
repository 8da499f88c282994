"""Prototypes against sorting all samples of every node."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import InputError, NotFoundError
from nbdt.evaluation import PrototypeFinder
from nbdt.evaluation.prototypes import KINDS
from nbdt.hierarchy import Hierarchy, shapes
from tests.evaluation.oracle import cases, counted, samples, walks


@given(case=cases(max_classes=8), k=st.integers(1, 4))
def test_they_are_those_that_sorting_finds(case, k: int) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 30, seed)
    found = counted(PrototypeFinder(tree, examples=k), logits, labels, score, rule)

    passing: dict[int, list[tuple[float, bool, int, int, float]]] = {
        node: [] for node in range(len(tree))
    }
    expected = walks(logits, tree, score, rule)
    for index, (walk, label) in enumerate(zip(expected, labels.tolist(), strict=True)):
        way = walk.way(label)
        for step in way:
            share = step.probabilities[step.taken]
            passing[step.node].append((step.margin, step.right, index, step.taken, share))
        least = min(step.margin for step in way)
        share = walk.probabilities[walk.answer]
        passing[label].append((least, walk.answer == label, index, walk.answer, share))
    for node, all_here in passing.items():
        right = sorted(entry for entry in all_here if entry[1])
        wrong = sorted(entry for entry in all_here if not entry[1])
        wanted = {"confident": right[::-1][:k], "borderline": right[:k], "misrouted": wrong[:k]}
        for kind in KINDS:
            assert [(one.index, one.child) for one in found.of(node, kind)] == [
                (index, child) for _, _, index, child, _ in wanted[kind]
            ]
            assert [one.probability for one in found.of(node, kind)] == pytest.approx(
                [share for *_, share in wanted[kind]]
            )


def test_arrays_are_filled_up() -> None:
    tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
    logits, labels = samples(tree, 1)
    found = counted(PrototypeFinder(tree, examples=3), logits, labels)
    for kind in KINDS:
        assert found.samples[kind].shape == found.probabilities[kind].shape == (5, 3)
        assert (found.samples[kind][:, 1:] == -1).all()
        assert (found.children[kind][:, 1:] == -1).all()
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(document) == {str(node) for node in tree.path(int(labels[0]))}


def test_what_is_not_there_cannot_be_asked_for() -> None:
    found = PrototypeFinder(shapes.flat(3), examples=0).compute()
    assert found.of(3, "confident") == ()
    with pytest.raises(InputError, match="confident, borderline, misrouted; got 'best'"):
        found.of(3, "best")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no node 9"):
        found.of(9, "confident")
