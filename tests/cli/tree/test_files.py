"""`nbdt tree list`, `show`, `name` and `convert`."""

import json
from pathlib import Path

import networkx as nx
import pytest
import torch

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import rename, reorder
from nbdt.hierarchy.formats import from_dict, from_newick, to_networkx, to_newick
from nbdt.hierarchy.library import list_hierarchies, load_classes, load_hierarchy, save_hierarchy
from nbdt.hierarchy.naming import name_by_leaves, name_by_taxonomy
from nbdt.hierarchy.shapes import balanced
from nbdt.model import NBDT
from tests.cli.conftest import SHAPE, refused

TREE = Hierarchy([4, 5, 5, 6, 6, 4, -1], ["ant", "bee", "cat", "dog"])
CIFAR = load_hierarchy("cifar10/wordnet")
PLAIN = balanced([*SHAPE.classes])
GRAPH = {
    "directed": True,
    "nodes": [{"id": "n02121620", "label": "cat"}, {"id": "n02084071", "label": "dog"},
              {"id": "f00000002"}],
    "links": [{"source": "f00000002", "target": "n02084071"},
              {"source": "f00000002", "target": "n02121620"}],
}  # fmt: skip


def test_every_bundled_tree_is_listed_with_its_size(run, ask):
    lines = run("tree", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["tree", *list_hierarchies()]
    assert ["imagenet1k/mobilenet_v2", "1,000", "1,999", "18"] in map(str.split, lines)
    documents = ask("tree", "list")
    assert [one["name"] for one in documents] == list_hierarchies()
    assert {"name": "digits/shape", "classes": 10, "nodes": 16, "depth": 3} in documents


def test_a_tree_is_drawn_or_given_as_json(run, ask, model):
    assert run("tree", "show", "digits/shape").stdout == f"{SHAPE}\n"
    assert run("tree", "show", model).stdout == f"{SHAPE}\n"
    assert from_dict(ask("tree", "show", "digits/shape")) == SHAPE


def test_lines_are_limited_unless_all_are_asked_for(run):
    def lines(*options):
        return len(run("tree", *options).stdout.splitlines())

    show = ("show", "imagenet1k/wordnet")
    assert (lines(*show, "--max-lines", 7), lines(*show, "--max-lines", 0)) == (7, 1372)
    assert 50 < lines(*show) <= 60


def test_a_part_keeps_the_names_and_ids_of_its_nodes(run, ask, tmp_path):
    save_hierarchy(TREE, tmp_path / "tree.json")
    show = ("tree", "show", "tree.json", "--node")
    assert run(*show, 4, "--ids").stdout.splitlines() == [
        "node 4 [4]", "├─ ant [0]", "└─ node 5 [5]", "   ├─ bee [1]", "   └─ cat [2]"
    ]  # fmt: skip
    assert run(*show, 4).stdout.startswith("node 4\n├─ ant\n")
    assert run(*show, "node 5").stdout.startswith("node 5\n├─ bee\n")
    assert from_dict(ask(*show, 4)) == TREE.subtree(4)


@pytest.mark.parametrize(("arguments", "said"), [
    (["digits/shapes"], "did you mean 'digits/shape'"),
    (["gone.json"], "gone.json: no such file"),
    (["digits/shape", "--node", "stroke"], "no node is called 'stroke'"),
    (["digits/shape", "--node", "one"], "is a leaf"),
    (["digits/shape", "--node", "node 18"], "no node is called 'node 18'"),
    (["digits/shape", "--node", "99"], "there is no node 99"),
    (["digits/shape", "--max-lines", "-1"], "--max-lines"),
    (["bad.json"], "bad.json: is not valid JSON"),
])  # fmt: skip
def test_what_cannot_be_shown(arguments, said, run, tmp_path):
    (tmp_path / "bad.json").write_text('{"schema"', encoding="utf-8")
    refused(run("tree", "show", *arguments), said)


# ── names ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def name(run):
    return lambda *arguments: run("tree", "name", *arguments)


@pytest.fixture
def file(tmp_path):
    save_hierarchy(PLAIN, tmp_path / "tree.json")
    return tmp_path / "tree.json"


def test_a_file_is_named_in_place(name, ask, file):
    result = name("tree.json", "--by-leaves")
    assert result.stdout == "Wrote tree.json: 10 classes, 19 nodes, depth 4.\n"
    assert load_hierarchy(file) == name_by_leaves(PLAIN)
    taxonomy = ("--taxonomy", "digits/shape")
    assert ask("tree", "name", "tree.json", *taxonomy)["output"] == "tree.json"
    assert load_hierarchy(file) == name_by_taxonomy(name_by_leaves(PLAIN), SHAPE)
    # Names by hand stay.
    for called in ("curvy", "", "bent"):
        assert name("tree.json", "--node", 16, "--to", called).exit_code == 0
    assert load_hierarchy(file).attributes(16)["name_source"] == "hand"
    for options in (("--by-leaves",), taxonomy):
        told = name("tree.json", *options).stderr
        assert "note: kept names given by hand: 'bent'." in told
        assert load_hierarchy(file).names[16] == "bent"
    assert load_hierarchy(file).names[17] == name_by_taxonomy(PLAIN, SHAPE).names[17]
    told = name("tree.json", "--node", "zero", "--to", "null").stderr
    assert "this is a class: data, calibrations and other trees still use" in told
    assert load_hierarchy(file).classes[0] == "null"


def test_or_elsewhere(name, file):
    for node in (18, "node 18"):
        name("tree.json", "--node", node, "--to", "digit", "-o", "named.json")
        assert load_hierarchy(file) == PLAIN
        assert load_hierarchy("named.json") == rename(PLAIN, {18: "digit"})
        Path("named.json").unlink()
    name("digits/shape", "--node", "digit", "--to", "number", "-o", "named.json")
    assert load_hierarchy("named.json") == rename(SHAPE, {"digit": "number"})


def test_a_model_keeps_its_weights_and_can_be_loaded(name, model, own):
    assert name("own", "--node", "one", "--to", "uno").exit_code == 0
    before, after = NBDT.from_pretrained(model), NBDT.from_pretrained(own)
    assert after.hierarchy == rename(SHAPE, {"one": "uno"})
    assert after.classes[1] == "uno"
    assert after.preprocessing == before.preprocessing
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(after(images), before(images))
    name("own", "--by-leaves", "-o", "tree.json")
    assert NBDT.from_pretrained(own).hierarchy == after.hierarchy
    assert load_hierarchy("tree.json") == name_by_leaves(after.hierarchy)
    (own / "hierarchy.json").write_text((own / "hierarchy.json").read_text("utf-8") + "\n", "utf-8")
    refused(name("own", "--by-leaves"), "is not the one that was saved")


@pytest.mark.parametrize(("arguments", "said"), [
    (["tree.json"], "give one of --taxonomy TREE, --by-leaves, or --node NODE --to NAME"),
    (["tree.json", "--by-leaves", "--node", "one", "--to", "x"], "give one of"),
    (["tree.json", "--node", "one"], "give both or neither"),
    (["tree.json", "--by-leaves", "--to", "x"], "give both or neither"),
    (["tree.json", "--node", "one", "--to", "two"], "'two'"),
    (["tree.json", "--node", "18", "--to", "two"], "cannot be called 'two', since a class has"),
    (["tree.json", "--node", "ten", "--to", "x"], "no node is called 'ten'"),
    (["tree.json", "--taxonomy", "cifar10/wordnet"], "the taxonomy lacks 10"),
    (["digits/shape", "--by-leaves"], "bundled trees are read-only"),
    (["gone.json", "--by-leaves"], "no such file"),
])  # fmt: skip
def test_what_cannot_be_named(arguments, said, name, file):
    refused(name(*arguments), said)
    assert load_hierarchy(file) == PLAIN


# ── formats ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def convert(run, tmp_path):
    """Runs `nbdt tree convert` where there are some files."""
    for file, text in {
        "graph.json": json.dumps(GRAPH),
        "wnids.txt": "n02121620\nn02084071\n",
        "plain.nwk": "(car,(cat,dog)pet);",
        "swapped.txt": "dog\ncat\ncar\n",
        "bad.nwk": "(cat,(dog;",
        "bad.json": '{"nodes": [1]}',
        "list.json": "[1]",
    }.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    return lambda *arguments: run("tree", "convert", *arguments)


@pytest.mark.parametrize(
    ("name", "options"),
    [("t.json", []), ("t.nwk", []), ("t.newick", []), ("t.txt", ["--to", "newick"]),
     ("n.json", ["--to", "node-link"]), ("t", ["--to", "hierarchy"])],
)  # fmt: skip
def test_there_and_back_is_the_same_tree(name, options, convert):
    result = convert("cifar10/wordnet", name, *options)
    assert result.stdout == f"Wrote {name}: 10 classes, 18 nodes, depth 4.\n"
    if name == "t.txt":
        assert from_newick(Path(name).read_text(encoding="utf-8")) == CIFAR
        return
    result = convert(name, "back.json", "--json")
    assert json.loads(result.stdout) == {
        "output": "back.json", "classes": 10, "nodes": 18, "depth": 4
    }  # fmt: skip
    assert load_hierarchy("back.json") == CIFAR


def test_node_link_is_what_networkx_reads(convert):
    convert("cifar10/wordnet", "n.json", "--to", "node-link")
    document = json.loads(Path("n.json").read_text(encoding="utf-8"))
    document["links"] = document.pop("edges")
    graph = nx.node_link_graph(document, edges="links")
    assert nx.utils.graphs_equal(graph, to_networkx(CIFAR))


def test_a_models_tree_is_written(convert, model):
    convert(model, "tree.nwk")
    text = Path("tree.nwk").read_text(encoding="utf-8")
    assert text == to_newick(load_hierarchy("digits/shape")) + "\n"


def test_a_graph_of_2020_is_read_with_its_wnids(convert):
    assert convert("graph.json", "t.json", "--wnids", "wnids.txt").exit_code == 0
    tree = load_hierarchy("t.json")
    assert tree.classes == ("cat", "dog")
    assert tree.attributes(0)["wnid"] == "n02121620"


def test_the_wnids_may_be_a_data_sets(convert):
    rows = load_classes("cifar10")
    graph = {
        "nodes": [{"id": row.wnid, "label": row.name} for row in rows] + [{"id": "f00000010"}],
        "links": [{"source": "f00000010", "target": row.wnid} for row in rows],
    }
    Path("graph.json").write_text(json.dumps(graph), encoding="utf-8")
    convert("graph.json", "t.json", "--wnids", "cifar10", "--classes", "10")
    tree = load_hierarchy("t.json")
    assert tree.classes == tuple(map(str, range(10)))
    assert [tree.attributes(i)["wnid"] for i in range(10)] == [row.wnid for row in rows]


def test_the_order_of_the_classes_can_be_given(convert):
    assert convert("plain.nwk", "t.json", "--classes", "swapped.txt").exit_code == 0
    tree = load_hierarchy("t.json")
    assert tree == Hierarchy([3, 3, 4, 4, -1], ["dog", "cat", "car", "pet", ""])
    Path("again.txt").write_text("car\ndog\ncat\n", encoding="utf-8")
    convert("t.json", "u.json", "--classes", "again.txt")
    assert load_hierarchy("u.json") == reorder(tree, ["car", "dog", "cat"])


@pytest.mark.parametrize(("arguments", "said"), [
    (["bad.nwk", "t.json"], "bad.nwk: "),
    (["bad.json", "t.json"], "bad.json: node-link data has a list of objects called nodes"),
    (["list.json", "t.json"], "list.json: "),
    (["gone.nwk", "t.json"], "gone.nwk: no such file"),
    (["gone", "t.json"], "no bundled hierarchy or file 'gone'"),
    (["graph.json", "t.json", "--wnids", "swapped.txt"], "graph.json: class 0, 'dog', is not"),
    (["plain.nwk", "t.json", "--wnids", "wnids.txt"], "leave it out"),
    (["digits/shape", "t.json", "--wnids", "wnids.txt"], "leave it out"),
    (["plain.nwk", "t.json", "--classes", "wnids.txt"], "plain.nwk: "),
    (["digits/shape", "t.json", "--classes", "wnids.txt"], "no node is called 'n02121620'"),
    (["digits/shape", "t.txt"], "it is one of .json, .nwk, .newick, .tree"),
    (["digits/shape", "t.txt", "--to", "dot"], "hierarchy, newick, node-link; got 'dot'"),
])  # fmt: skip
def test_what_cannot_be_converted(arguments, said, convert):
    assert refused(convert(*arguments), said).count(arguments[0]) <= 1
    assert not Path("t.json").exists()
