import json
from pathlib import Path

import networkx as nx
import pytest

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import reorder
from nbdt.hierarchy.formats import from_newick, to_networkx, to_newick
from nbdt.hierarchy.library import load_classes, load_hierarchy
from tests.cli.conftest import Run, is_one_sentence

CIFAR = load_hierarchy("cifar10/wordnet")
GRAPH = {
    "directed": True,
    "nodes": [{"id": "n02121620", "label": "cat"}, {"id": "n02084071", "label": "dog"},
              {"id": "f00000002"}],
    "links": [{"source": "f00000002", "target": "n02084071"},
              {"source": "f00000002", "target": "n02121620"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps(GRAPH), encoding="utf-8")
    (tmp_path / "wnids.txt").write_text("n02121620\nn02084071\n", encoding="utf-8")
    (tmp_path / "plain.nwk").write_text("(car,(cat,dog)pet);", encoding="utf-8")
    (tmp_path / "swapped.txt").write_text("dog\ncat\ncar\n", encoding="utf-8")
    (tmp_path / "bad.nwk").write_text("(cat,(dog;", encoding="utf-8")
    (tmp_path / "bad.json").write_text('{"nodes": [1]}', encoding="utf-8")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "options"),
    [("t.json", []), ("t.nwk", []), ("t.newick", []), ("t.txt", ["--to", "newick"]),
     ("n.json", ["--to", "node-link"]), ("t", ["--to", "hierarchy"])],
)  # fmt: skip
def test_there_and_back_is_the_same_tree(name: str, options: list[str], run: Run) -> None:
    result = run("tree", "convert", "cifar10/wordnet", name, *options)
    assert result.stdout == f"Wrote {name}: 10 classes, 18 nodes, depth 4.\n"
    if name == "t.txt":
        assert from_newick(Path(name).read_text(encoding="utf-8")) == CIFAR
        return
    result = run("tree", "convert", name, "back.json", "--json")
    assert json.loads(result.stdout) == {
        "output": "back.json", "classes": 10, "nodes": 18, "depth": 4
    }  # fmt: skip
    assert load_hierarchy("back.json") == CIFAR


def test_node_link_is_what_networkx_reads(run: Run) -> None:
    run("tree", "convert", "cifar10/wordnet", "n.json", "--to", "node-link")
    document = json.loads(Path("n.json").read_text(encoding="utf-8"))
    document["links"] = document.pop("edges")
    graph = nx.node_link_graph(document, edges="links")
    assert nx.utils.graphs_equal(graph, to_networkx(CIFAR))


def test_a_models_tree_is_written(run: Run, model: Path) -> None:
    run("tree", "convert", model, "tree.nwk")
    text = Path("tree.nwk").read_text(encoding="utf-8")
    assert text == to_newick(load_hierarchy("digits/shape")) + "\n"


def test_a_graph_of_2020_is_read_with_its_wnids(run: Run) -> None:
    assert run("tree", "convert", "graph.json", "t.json", "--wnids", "wnids.txt").exit_code == 0
    tree = load_hierarchy("t.json")
    assert tree.classes == ("cat", "dog")
    assert tree.attributes(0)["wnid"] == "n02121620"


def test_the_wnids_may_be_a_data_sets(run: Run) -> None:
    rows = load_classes("cifar10")
    graph = {
        "nodes": [{"id": row.wnid, "label": row.name} for row in rows] + [{"id": "f00000010"}],
        "links": [{"source": "f00000010", "target": row.wnid} for row in rows],
    }
    Path("graph.json").write_text(json.dumps(graph), encoding="utf-8")
    run("tree", "convert", "graph.json", "t.json", "--wnids", "cifar10", "--classes", "10")
    tree = load_hierarchy("t.json")
    assert tree.classes == tuple(map(str, range(10)))
    assert [tree.attributes(i)["wnid"] for i in range(10)] == [row.wnid for row in rows]


def test_the_order_of_the_classes_can_be_given(run: Run) -> None:
    assert run("tree", "convert", "plain.nwk", "t.json", "--classes", "swapped.txt").exit_code == 0
    tree = load_hierarchy("t.json")
    assert tree == Hierarchy([3, 3, 4, 4, -1], ["dog", "cat", "car", "pet", ""])
    Path("again.txt").write_text("car\ndog\ncat\n", encoding="utf-8")
    run("tree", "convert", "t.json", "u.json", "--classes", "again.txt")
    assert load_hierarchy("u.json") == reorder(tree, ["car", "dog", "cat"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bad.nwk", "t.json"], "bad.nwk: "),
        (["bad.json", "t.json"], "bad.json: node-link data has a list of objects called nodes"),
        (["list.json", "t.json"], "list.json: "),
        (["gone.nwk", "t.json"], "gone.nwk: there is no such file"),
        (["gone", "t.json"], "no bundled hierarchy or file 'gone'"),
        (["graph.json", "t.json", "--wnids", "swapped.txt"], "graph.json: class 0, 'dog', is not"),
        (["plain.nwk", "t.json", "--wnids", "wnids.txt"], "leave it out"),
        (["digits/shape", "t.json", "--wnids", "wnids.txt"], "leave it out"),
        (["plain.nwk", "t.json", "--classes", "wnids.txt"], "plain.nwk: "),
        (["digits/shape", "t.json", "--classes", "wnids.txt"], "no node is called 'n02121620'"),
        (["digits/shape", "t.txt"], "it is one of .json, .nwk, .newick, .tree"),
        (["digits/shape", "t.txt", "--to", "dot"], "hierarchy, newick, node-link; got 'dot'"),
    ],
)
def test_what_cannot_be_converted(arguments: list[str], said: str, run: Run) -> None:
    result = run("tree", "convert", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
    assert result.stderr.count(arguments[0]) <= 1
    assert not Path("t.json").exists()
