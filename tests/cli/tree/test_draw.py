"""`nbdt tree draw` and `compare`."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nbdt.hierarchy import compare, load_hierarchy
from nbdt.view.svg.tanglegram import tanglegram_svg
from tests.cli.conftest import refused

A, B = "cifar10/resnet20", "cifar10/wordnet"


@pytest.fixture
def drawn(run, tmp_path):
    """What `nbdt tree draw` writes, as bytes."""

    def draw(tree, name, *options):
        result = run("tree", "draw", tree, "-o", name, *options)
        assert (result.exit_code, result.stdout) == (0, f"Wrote {name}.\n"), result.stderr
        return (tmp_path / name).read_bytes()

    return draw


def test_a_tree_is_drawn_as_its_files_name_says(drawn, model):
    for tree in ("digits/shape", model):
        root = ElementTree.fromstring(drawn(tree, "tree.svg"))
        words = {text.strip() for element in root.iter() for text in [element.text or ""]}
        assert {"zero", "seven", "nine"} <= words
    assert b"automobile" in drawn(B, "tree.html")
    assert drawn("digits/shape", "tree.dot").startswith(b"digraph")


@pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot is not installed")
def test_graphviz_pictures(drawn):
    assert drawn("digits/shape", "tree.png").startswith(b"\x89PNG")
    assert drawn("digits/shape", "tree.pdf").startswith(b"%PDF")


def test_options_change_the_picture(drawn):
    folded = drawn("imagenet1k/wordnet", "tree.svg")
    assert drawn("imagenet1k/wordnet", "tree.svg", "--orientation", "vertical") != folded
    assert b"tench" not in folded
    assert b"tench" in drawn("imagenet1k/wordnet", "tree.svg", "--whole")
    assert drawn(A, "a.svg", "--heights") != drawn(A, "a.svg")


@pytest.mark.parametrize(("tree", "name", "options", "said"), [
    (B, "c.svg", ["--heights"], "heights"),
    ("digits/shape", "c.html", ["--heights"], "--heights"),
    ("digits/shape", "c.html", ["--whole"], "--whole"),
    ("digits/shape", "c.html", ["--orientation", "horizontal"], "--orientation"),
    ("digits/shape", "c.jpg", [], "c.jpg"),
    ("digits/shape", "c", [], "c"),
    ("digits/shape", "c.png", [], "dot"),
])  # fmt: skip
def test_what_cannot_be_drawn(tree, name, options, said, run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")  # and so without Graphviz
    refused(run("tree", "draw", tree, "-o", name, *options), said)
    assert not (tmp_path / name).exists()


# ── nbdt tree compare ─────────────────────────────────────────────────────────────────────────


def test_two_trees_are_compared_and_shared_groups_are_marked(run, ask):
    found = compare.compare(load_hierarchy(A), load_hierarchy(B))
    result = run("tree", "compare", A, B)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(f"\n\n{found}\n")
    lines = result.stdout.splitlines()
    assert lines[0] == "whole = whole"
    assert len([line for line in lines if " = " in line]) == len(found.shared) + 1
    assert any("motor vehicle = motor vehicle" in line for line in lines)
    assert not any("bird, frog = " in line for line in lines)
    assert ask("tree", "compare", A, B) == {"tree": A, "other": B, **found.to_dict()}


def test_both_are_drawn_where_a_file_is_given(run, ask):
    result = run("tree", "compare", A, B, "-o", "both.svg")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("\n\nWrote both.svg.\n")
    expected = tanglegram_svg(load_hierarchy(A), load_hierarchy(B), titles=(A, B))
    assert Path("both.svg").read_text("utf-8") == expected
    ElementTree.fromstring(expected)
    assert ask("tree", "compare", A, B, "-o", "both.svg")["output"] == "both.svg"


def test_lines_are_limited_unless_all_are_asked_for(run):
    def lines(limit):
        names = ("cifar100/wordnet", "cifar100/wordnet")
        return len(run("tree", "compare", *names, "--max-lines", limit).stdout.splitlines())

    assert lines(5) < 5 + 5
    assert lines(0) > 152


def test_what_cannot_be_compared(run):
    refused(run("tree", "compare", A, B, "-o", "both.png"), "drawn as .svg")
    told = refused(run("tree", "compare", A, "digits/shape"), "these have no class in common")
    assert "only the first has 10 (airplane, automobile, …)" in told
    assert "only the second has 10 (zero, one, …)" in told
    assert "restrict" not in told
