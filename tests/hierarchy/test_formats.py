import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.cluster.hierarchy
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering

from nbdt.errors import FormatError, HierarchyError, InputError
from nbdt.hierarchy.formats import (
    from_2020,
    from_dict,
    from_linkage,
    from_networkx,
    from_newick,
    from_sklearn_children,
    to_dict,
    to_linkage,
    to_networkx,
    to_newick,
    to_sklearn_children,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import (
    binary_hierarchies,
    caterpillar,
    hierarchies,
    random_hierarchy,
)
from tests.timing import cpu_seconds

DOCS = Path(__file__).parents[2] / "docs"


def pets(**more: Any) -> Hierarchy:
    return Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", ""], **more)


def bottom_up(tree: Hierarchy) -> Hierarchy:
    """The tree with its inner nodes numbered after their children, siblings by lowest class."""
    order: list[int] = []

    def visit(node: int) -> None:
        for child in sorted(tree.children(node), key=lambda v: min(tree.leaves(v))):
            visit(child)
        if not tree.is_leaf(node):
            order.append(node)

    visit(tree.root)
    return tree.select([*range(tree.num_classes), *order])


def bare(tree: Hierarchy, names: bool = True, heights: bool = True) -> Hierarchy:
    """The tree without attributes, and without its inner nodes' names or heights if so asked."""
    return Hierarchy(
        tree.parents,
        tree.names if names else tree.classes,
        merge_heights=tree.merge_heights if heights else None,
    )


# ── dict ──────────────────────────────────────────────────────────────────────────────────────


@given(hierarchies())
def test_dict_round_trip_through_json_is_the_identity(tree: Hierarchy) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(tree)))) == tree


def test_dict_shares_nothing_with_the_tree() -> None:
    tree = pets(attributes={0: {"seen": [1, {"deep": [2]}]}})
    document = to_dict(tree)
    again = from_dict(document)
    document["attributes"]["0"]["seen"][1]["deep"].append(3)
    document["names"][0] = "changed"
    assert again == tree == pets(attributes={0: {"seen": [1, {"deep": [2]}]}})


def test_dict_makes_numpy_and_tuples_plain() -> None:
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": (1, 2), "d": np.bool_(True)}
    plain = to_dict(pets(attributes={3: values}))["attributes"]["3"]
    assert json.loads(json.dumps(plain)) == {"a": 0.5, "b": 3, "c": [1, 2], "d": True}


@pytest.mark.parametrize(
    "value",
    [{1, 2}, float("nan"), float("inf"), 2**64, b"bytes", np.zeros(2), {1: "a"}, "\ud800"],
)
def test_dict_refuses_attributes_that_json_cannot_hold(value: object) -> None:
    with pytest.raises(FormatError, match="node 3"):
        to_dict(pets(attributes={3: {"key": value}}))


def test_dict_refuses_attributes_without_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(FormatError, match="deeper than 32"):
        to_dict(pets(attributes={3: {"key": endless}}))


