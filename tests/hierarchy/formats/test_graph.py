import copy
import json
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy.formats import (
    from_networkx,
    from_node_link,
    to_networkx,
    to_node_link,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.hierarchy.formats.samples import bare, bottom_up, pets
from tests.strategies import (
    hierarchies,
)


@given(hierarchies())
def test_networkx_round_trip_is_the_identity(tree: Hierarchy) -> None:
    assume(
        not any(
            {"index", "name", "merge_height"} & set(tree.attributes(v)) for v in tree.preorder()
        )
    )
    graph = to_networkx(tree)
    assert nx.is_arborescence(graph)
    assert from_networkx(graph) == tree


@given(hierarchies(), st.randoms(use_true_random=False))
def test_networkx_survives_other_keys_and_another_order(tree: Hierarchy, random: Any) -> None:
    tree = bare(tree)
    keys: list[Any] = [("node", v) for v in range(len(tree))]
    graph = nx.relabel_nodes(to_networkx(tree), dict(enumerate(keys)))
    random.shuffle(keys)
    shuffled: Any = nx.DiGraph()
    shuffled.add_nodes_from((key, graph.nodes[key]) for key in keys)
    shuffled.add_edges_from(graph.edges)
    assert from_networkx(shuffled) == tree
    for key in keys:
        del shuffled.nodes[key]["index"]
    assert from_networkx(shuffled, classes=tree.classes) == bottom_up(tree)


def test_networkx_takes_its_names_from_texts_and_its_order_from_integers() -> None:
    graph: Any = nx.DiGraph([("all", 7), ("all", "some"), ("some", 30), ("some", 4)])
    tree = from_networkx(graph)
    assert tree.names == ("4", "7", "30", "some", "all")
    assert tree.children(3) == (0, 2)
    numpy_keys = nx.relabel_nodes(graph, {7: np.int64(5)})
    assert from_networkx(numpy_keys).classes == ("4", "5", "30")


def test_networkx_keeps_the_attributes_it_does_not_know() -> None:
    tree = pets(attributes={0: {"wnid": "n02121620"}}, merge_heights=[0, 0, 0, 1, 2])
    graph = to_networkx(tree)
    assert graph.nodes[0] == {
        "index": 0,
        "name": "cat",
        "merge_height": 0.0,
        "wnid": "n02121620",
    }
    graph.nodes[3]["colour"] = "red"
    assert from_networkx(graph).attributes(3) == {"colour": "red"}


def test_networkx_has_no_room_for_attributes_of_its_own_names() -> None:
    with pytest.raises(FormatError, match="node 3 has an attribute 'name'"):
        to_networkx(pets(attributes={3: {"name": "x"}}))


@pytest.mark.parametrize(
    ("edges", "error", "message"),
    [
        ([("r", "a"), ("r", "b"), ("s", "c"), ("s", "d")], FormatError, "'r' and node 's'"),
        ([("r", "a"), ("r", "b"), ("s", "a"), ("r", "s")], FormatError, "'a' has two parents"),
        ([("a", "b"), ("b", "c"), ("c", "a")], FormatError, "is its own ancestor"),
        ([("r", "a"), ("r", "b"), ("x", "x")], FormatError, "'x' is its own ancestor"),
        ([("r", "a"), ("r", "b"), ("a", "c")], HierarchyError, "'a' has only one child"),
        ([], FormatError, "no nodes"),
    ],
)
def test_networkx_graphs_that_are_no_trees_are_refused(
    edges: list[tuple[str, str]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_networkx(nx.DiGraph(edges), classes=["b", "c"])


def test_networkx_graph_of_one_node_is_refused() -> None:
    graph: Any = nx.DiGraph()
    graph.add_node(0)
    with pytest.raises(HierarchyError, match="at least two classes"):
        from_networkx(graph)


@pytest.mark.parametrize("graph", [nx.Graph([(0, 1)]), nx.MultiDiGraph([(0, 1)]), {0: [1]}])
def test_networkx_graphs_of_other_kinds_are_refused(graph: Any) -> None:
    with pytest.raises(InputError, match=r"expected a networkx.DiGraph"):
        from_networkx(graph)


def test_networkx_needs_to_know_the_order_of_the_classes() -> None:
    graph = nx.DiGraph([("r", "cat"), ("r", "dog")])
    with pytest.raises(InputError, match="order of the classes is unknown"):
        from_networkx(graph)
    assert from_networkx(graph, ["dog", "cat"]).classes == ("dog", "cat")
    with pytest.raises(InputError, match="no leaf is called 'dogs'; did you mean 'dog'"):
        from_networkx(graph, ["dogs", "cat"])
    with pytest.raises(InputError, match="'dog' is not one of the classes"):
        from_networkx(graph, ["cat"])
    with pytest.raises(InputError, match="a name twice"):
        from_networkx(graph, ["cat", "cat"])


def test_networkx_checks_the_attributes_it_knows() -> None:
    graph: Any = nx.DiGraph([("r", 0), ("r", 1)])
    graph.nodes[0]["index"] = graph.nodes[1]["index"] = 3
    with pytest.raises(FormatError, match="same index"):
        from_networkx(graph)
    with pytest.raises(FormatError, match="the merge_height of node 'r' is not a number"):
        from_networkx(nx.set_node_attributes(graph, {"r": {"merge_height": "high"}}) or graph)
    graph = nx.DiGraph([("r", 0), ("r", "s"), ("s", 1), ("s", 2)])
    graph.nodes["r"]["merge_height"] = 1
    with pytest.raises(FormatError, match="node 's' has no merge_height"):
        from_networkx(graph)
    graph.nodes[0]["name"] = 5
    with pytest.raises(FormatError, match="the name of node 0 is 5"):
        from_networkx(graph)


def test_networkx_leaves_of_one_name_are_refused() -> None:
    graph: Any = nx.DiGraph([("r", 0), ("r", 1)])
    graph.nodes[0]["name"] = graph.nodes[1]["name"] = "cat"
    with pytest.raises(HierarchyError, match="two leaves are called 'cat'"):
        from_networkx(graph, ["cat", "dog"])
    with pytest.raises(HierarchyError, match="both called 'cat'"):
        from_networkx(graph)


# ── node-link data ────────────────────────────────────────────────────────────────────────────


TREE = Hierarchy(
    [3, 3, 4, 4, -1],
    ["cat", "dog", "car", "animal", ""],
    merge_heights=[0, 0, 0, 1.5, 2],
    attributes={0: {"wnid": "n02121620", "tags": ["a", {"b": None}]}},
)


@given(hierarchies())
def test_there_and_back_is_the_same_tree(tree: Hierarchy) -> None:
    assert from_node_link(json.loads(json.dumps(to_node_link(tree)))) == tree


def test_it_is_what_networkx_writes_and_reads() -> None:
    document = to_node_link(TREE)
    written = nx.node_link_data(to_networkx(TREE), edges="edges")
    assert document == written
    assert nx.utils.graphs_equal(nx.node_link_graph(document, edges="edges"), to_networkx(TREE))
    document["links"] = document.pop("edges")
    assert from_node_link(document) == TREE


def test_any_graph_of_names_is_a_tree_once_the_classes_are_ordered() -> None:
    graph: Any = nx.DiGraph([("thing", "car"), ("thing", "pet"), ("pet", "cat"), ("pet", "dog")])
    document = nx.node_link_data(graph, edges="edges")
    with pytest.raises(InputError, match="the order of the classes is unknown"):
        from_node_link(document)
    tree = from_node_link(document, classes=["car", "cat", "dog"])
    assert tree == Hierarchy([4, 3, 3, 4, -1], ["car", "cat", "dog", "pet", "thing"])


def test_attributes_that_have_a_meaning_there_are_refused() -> None:
    for key in ("id", "name", "index"):
        tree = Hierarchy([2, 2, -1], ["cat", "dog"], attributes={1: {key: "x"}})
        with pytest.raises(FormatError, match=f"node 1 has an attribute '{key}'"):
            to_node_link(tree)
    tree = Hierarchy([2, 2, -1], ["cat", "dog"], attributes={1: {"seen": {1, 2}}})
    with pytest.raises(FormatError, match="which JSON cannot hold"):
        to_node_link(tree)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(directed=False), "a JSON object whose graph is directed"),
        (lambda d: d.pop("nodes"), "a list of objects called nodes"),
        (lambda d: d.update(nodes={}), "a list of objects called nodes"),
        (lambda d: d["nodes"].append(3), "a list of objects called nodes"),
        (lambda d: d.pop("edges"), "a list of objects called edges"),
        (lambda d: d.update(edges=[[4, 3]]), "a list of objects called edges"),
        (lambda d: d["nodes"][1].pop("id"), r"the id of nodes\[1\] is None"),
        (lambda d: d["nodes"][1].update(id=True), r"the id of nodes\[1\] is True"),
        (lambda d: d["nodes"][1].update(id=[1]), r"the id of nodes\[1\] is a list"),
        (lambda d: d["nodes"][1].update(id="\ud800"), "half a surrogate pair"),
        (lambda d: d["nodes"][1].update(id=0), "two nodes have the id 0"),
        (lambda d: d["nodes"][1].update(name=3), "the name of node 1 is 3, not a text"),
        (lambda d: d["edges"][0].update(source=9), r"source of edges\[0\] is 9, not a node"),
        (lambda d: d["edges"][0].pop("target"), r"the target of edges\[0\] is None"),
        (lambda d: d["edges"].append(d["edges"][0]), r"edges\[4\] repeats an edge"),
        (lambda d: d["edges"].append({"source": 4, "target": 1}), "."),
        (lambda d: d["edges"].append({"source": 3, "target": 4}), "."),
        (lambda d: d["edges"].pop(), "."),
        (lambda d: d.update(nodes=[], edges=[]), "."),
    ],
)
def test_what_is_no_tree_is_refused(change: Any, said: str) -> None:
    document = copy.deepcopy(to_node_link(TREE))
    change(document)
    with pytest.raises((FormatError, HierarchyError), match=said):
        from_node_link(document)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(FormatError, match="a JSON object whose graph is directed"):
        from_node_link([])  # type: ignore[arg-type]


def test_values_named_like_arguments_of_networkx_are_values() -> None:
    document = to_node_link(Hierarchy([2, 2, -1], ["cat", "dog"]))
    document["nodes"][0] |= {"node_for_adding": 1, "self": 2}
    assert dict(from_node_link(document).attributes(0)) == {"node_for_adding": 1, "self": 2}
