"""Trees compared: against dendropy, scipy, sets of classes and a loop over all triples."""

import itertools
import json

import dendropy
import numpy as np
import pytest
from dendropy.calculate import treecompare
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, compare, edit, shapes
from nbdt.hierarchy.formats import to_linkage, to_newick
from tests.strategies import (
    binary_hierarchies,
    caterpillar,
    hierarchies,
    random_hierarchy,
    shuffled,
)


@st.composite
def two_trees(draw: st.DrawFn, max_classes: int = 12) -> tuple[Hierarchy, Hierarchy]:
    """Two trees over the same classes, in two orders."""
    a = draw(hierarchies(max_classes=max_classes, heights=False))
    b = draw(hierarchies(a.num_classes, a.num_classes, heights=False))
    classes = [f"class {i}" for i in range(a.num_classes)]
    order = draw(shuffled(range(a.num_classes)))
    return Hierarchy(a.parents, classes), Hierarchy(b.parents, [classes[i] for i in order])


def clades(tree: Hierarchy) -> dict[frozenset[str], int]:
    return {
        frozenset(tree.name(leaf) for leaf in tree.leaves(node)): node
        for node in tree.inner
        if node != tree.root
    }


def apart(tree: Hierarchy, triple: tuple[str, ...]) -> str | None:
    """Which of three classes is apart from the two closest, by the clades that hold two of them."""
    pairs = {frozenset(triple) & clade for clade in clades(tree)}
    for pair in pairs:
        if len(pair) == 2:
            return next(iter(frozenset(triple) - pair))
    return None


@given(trees=two_trees())
def test_clades_and_distances_are_those_of_sets_and_loops(
    trees: tuple[Hierarchy, Hierarchy],
) -> None:
    a, b = trees
    found = compare.compare(a, b)
    mine, theirs = clades(a), clades(b)
    assert dict(found.shared) == {mine[c]: theirs[c] for c in mine.keys() & theirs.keys()}
    assert len(found.shared) == len(dict(found.shared))
    assert found.robinson_foulds == len(mine.keys() ^ theirs.keys())
    total = len(mine) + len(theirs)
    assert found.normalized_robinson_foulds == (found.robinson_foulds / total if total else 0)
    triples = list(itertools.combinations(a.classes, 3))
    different = sum(apart(a, triple) != apart(b, triple) for triple in triples)
    assert (found.triples, found.triplet_error) == (len(triples), 0)
    assert found.triplet_distance == pytest.approx(different / max(len(triples), 1))


@given(trees=two_trees())
def test_the_robinson_foulds_distance_is_dendropys(trees: tuple[Hierarchy, Hierarchy]) -> None:
    taxa = dendropy.TaxonNamespace()
    read = [
        dendropy.Tree.get(
            data=to_newick(tree, notes=False), schema="newick", taxon_namespace=taxa,
            rooting="force-rooted", suppress_internal_node_taxa=True,
        )
        for tree in trees
    ]  # fmt: skip
    distance = treecompare.symmetric_difference(*read)
    assert compare.compare(*trees).robinson_foulds == distance


@settings(max_examples=30)
@given(a=binary_hierarchies(3, 20, heights=True), data=st.data())
def test_the_correlation_is_that_of_scipys_cophenetic_distances(
    a: Hierarchy, data: st.DataObject
) -> None:
    b = data.draw(binary_hierarchies(a.num_classes, a.num_classes, heights=True))
    classes = [f"class {i}" for i in range(a.num_classes)]
    # scipy's merges are listed bottom-up.
    ordered = [
        tree.select([*range(tree.num_classes), *(v for v in tree.postorder() if v in tree.inner)])
        for tree in (a, b)
    ]
    a, b = (Hierarchy(t.parents, classes, merge_heights=t.merge_heights) for t in ordered)
    found = compare.compare(a, b)
    distances = cophenet(to_linkage(a)), cophenet(to_linkage(b))
    assert found.pairs == len(distances[0])
    if min(map(np.ptp, distances)) == 0:
        assert found.cophenetic_correlation is None
    # Of differences that are too small, numpy's squares are 0.
    elif min(min(np.ptp(one), np.ptp(one) / np.abs(one).max()) for one in distances) > 1e-6:
        expected = np.corrcoef(*distances)[0, 1]
        assert found.cophenetic_correlation == pytest.approx(expected, abs=1e-6)


def test_heights_too_small_to_be_squared_are_correlated() -> None:
    tree = caterpillar(6)
    depths = tree.depths.max() - tree.depths
    heights = [
        np.where(np.isin(range(len(depths)), tree.inner), depths, 0) * unit for unit in (1, 1e-200)
    ]
    a, b = (Hierarchy(tree.parents, tree.classes, merge_heights=each) for each in heights)
    assert compare.compare(a, b).cophenetic_correlation == pytest.approx(1)