def test_dict_refuses_names_that_no_file_can_hold() -> None:
    with pytest.raises(FormatError, match=r"the name of node 1 .* surrogate"):
        to_dict(Hierarchy([2, 2, -1], ["cat", "\udc00"]))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"schema": "nbdt.hierarchy/2"}, FormatError, "'nbdt.hierarchy/2'.* reads"),
        ({"schema": None}, FormatError, "the schema is None"),
        ({"extra": 1}, FormatError, "an unknown key 'extra'"),
        ({"parents": None}, FormatError, "parents: .* valid list; got None"),
        ({"parents": [3, 3, 4, 4, "-1"]}, FormatError, r"parents\[4\]: .*; got '-1'"),
        ({"parents": [3, 3, 4, 4, -2]}, HierarchyError, "node 4 has parent -2"),
        ({"parents": [3, 3, 4, 5, -1]}, HierarchyError, "node 3 has parent 5; .*0 to 4"),
        ({"parents": [3, 3, 4, True, -1]}, FormatError, r"parents\[3\]: .*; got True"),
        ({"parents": [3, 3, 4, 4.0, -1]}, FormatError, r"parents\[3\]: .*; got 4.0"),
        ({"parents": [3, 3, 4, 10**50, -1]}, HierarchyError, "node 3 has parent 1000"),
        ({"parents": [3, 3, 4, -1, -1]}, HierarchyError, "one root"),
        ({"parents": [3, 3, 4, 3, -1]}, HierarchyError, "one child only"),
        ({"parents": [], "names": []}, HierarchyError, "at least two classes"),
        ({"names": ["cat", "dog", "car"]}, FormatError, "5 nodes need 5 names"),
        ({"names": ["cat", "dog", "car", None, ""]}, FormatError, r"names\[3\]: .*; got None"),
        ({"names": ["cat", "cat", "car", "", ""]}, HierarchyError, "both called 'cat'"),
        ({"names": ["", "dog", "car", "", ""]}, HierarchyError, "class 0 has no name"),
        ({"names": ["\ud800", "dog", "car", "", ""]}, FormatError, r"names\[0\] has half"),
        ({"names": "names"}, FormatError, "names: .* valid list; got 'names'"),
        ({"merge_heights": [0, 0, 0, 1]}, HierarchyError, "one number a node"),
        ({"merge_heights": [0, 0, 0, 1, "2"]}, FormatError, r"merge_heights\[4\]: .*; got '2'"),
        ({"merge_heights": [0, 0, 0, 1, False]}, FormatError, r"merge_heights\[4\]: .*; got False"),
        ({"merge_heights": [0, 0, 0, 1, 10**400]}, FormatError, "a huge integer"),
        ({"merge_heights": [0, 0, 0, 1, float("nan")]}, FormatError, "finite number; got nan"),
        ({"merge_heights": None}, FormatError, "merge_heights: .* valid list; got None"),
        ({"attributes": []}, FormatError, "attributes: .*; got a list"),
        ({"attributes": {"5": {}}}, FormatError, "'5'.*0 to 4"),
        ({"attributes": {"-1": {}}}, FormatError, "'-1'"),
        ({"attributes": {"03": {}}}, FormatError, "'03'"),
        ({"attributes": {"٣": {}}}, FormatError, "'٣'"),
        ({"attributes": {"9" * 5000: {}}}, FormatError, "'9999"),
        ({"attributes": {"3": "wnid"}}, FormatError, r"attributes\.3: .*; got 'wnid'"),
        ({"attributes": {"3": {"a": float("nan")}}}, FormatError, "node 3 is nan"),
        ({"attributes": {"3": {"\ud800": 1}}}, FormatError, "surrogate"),
    ],
)
def test_dict_names_what_is_wrong_with_a_document(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    document = to_dict(pets(merge_heights=[0, 0, 0, 1, 2])) | change
    with pytest.raises(error, match=message) as caught:
        from_dict(document)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("key", ["schema", "parents", "names"])
def test_dict_needs_its_keys(key: str) -> None:
    document = to_dict(pets())
    del document[key]
    with pytest.raises(FormatError, match=key):
        from_dict(document)


def test_dict_is_told_from_other_documents() -> None:
    with pytest.raises(FormatError, match="got a list"):
        from_dict([])  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="from_2020"):
        from_dict({"nodes": [], "links": []})


def test_dict_of_a_huge_tree_takes_well_under_a_second() -> None:
    tree = random_hierarchy(21_841)
    assert from_dict(to_dict(tree)) == tree
    assert cpu_seconds(lambda: from_dict(to_dict(tree))) < 1


# ── networkx ──────────────────────────────────────────────────────────────────────────────────


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


# ── Newick ────────────────────────────────────────────────────────────────────────────────────


