"""Support of inner nodes: against dendropy, sets of classes, and what resampling must come to."""

import math

import dendropy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, induce, shapes
from nbdt.hierarchy.formats import to_newick
from nbdt.hierarchy.support import resampled_trees, support_labels, with_support
from tests.strategies import hierarchies, shuffled


@st.composite
def one_and_others(draw: st.DrawFn) -> tuple[Hierarchy, list[Hierarchy]]:
    """A tree, and some over the same classes in other orders, of which some share groups."""
    tree = draw(hierarchies(max_classes=8))
    count = tree.num_classes
    others = []
    for other in draw(st.lists(st.just(tree) | hierarchies(count, count), min_size=1, max_size=4)):
        order = draw(shuffled(range(count)))
        others.append(Hierarchy(other.parents, [tree.classes[i] for i in order]))
    return tree, others


def clades(tree: Hierarchy) -> set[frozenset[str]]:
    return {frozenset(tree.name(leaf) for leaf in tree.leaves(node)) for node in tree.inner}


def held(tree: Hierarchy, node: int) -> frozenset[str]:
    return frozenset(tree.name(leaf) for leaf in tree.leaves(node))


@given(drawn=one_and_others())
def test_support_is_the_share_of_trees_with_the_same_group(
    drawn: tuple[Hierarchy, list[Hierarchy]],
) -> None:
    tree, others = drawn
    known = with_support(tree, iter(others))
    for node in tree.inner[:-1]:
        having = sum(held(tree, node) in clades(other) for other in others)
        before = dict(tree.attributes(node))
        assert known.attributes(node) == before | {
            "support": having / len(others),
            "support_trees": len(others),
        }
    for node in (*range(tree.num_classes), tree.root):
        assert known.attributes(node) == tree.attributes(node)
    bare = Hierarchy(known.parents, known.names, merge_heights=known.merge_heights)
    assert bare == Hierarchy(tree.parents, tree.names, merge_heights=tree.merge_heights)


def test_support_is_dendropys() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 12))
    names = [f"c{i}" for i in range(9)]
    others = list(resampled_trees(rows, names, count=40, seed=1))
    tree = with_support(induce(rows, names), others)
    newick = "\n".join(to_newick(other, notes=False) for other in others)
    read = dendropy.TreeList.get(
        data=newick, schema="newick", rooting="force-rooted", suppress_internal_node_taxa=True
    )
    for node in tree.inner[:-1]:
        labels = [tree.name(leaf) for leaf in tree.leaves(node)]
        frequency = read.frequency_of_bipartition(labels=labels)
        assert tree.attributes(node)["support"] == pytest.approx(frequency)
    assert len({tree.attributes(node)["support"] for node in tree.inner[:-1]}) > 2


def test_columns_are_drawn_as_felsenstein_draws_sites() -> None:
    # Two columns join a and b, one joins b and c: so do a and b wherever two or three of the three
    # columns drawn are of the first kind, which has the probability 20/27.
    rows = [[0, 0, 0], [0, 0, 1], [1, 1, 1]]
    drawn = resampled_trees(rows, ["a", "b", "c"], count=2000, normalize=False, linkage="average")
    share = np.mean([frozenset("ab") in clades(tree) for tree in drawn])
    assert share == pytest.approx(20 / 27, abs=4 * math.sqrt(20 / 27 * 7 / 27 / 2000))


def test_noise_is_a_share_of_the_spread_of_the_entries() -> None:
    # The middle one of three points is nearer to the first by one tenth of the spread.
    rows = np.array([[0.0], [0.95], [2.0]])

    def joined(scale: float, noise: float) -> float:
        drawn = resampled_trees(scale * rows, ["a", "b", "c"], count=400, noise=noise,
                                normalize=False)  # fmt: skip
        return float(np.mean([frozenset("ab") in clades(tree) for tree in drawn]))

    assert joined(1, 1e-3) == 1
    assert 0.4 < joined(1, 0.3) < 0.9
    assert joined(1, 0.3) == joined(1024, 0.3)


def test_groups_that_every_column_makes_are_always_there_and_chance_is_not() -> None:
    clear = np.repeat([[1.0, 1, 1, 1], [-1, -1, -1, -1]], 2, axis=0) + 1e-3 * np.eye(4)
    names = list("abcd")
    sure = with_support(induce(clear, names), resampled_trees(clear, names, count=20))
    assert [sure.attributes(node)["support"] for node in (4, 5)] == [1, 1]
    chance = np.random.default_rng(0).normal(size=(20, 5))
    unsure = with_support(induce(chance), resampled_trees(chance, count=20))
    assert np.mean([unsure.attributes(node)["support"] for node in unsure.inner[:-1]]) < 0.5


def test_a_seed_gives_the_same_trees() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 6))
    first, again, other = (
        [tree.parents.tolist() for tree in resampled_trees(rows, count=5, seed=seed)]
        for seed in (3, 3, 4)
    )
    assert first == again != other


def test_options_are_those_of_induce_and_names_come_along() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 6))
    (tree,) = resampled_trees(rows, list("abcdef"), count=1, branching=6, linkage="average")
    assert max(len(tree.children(node)) for node in tree.inner) > 2
    assert tree.classes == tuple("abcdef")


@settings(max_examples=10)
@given(tree=hierarchies(max_classes=6))
def test_labels_say_the_support_of_the_nodes_that_have_one(tree: Hierarchy) -> None:
    assert support_labels(Hierarchy(tree.parents, tree.names)) == {}
    labels = support_labels(with_support(tree, [tree, tree]))
    assert labels == {node: f"{tree.name(node)} (100 %)" for node in tree.inner[:-1]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "count must be a whole number"),
        ({"count": True}, "count must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"noise": 0}, "noise must be a number above 0"),
        ({"noise": "much"}, "noise must be a number above 0"),
        ({"noise": True}, "noise must be a number above 0"),
        ({"metric": "confusion"}, "no columns to draw"),
        ({"linkage": "none"}, "linkage must be one of"),
    ],
)
def test_bad_arguments_are_refused_at_once(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resampled_trees(np.eye(3) + 1, **options)  # type: ignore[arg-type]


def test_rows_too_sparse_to_draw_columns_of_are_refused_with_what_helps() -> None:
    drawn = resampled_trees(np.eye(4), count=9)
    with pytest.raises(InputError, match=r"resample \d: the rows are too sparse.*or noise"):
        list(drawn)
    assert len(list(resampled_trees(np.eye(4), count=3, noise=0.1))) == 3


def test_others_have_to_be_there_and_of_the_same_classes() -> None:
    tree = shapes.balanced(["a", "b", "c"])
    with pytest.raises(InputError, match="at least one"):
        with_support(tree, [])
    with pytest.raises(InputError, match="same classes"):
        with_support(tree, [shapes.balanced(["a", "b", "d"])])