def test_without_merge_heights_edges_are_counted() -> None:
    a, b = caterpillar(6), shapes.balanced(6)
    b = Hierarchy(b.parents, a.classes)
    pairs = list(itertools.combinations(range(6), 2))
    heights = [[tree.height(tree.lca(*pair)) for pair in pairs] for tree in (a, b)]
    found = compare.compare(a, b)
    assert found.cophenetic_correlation == pytest.approx(np.corrcoef(*heights)[0, 1])
    assert (found.pairs, found.cophenetic_error) == (15, 0)


@given(trees=two_trees())
def test_a_tree_is_like_itself_and_as_far_from_another_as_that_from_it(
    trees: tuple[Hierarchy, Hierarchy],
) -> None:
    a, b = trees
    there, back = compare.compare(a, b), compare.compare(b, a)
    assert there.triplet_distance == back.triplet_distance
    assert there.robinson_foulds == back.robinson_foulds
    assert sorted(there.shared) == sorted((x, y) for y, x in back.shared)
    same = compare.compare(a, edit.reorder(a, a.classes[::-1]))
    assert (same.robinson_foulds, same.triplet_distance) == (0, 0)
    assert same.cophenetic_correlation in (None, pytest.approx(1))


def test_what_is_drawn_is_near_what_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_hierarchy(60, seed=1), random_hierarchy(60, seed=2)
    exact = compare.compare(a, b)
    monkeypatch.setattr(compare, "MOST", 1000)
    drawn = compare.compare(a, b)
    assert (drawn.triples, drawn.pairs) == (1000, 1000)
    assert 0 < drawn.triplet_error < 0.02
    assert abs(drawn.triplet_distance - exact.triplet_distance) < 4 * drawn.triplet_error
    assert exact.cophenetic_correlation is not None
    assert drawn.cophenetic_correlation is not None
    gap = abs(drawn.cophenetic_correlation - exact.cophenetic_correlation)
    assert 0 < gap < 4 * drawn.cophenetic_error
    assert compare.compare(a, b) == drawn
    assert compare.compare(a, b, seed=1) != drawn
    assert "standard error" in str(drawn)
    assert "standard error" not in str(exact)


def test_it_can_be_stored_as_json_however_few_classes_there_are() -> None:
    pair = shapes.flat(2)
    found = compare.compare(pair, pair)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["cophenetic_correlation"] is None
    assert (document["robinson_foulds"], document["normalized_robinson_foulds"]) == (0, 0)
    assert (document["triples"], document["pairs"], document["shared"]) == (0, 1, [])
    assert "correlation" not in str(found)


def test_trees_of_other_classes_are_refused_and_both_sides_counted() -> None:
    a = Hierarchy([3, 3, 3, -1], ["cat", "dog", "ox"])
    b = Hierarchy([4, 4, 4, 4, -1], ["car", "cat", "dog", "bus"])
    said = r"only the first has 1 \(ox\) and only the second has 2 \(car, bus\); remove them"
    with pytest.raises(InputError, match=said):
        compare.compare(a, b)
    fewer = [edit.restrict(tree, ["cat", "dog"]) for tree in (a, b)]
    assert compare.compare(*fewer).classes == 2
    for one, other, side in ((a, fewer[0], "first"), (fewer[0], a, "second")):
        with pytest.raises(InputError, match=rf"but only the {side} has 1 \(ox\); remove"):
            compare.compare(one, other)


@pytest.mark.parametrize(
    ("other", "shared"),
    [(["car", "bus", "van"], "no class"), (["car", "cat", "van"], "only 'cat'")],
)
def test_where_nothing_can_be_left_to_compare_nothing_is_advised(
    other: list[str], shared: str
) -> None:
    a, b = Hierarchy([3, 3, 3, -1], ["cat", "dog", "ox"]), Hierarchy([3, 3, 3, -1], other)
    with pytest.raises(InputError, match=f"these have {shared} in common") as caught:
        compare.compare(a, b)
    assert "restrict" not in str(caught.value)
    count = 3 if shared == "no class" else 2
    assert f"only the first has {count}" in str(caught.value)
    assert f"only the second has {count}" in str(caught.value)


def test_nodes_without_a_name_are_the_same_by_their_classes_alone() -> None:
    a = Hierarchy([4, 4, 5, 6, 5, 6, -1], ["cat", "dog", "cow", "car"])
    b = Hierarchy([5, 4, 4, 6, 5, 6, -1], ["cat", "dog", "cow", "car"])
    assert a.name(4) == b.name(4) == "node 4"
    assert compare.shared_clades(a, b) == ((5, 5),)