@given(hierarchies())
def test_newick_round_trip_is_the_identity(tree: Hierarchy) -> None:
    text = to_newick(tree)
    assert from_newick(text) == tree
    assert from_newick(text, classes=tree.classes) == tree


def test_newick_notes_keep_heights_to_the_bit() -> None:
    # 0.29 - 0.03 + 0.03 is not 0.29, so lengths alone would lose the last bit.
    heights = [0, 0, 0, 0, 0.03, 0.03, 0.29]
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], list("abcd"), merge_heights=heights)
    assert from_newick(to_newick(tree)) == tree
    assert from_newick(to_newick(tree, notes=False)) != tree


@given(hierarchies())
def test_newick_without_notes_keeps_all_but_inner_ids_and_attributes(tree: Hierarchy) -> None:
    again = from_newick(to_newick(tree, notes=False), classes=tree.classes)
    expected = bottom_up(tree)
    assert bare(again, heights=False) == bare(expected, heights=False)
    if expected.merge_heights is None:
        assert again.merge_heights is None
    else:
        np.testing.assert_allclose(
            again.merge_heights,  # type: ignore[arg-type]
            expected.merge_heights,
            atol=1e-6 * expected.merge_heights.max(),
        )


@given(hierarchies(), st.randoms(use_true_random=False))
def test_newick_classes_win_over_notes(tree: Hierarchy, random: Any) -> None:
    classes = list(tree.classes)
    random.shuffle(classes)
    again = from_newick(to_newick(tree), classes=classes)
    assert again.classes == tuple(classes)
    for node in tree.inner:
        names = {tree.name(leaf) for leaf in tree.leaves(node)}
        assert {again.name(leaf) for leaf in again.leaves(node)} == names


def test_newick_writes_the_format_that_others_read() -> None:
    tree = Hierarchy(
        [4, 4, 5, 5, 5, -1],
        ["it's", "tabby_cat", "race car, red", "bus", "a(b)", ""],
        merge_heights=[0, 0, 0, 0, 0.5, 2],
    )
    assert to_newick(tree, notes=False) == (
        "('race car, red':2.0,bus:2.0,('it''s':0.5,'tabby_cat':0.5)'a(b)':1.5);"
    )


@pytest.mark.parametrize(
    ("text", "names", "heights"),
    [
        ("(a,b);", ["a", "b", ""], None),
        (" ( a , b ) root ; \n", ["a", "b", "root"], None),
        ("(a_b,'c_d')'it''s';", ["a b", "c_d", "it's"], None),
        ("[&R] (a[x [nested] (,;],b)[y]r[z]; [end]", ["a", "b", "r"], None),
        ("((a:1,b:1)ab:1.5e0,c:2.5)r:9;", ["a", "b", "c", "ab", "r"], [0, 0, 0, 1, 2.5]),
        ("((a:1,b:1):.5,c:+1.50);", ["a", "b", "c", "", ""], [0, 0, 0, 1, 1.5]),
        ("(a:[why]0.5,b:0.5);", ["a", "b", ""], [0, 0, 0.5]),
        ("((a:1,b:1):1,c:5);", ["a", "b", "c", "", ""], None),
        ("((a:1,b:1),c:2);", ["a", "b", "c", "", ""], None),
        ("((a:1,b:1):-3,c:-2);", ["a", "b", "c", "", ""], None),
        ("(a[&&NHX:S=human:nbdt_id=x],b);", ["a", "b", ""], None),
    ],
)
def test_newick_reads_the_format_that_others_write(
    text: str, names: list[str], heights: list[float] | None
) -> None:
    tree = from_newick(text)
    assert list(tree.names) == names
    found = tree.merge_heights
    assert (None if found is None else found.tolist()) == heights


