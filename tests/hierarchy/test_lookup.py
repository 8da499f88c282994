"""Nodes given by id or name, and the common ancestors of many pairs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy.lookup import LcaTable, class_ids, described, distinct_ids, node_ids, quoted
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies, random_hierarchy
from tests.timing import cpu_seconds

TREE = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["a", "b", "c", "d", "pair", "pair", "a"])


@given(hierarchies())
def test_ids_and_names_of_classes_mean_the_same(tree: Hierarchy) -> None:
    leaves = list(range(tree.num_classes))
    assert node_ids(tree, tree.classes) == class_ids(tree, leaves) == leaves
    assert node_ids(tree, range(len(tree))) == list(range(len(tree)))


def test_ids_become_plain_integers() -> None:
    assert [type(node) for node in node_ids(TREE, np.array([6, 0]))] == [int, int]


def test_a_class_goes_before_an_inner_node() -> None:
    assert node_ids(TREE, ["a", "d", 6]) == [0, 3, 6]


@given(hierarchies())
def test_a_nameless_node_is_looked_up_by_what_it_is_called(tree: Hierarchy) -> None:
    for node in tree.inner:
        if not tree.names[node]:
            assert node_ids(tree, [tree.name(node)]) == [node]


@pytest.mark.parametrize(
    ("nodes", "error", "message"),
    [
        (["pair"], InputError, "nodes 4, 5 are all called 'pair'; give the id"),
        (["pears"], NotFoundError, "did you mean 'pair'"),
        ([""], NotFoundError, "no node is called ''"),
        ([7], NotFoundError, "no node 7"),
        ([None], NotFoundError, "no node None"),
        ("a", InputError, "expected a list of nodes, got 'a'"),
        (0, InputError, "expected a list of nodes, got 0"),
    ],
)
def test_what_is_no_node_is_refused(nodes: Any, error: type[Exception], message: str) -> None:
    for look_up in (node_ids, distinct_ids, class_ids):
        with pytest.raises(error, match=message):
            look_up(TREE, nodes)


def test_a_node_may_come_twice_where_it_does_no_harm() -> None:
    assert node_ids(TREE, ["a", 0]) == [0, 0]
    for look_up in (distinct_ids, class_ids):
        with pytest.raises(InputError, match=r"node 0 \('a'\) is given twice"):
            look_up(TREE, ["a", 0])


def test_a_set_has_no_order() -> None:
    for nodes in ({0, 1}, frozenset({0, 1})):
        with pytest.raises(InputError, match="a set has none"):
            distinct_ids(TREE, nodes)


def test_an_inner_node_is_no_class() -> None:
    with pytest.raises(
        InputError, match=r"node 4 \('pair'\) is not a class but a group of 2: tree\.le"
    ):
        class_ids(TREE, ["a", 4])


def test_nodes_are_described_by_id_and_name() -> None:
    assert described(TREE, 4) == "node 4 ('pair')"
    assert described(Hierarchy([2, 2, -1], ["a", "b"]), 2) == "node 2"


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "'0'"), (6, "'0', '1', '2', '3', '4', '5'"), (7, "'0', '1', '2', '3', '4', …")],
)
def test_messages_list_the_first_names_in_quotes(count: int, said: str) -> None:
    assert quoted(list(map(str, range(count)))) == said


@given(tree=hierarchies(max_classes=12))
def test_common_ancestors_are_those_of_single_pairs(tree: Hierarchy) -> None:
    table = LcaTable(tree)
    a, b = np.nonzero(~np.eye(tree.num_classes, dtype=bool))
    meetings, children = table.lca(a, b), table.towards(a, b)
    for one, other, meeting, child in zip(a, b, meetings, children, strict=True):
        assert meeting == tree.lca(one, other)
        assert child in tree.path(one)
        assert tree.parent(child) == meeting


@pytest.mark.parametrize("make", [random_hierarchy, caterpillar])
def test_many_in_deep_trees_are_found_quickly(make) -> None:  # type: ignore[no-untyped-def]
    tree = make(20_000)
    a, b = np.random.default_rng(0).integers(0, 20_000, (2, 20_000))
    apart = a != b
    assert cpu_seconds(lambda: LcaTable(tree).lca(a[apart], b[apart])) < 2, "takes about 0.05 s"
