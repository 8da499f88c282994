import json
import shutil

import graphviz
import pytest
from hypothesis import given, settings

from nbdt.errors import InputError, MissingDependencyError
from nbdt.hierarchy import load_hierarchy
from nbdt.hierarchy.support import with_support
from nbdt.view.dot import render, to_graphviz
from nbdt.view.folding import fold
from tests.explain.samples import CAT, THING
from tests.view.samples import HOSTILE, drawn_from, explain, flat, renamed, subjects

WORDNET = load_hierarchy("imagenet1k/wordnet")

needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="the program dot is not installed")


def test_a_tree_is_a_graph_of_its_nodes() -> None:
    source = to_graphviz(THING).source
    for line in ("n4 [label=thing ", "n0 [label=cat]", "n4 -> n3\n", "n3 -> n0\n"):
        assert line in source
    assert "rankdir=TB" in source
    assert "rankdir=LR" in to_graphviz(THING, orientation="horizontal").source


def test_an_explanation_is_marked_by_more_than_colour() -> None:
    source = to_graphviz(THING, CAT).source
    assert 'label="✓ cat  75 %"' in source
    assert 'label="▷ dog  25 %"' in source
    assert "penwidth=5.90" in source  # 1 + 5 · 98 %
    assert "style=dashed" in source
    assert to_graphviz(CAT).source == source


def test_what_is_folded_says_so() -> None:
    assert 'label="▸ animal (2 classes)"' in to_graphviz(THING, folded={3}).source
    assert 'rest1000 [label="… 942 more"]' in to_graphviz(flat(1000)).source


def test_support_stands_behind_the_names_of_a_tree_alone() -> None:
    known = with_support(THING, [THING])
    assert 'n3 [label="animal  100 %"' in to_graphviz(known).source
    assert 'label="▸ animal (2 classes)  100 %"' in to_graphviz(known, folded={3}).source
    assert "n4 [label=thing " in to_graphviz(known).source
    assert to_graphviz(known, CAT).source == to_graphviz(THING, CAT).source


@pytest.mark.slow
@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_dot_shows_names_as_they_are(name: str) -> None:
    tree = renamed(THING, [name])
    drawn = json.loads(to_graphviz(tree).pipe(format="json"))
    labels = {node["name"]: node["label"] for node in drawn["objects"]}
    # What dot keeps is the text as it read it, with backslashes still escaped.
    [item] = [item for item in fold(tree).items if item.node == 0]
    assert labels["n0"].replace("\\\\", "\\").removeprefix("\\") == item.name.removeprefix("\\")


@given(subjects())
@settings(max_examples=30)
def test_every_label_is_escaped(subject) -> None:  # type: ignore[no-untyped-def]
    tree, explanation = drawn_from(subject)
    graph = to_graphviz(tree, explanation)
    for line in graph.body:
        if "->" not in line:
            label = line.partition("[label=")[2]
            assert not label.startswith("<")
            assert label.replace("\\\\", "").count("\\") == label.replace("\\\\", "").count('\\"')


@needs_dot
@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_dot_draws_it(kind, start: bytes) -> None:  # type: ignore[no-untyped-def]
    assert render(to_graphviz(WORDNET, explain(WORDNET)), kind).startswith(start)


def test_where_dot_is_missing_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match=r"install Graphviz .*nbdt\.view\.to_svg"):
        render(to_graphviz(THING))


@needs_dot
def test_what_dot_cannot_read_is_refused_with_its_words() -> None:
    graph = graphviz.Digraph(body=["a -> -> b"])
    with pytest.raises(InputError, match=r"could not draw the graph: .*syntax error"):
        render(graph)


def test_other_formats_and_orientations_are_refused() -> None:
    with pytest.raises(InputError, match="format must be svg, png or pdf; got 'exe'"):
        render(to_graphviz(THING), "exe")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="orientation must be horizontal or vertical; got 'up'"):
        to_graphviz(THING, orientation="up")  # type: ignore[arg-type]
