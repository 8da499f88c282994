"""Trees with other names and attributes, and of parents with single-child chains."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import HierarchyError
from nbdt.hierarchy.rebuild import attributes_by_node, collapse_unary, relabelled
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import hierarchies


@given(hierarchies(heights=False), st.data())
def test_chains_are_left_out_but_for_their_lowest_node(
    tree: Hierarchy, data: st.DataObject
) -> None:
    links = data.draw(st.lists(st.integers(0, tree.root), max_size=8))
    # A node put over each of `links`, the last one put first below what was above it.
    parents = tree.parents.tolist()
    tops = list(range(len(tree)))
    for node in links:
        parents.append(parents[tops[node]])
        parents[tops[node]] = tops[node] = len(parents) - 1
    # The root must be last: that of the longest chain over the tree's own.
    order = [v for v in range(len(parents)) if v != tops[tree.root]] + [tops[tree.root]]
    new_id = {old: new for new, old in enumerate(order)} | {-1: -1}
    names = [*tree.names, *("link" for _ in links)]
    known = {new_id[v]: tree.attributes(v) for v in range(len(tree))}
    known |= {new_id[v]: {"wnid": "n0"} for v in range(len(tree), len(parents))}
    table = [new_id[parents[old]] for old in order]
    assert collapse_unary(table, [names[old] for old in order], attributes=known) == tree


@given(hierarchies(heights=False))
def test_a_tree_is_its_own_table(tree: Hierarchy) -> None:
    attributes = {node: tree.attributes(node) for node in range(len(tree))}
    assert collapse_unary(tree.parents, tree.names, attributes=attributes) == tree


def test_names_of_the_leaves_are_enough() -> None:
    assert collapse_unary([2, 2, 3, -1], ["cat", "dog"]).names == ("cat", "dog", "")


def test_the_highest_node_left_becomes_the_last() -> None:
    names = ["cat", "dog", "car", "thing", "pet", "all"]
    pruned = collapse_unary([4, 4, 3, 5, 3, -1], names)
    assert pruned == Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])


def test_a_long_chain_is_no_trouble() -> None:
    n = 100_000
    tree = collapse_unary([2, 2, *range(3, n), -1], ["cat", "dog"])
    assert tree == Hierarchy([2, 2, -1], ["cat", "dog"])


@pytest.mark.parametrize(
    ("parents", "names", "message"),
    [
        ([1, 2, -1], ["cat"], "two classes and a root"),
        ([2, 2, 4, 2, -1], ["a", "b"], "node 2 has children and node 3 has none"),
        ([3, 3, 4, 6, 5, 4, -1], ["a", "b", "c"], "node 4 is its own ancestor"),
        ([2, 2, 5, 4, 3, -1], ["a", "b"], "node 3 is its own ancestor"),
        ([2, 2, -1, -1], ["a", "b"], "exactly one root"),
        ([2, 2, 9, -1], ["a", "b"], "node 2 has parent 9"),
        ([2, 2, 3, -1], ["a", "a"], "classes 0 and 1 are both called 'a'"),
        ([2, 2, 3, -1], ["a", "b", "c"], "2 classes and 4 nodes need 2 or 4 names; got 3"),
        ("2233", ["a", "b"], "list of integers"),
    ],
)
def test_what_is_no_tree_is_refused(parents: Any, names: list[str], message: str) -> None:
    with pytest.raises(HierarchyError, match=message):
        collapse_unary(parents, names)


def test_wrong_attributes_are_refused() -> None:
    with pytest.raises(HierarchyError, match="attributes has the key 7"):
        collapse_unary([2, 2, 3, -1], ["a", "b"], attributes={7: {"wnid": "n0"}})


@given(hierarchies())
def test_what_is_left_out_stays(tree: Hierarchy) -> None:
    assert relabelled(tree) == tree
    names = [*tree.classes, *(f"new {node}" for node in tree.inner)]
    renamed = relabelled(tree, names=names)
    assert renamed.names == tuple(names)
    assert relabelled(renamed, names=tree.names) == tree
    known = {node: {"id": node} for node in range(len(tree))}
    noted = relabelled(tree, attributes=known)
    assert attributes_by_node(noted) == known
    assert relabelled(noted, attributes=attributes_by_node(tree)) == tree


def test_what_is_known_is_copied() -> None:
    tree = Hierarchy([2, 2, -1], ["cat", "dog"], attributes={0: {"legs": 4}})
    attributes_by_node(tree)[0]["legs"] = 3
    assert tree.attributes(0) == {"legs": 4}
