import copy
import json
from typing import Any

import networkx as nx
import pytest
from hypothesis import given

from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import from_node_link, to_networkx, to_node_link
from tests.strategies import hierarchies

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
