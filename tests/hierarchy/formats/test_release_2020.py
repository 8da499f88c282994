import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.formats import (
    from_2020,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.hierarchy.formats.samples import bare, pets
from tests.strategies import (
    hierarchies,
)

DOCS = Path(__file__).parents[3] / "docs"


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