def test_newick_notes_survive_pruning_by_another_program() -> None:
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["a", "b", "c", "d", "ab", "cd", "r"])
    text = to_newick(tree)
    pruned = re.sub(r"\(a[^(]*\)ab", "b", text).replace("b[&&NHX:nbdt_id=4]", "b[&&NHX:nbdt_id=1]")
    assert pruned != text
    again = from_newick(pruned)
    assert again.classes == ("b", "c", "d")
    assert again.names == ("b", "c", "d", "cd", "r")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", FormatError, "without the tree's semicolon"),
        (";", HierarchyError, "at least two classes"),
        ("a;", HierarchyError, "at least two classes"),
        ("(a,b)", FormatError, "cut off"),
        ("(a,b", FormatError, "cut off"),
        ("(a,b;", FormatError, "at character 5 with a parenthesis still open"),
        ("(a,b));", FormatError, r"'\)' at character 6 stands outside"),
        ("a,b;", FormatError, "',' at character 2 stands outside"),
        ("(a,b);(c,d);", FormatError, "more after the tree's semicolon, at character 7"),
        ("(a,b)(c,d);", FormatError, "opens after a name or a group, at character 6"),
        ("(a(b,c));", FormatError, "opens after a name or a group, at character 3"),
        ("(polar bear,b);", FormatError, "'bear' at character 8 follows a name"),
        ("(a:1 b,c);", FormatError, "'b' at character 6 follows a name or length"),
        ("(a:x,b);", FormatError, "branch length is expected at character 4, got 'x'"),
        ("(a:nan,b);", FormatError, "branch length is expected"),
        ("(a:1e999,b);", FormatError, "branch length is expected"),
        ("(a:'1',b);", FormatError, "branch length is expected"),
        ("(a:,b);", FormatError, "branch length is expected at character 4, got ','"),
        ("(a:1:2,b);", FormatError, "second branch length begins at character 5"),
        ("('a,b);", FormatError, "quote after character 1 is not closed"),
        ("(a]b,c);", FormatError, "character 3 does not begin anything"),
        ("(a[b,c);", FormatError, "comment at character 3 does not end"),
        ("((a,b));", HierarchyError, "node at character 1 has only one child"),
        ("(a,(b));", HierarchyError, "node at character 4 has only one child"),
        ("(a,);", HierarchyError, "class 1 has no name"),
        ("(a,a);", HierarchyError, "both called 'a'"),
        ("(a[&&NHX:nbdt_attributes={],b);", FormatError, "note at character 3: is not valid"),
        ("(a[&&NHX:nbdt_attributes=1],b);", FormatError, "note at character 3 are not an object"),
        (b"(a,b);", InputError, "is a text, got a bytes"),
    ],
)
def test_newick_says_where_a_text_is_wrong(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_newick(text)


# ── scipy and scikit-learn ────────────────────────────────────────────────────────────────────


def numbered_for_merges(tree: Hierarchy) -> Hierarchy:
    """The tree with every inner node after its children, as the refusal of others advises."""
    inner = [node for node in tree.postorder() if not tree.is_leaf(node)]
    return tree.select([*range(tree.num_classes), *inner])


@given(binary_hierarchies(heights=True, attributes=False))
def test_linkage_round_trip_is_the_identity(tree: Hierarchy) -> None:
    tree = numbered_for_merges(tree)
    matrix = to_linkage(tree)
    assert scipy.cluster.hierarchy.is_valid_linkage(matrix)
    assert from_linkage(matrix, tree.names) == tree


@given(binary_hierarchies(attributes=False))
def test_sklearn_round_trip_is_the_identity(tree: Hierarchy) -> None:
    tree = numbered_for_merges(tree)
    children, distances = to_sklearn_children(tree)
    assert from_sklearn_children(children, distances, tree.names) == tree


@pytest.mark.parametrize("method", ["ward", "average", "single", "centroid"])
def test_linkage_of_scipy_keeps_its_ids(method: str) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    matrix = scipy.cluster.hierarchy.linkage(rows, method)
    tree = from_linkage(matrix)
    np.testing.assert_array_equal(to_linkage(tree), matrix)
    _, nodes = scipy.cluster.hierarchy.to_tree(matrix, rd=True)
    for node in nodes:
        assert sorted(node.pre_order()) == list(tree.leaves(node.id))


def test_children_of_sklearn_keep_their_ids() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    fitted = AgglomerativeClustering(compute_distances=True).fit(rows)
    tree = from_sklearn_children(fitted.children_, fitted.distances_)
    children, distances = to_sklearn_children(tree)
    np.testing.assert_array_equal(children, np.sort(fitted.children_))
    np.testing.assert_array_equal(distances, fitted.distances_)
    assert from_sklearn_children(fitted.children_) == bare(tree, heights=False)


def test_merges_hold_binary_trees_in_order_only() -> None:
    flat = Hierarchy([3, 3, 3, -1], ["a", "b", "c"], merge_heights=[0, 0, 0, 1])
    with pytest.raises(HierarchyError, match=r"node 3 .* has 3 children"):
        to_linkage(flat)
    with pytest.raises(HierarchyError, match="has no merge heights"):
        to_linkage(pets())
    backwards = Hierarchy([5, 5, 4, 6, 6, 4, -1], list("abcd"))
    with pytest.raises(HierarchyError, match="node 4 has a lower id than its child 5"):
        to_sklearn_children(backwards)
    assert len(to_sklearn_children(numbered_for_merges(backwards))[0]) == 3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 1, 1.0, 2], [2, 3, 2.0, 4]], "row 1 joins 3 classes, but its last column says 4"),
        ([[0, 1, 1.0, 2], [1, 3, 2.0, 3]], "row 1 joins node 1, which row 0"),
        ([[0, 0, 1.0, 2]], "row 0 joins node 0, which row 0"),
        ([[0, 3, 1.0, 2], [2, 1, 2.0, 3]], "row 0 joins node 3; expected an integer from 0 to 2"),
        ([[0, 1.5, 1.0, 2]], "row 0 joins node 1.5"),
        ([[0, -1, 1.0, 2]], "row 0 joins node -1"),
        ([[0, 1e300, 1.0, 2]], r"row 0 joins node 1e\+300"),
        ([[0, np.nan, 1.0, 2]], "NaN"),
        ([[0, 1, np.inf, 2]], "infinity"),
        ([[0, 1, 1.0]], r"shape \(C-1, 4\), got \(1, 3\)"),
        (np.zeros((0, 4)), "shape"),
        ([["a"]], "array of numbers"),
        ([[0, 1, 1.0, 2], [2]], "array of numbers"),
    ],
)
def test_linkage_names_the_row_that_is_wrong(matrix: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_linkage(matrix)


def test_merges_need_fitting_names_and_heights() -> None:
    with pytest.raises(HierarchyError, match="names"):
        from_linkage([[0, 1, 1.0, 2]], ["a", "b", "c", "d"])
    with pytest.raises(HierarchyError, match="not negative"):
        from_linkage([[0, 1, -1.0, 2]])
    with pytest.raises(InputError, match="1 merges need as many distances, got 2"):
        from_sklearn_children([[0, 1]], [1.0, 2.0])
    with pytest.raises(InputError, match="distances_ must be an array of numbers"):
        from_sklearn_children([[0, 1]], [[1.0, 2.0], [3.0]])
    with pytest.raises(InputError, match="2 rows are the merges of 3 classes"):
        from_sklearn_children([[0, 1], [2, 7]])


# ── the 2020 release ──────────────────────────────────────────────────────────────────────────


def graph_2020(tree: Hierarchy, wnids: list[str], links: str = "links") -> dict[str, Any]:
    """The tree as that release wrote it."""
    nodes = []
    for node, name in enumerate(tree.names):
        entry: dict[str, Any] = {"id": wnids[node]}
        if name:
            entry["label"] = name
        nodes.append(entry)
    return {
        "directed": True,
        "multigraph": False,
        "graph": {},
        "nodes": nodes,
        links: [{"source": wnids[tree.parent(v)], "target": wnids[v]} for v in range(tree.root)],
    }


def wnids_for(tree: Hierarchy) -> list[str]:
    leaves = [f"n{v:08}" for v in range(tree.num_classes)]
    return leaves + [f"f{v:08}" for v in tree.inner]


@given(hierarchies(heights=False, attributes=False), st.data())
def test_2020_graph_with_chains_gives_the_tree_back(tree: Hierarchy, data: st.DataObject) -> None:
    named = [f"label {v}" if tree.is_leaf(v) else tree.names[v] for v in range(len(tree))]
    named = ["" if name.startswith("(") else name for name in named]
    tree = Hierarchy(tree.parents, named)
    ids = wnids_for(tree)
    graph = json.loads(
        json.dumps(graph_2020(tree, ids, data.draw(st.sampled_from(["links", "edges"]))))
    )
    key = "links" if "links" in graph else "edges"
    # A chain of nodes with one child each, spliced into some links and put above the root.
    for place in data.draw(st.sets(st.integers(-1, len(graph[key]) - 1), max_size=3)):
        new = f"n9{place + 1:07}"
        graph["nodes"].append({"id": new, "label": "chain"})
        if place < 0:
            graph[key].append({"source": new, "target": ids[tree.root]})
        else:
            graph[key].append({"source": graph[key][place]["source"], "target": new})
            graph[key][place]["source"] = new
    again = from_2020(graph, ids[: tree.num_classes])
    assert bare(again) == tree
    assert [again.attributes(v).get("wnid") for v in range(len(tree))] == [
        key if key.startswith("n") else None for key in ids
    ]


def test_2020_classes_are_in_the_order_of_the_list() -> None:
    tree = pets()
    ids = ["n00000007", "n00000008", "n00000009", "n00000100", "f00000004"]
    graph = graph_2020(tree, ids)
    graph["nodes"].reverse()
    again = from_2020(graph, "n00000009\n n00000007\r\nn00000008\n\n")
    assert again.classes == ("car", "cat", "dog")
    assert again.leaves(again.find("animal")) == (1, 2)
    assert again.attributes(again.find("animal")) == {"wnid": "n00000100"}
    assert again.attributes(again.root) == {}


def test_2020_labels_become_names() -> None:
    tree = Hierarchy([4, 4, 5, 5, 5, -1], ["crane", "x", "y", "z", "(generated)", "motor_vehicle"])
    ids = ["n00000000", "n00000001", "n00000002", "f00000003", "f00000004", "n00000005"]
    graph = graph_2020(tree, ids)
    graph["nodes"][2]["label"] = "crane"
    del graph["nodes"][3]["label"]
    again = from_2020(graph, ids[:4])
    assert again.names == (
        "crane (n00000000)",
        "x",
        "crane (n00000002)",
        "f00000003",
        "",
        "motor_vehicle",
    )
    assert from_2020(graph, ids[:4], classes=list("abcd")).classes == tuple("abcd")
    with pytest.raises(InputError, match="4 wnids need 4 classes, got 1"):
        from_2020(graph, ids[:4], classes=["a"])


def spoiled(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    graph = graph_2020(pets(), ["n00000000", "n00000001", "n00000002", "f00000003", "f00000004"])
    change(graph)
    return graph


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.pop("nodes"), "a list of objects called nodes"),
        (lambda g: g.pop("links"), "a list of objects called edges"),
        (lambda g: g.update(links={}), "a list of objects called links"),
        (lambda g: g.update(directed=False), "whose graph is directed"),
        (lambda g: g["nodes"].append("n1"), "a list of objects called nodes"),
        (lambda g: g["nodes"].append({"id": 7}), "'f00000004' and node 7 both"),
        (lambda g: g["nodes"].append(g["nodes"][0]), "two nodes have the id 'n00000000'"),
        (lambda g: g["nodes"][0].update(label=3), r"label of nodes\[0\] is 3"),
        (lambda g: g["nodes"][0].update(label="\ud800"), "surrogate"),
        (lambda g: g["links"].append(["a", "b"]), "a list of objects called links"),
        (lambda g: g["links"].append({"source": "n00000000"}), r"target of links\[4\] is None"),
        (lambda g: g["links"][0].update(source="x"), r"source of links\[0\] is 'x', not a node"),
        (
            lambda g: g["links"].append({"source": "f00000004", "target": "n00000000"}),
            "'n00000000' has two parents",
        ),
        (
            lambda g: g["links"].append({"source": "f00000003", "target": "f00000004"}),
            "is its own ancestor",
        ),
        (lambda g: g["nodes"].append({"id": "lone"}), "'f00000004' and node 'lone'"),
        (lambda g: g["nodes"][0].update(id="other"), "'n00000000', not a node"),
    ],
)
def test_2020_graphs_that_are_no_trees_are_refused(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        from_2020(spoiled(change), ["n00000000", "n00000001", "n00000002"])


@pytest.mark.parametrize(
    ("wnids", "error", "message"),
    [
        (["n00000000", "n00000001"], FormatError, "leaf 'n00000002' is not in the list"),
        (["n00000000", "n00000001", "n7"], FormatError, "class 2, 'n7', is not a node"),
        (["n00000000", "n00000001", "f00000003"], FormatError, "'f00000003', has children"),
        (["n00000000", "n00000001", "n00000001"], InputError, "'n00000001' twice"),
        (["n00000000", "n00000001", 2], InputError, "wnid 2 is 2"),
        ("", FormatError, "is not in the list"),
    ],
)
def test_2020_leaves_have_to_be_the_wnids(wnids: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_2020(spoiled(lambda g: None), wnids)


def test_2020_documents_of_other_kinds_are_refused() -> None:
    with pytest.raises(FormatError, match="whose graph is directed"):
        from_2020([], [])  # type: ignore[arg-type]


def test_2020_guide_runs_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = ["n02691156", "n02958343", "n02121620", "f00000003", "f00000004"]
    tree = Hierarchy([4, 3, 3, 4, -1], ["airplane", "car", "cat"])
    Path(tmp_path, "graph-induced-ResNet18.json").write_text(json.dumps(graph_2020(tree, ids)))
    Path(tmp_path, "CIFAR10.txt").write_text("\n".join(ids[:3]))
    state = {"module.linear.weight": torch.eye(3), "module.linear.bias": torch.zeros(3)}
    torch.save({"net": state, "acc": 94.8, "epoch": 199}, tmp_path / "ckpt-CIFAR10-ResNet18.pth")
    monkeypatch.chdir(tmp_path)

    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "from-2020.md").read_text("utf-8"), re.S)
    assert len(blocks) >= 3
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(block, namespace)

    assert capsys.readouterr().out.startswith("node 4\n")
    assert namespace["tree"].classes == ("airplane", "car", "cat")
    assert set(namespace["state"]) == {"linear.weight", "linear.bias"}
    saved = {path.name for path in tmp_path.iterdir()}
    assert {"cifar10-resnet18.json", "resnet18.safetensors"} < saved


# ── depth ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("to", [to_dict, to_networkx, to_newick, to_sklearn_children])
def test_the_deepest_tree_survives_every_format(to: Callable[[Hierarchy], Any]) -> None:
    tree = caterpillar(5_000)
    back = {
        to_dict: from_dict,
        to_networkx: from_networkx,
        to_newick: from_newick,
        to_sklearn_children: lambda merges: from_sklearn_children(*merges, tree.names),
    }[to]
    assert back(to(tree)) == tree
    if to is to_newick:
        again = from_newick(to_newick(tree, notes=False), classes=tree.classes)
        assert again == tree
