"""Two trees facing each other: what is marked, where all stands, and how few links cross."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, edit, load_hierarchy, shapes
from nbdt.hierarchy.compare import compare
from nbdt.view.svg.tanglegram import _crossings, _ordered, _untangled, tanglegram_svg
from tests.strategies import hierarchies, shuffled

INDUCED, WORDNET = load_hierarchy("cifar10/resnet20"), load_hierarchy("cifar10/wordnet")
SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def two_trees(draw: st.DrawFn) -> tuple[Hierarchy, Hierarchy]:
    a = draw(hierarchies(max_classes=12))
    b = draw(hierarchies(a.num_classes, a.num_classes))
    order = draw(shuffled(range(a.num_classes)))
    return a, Hierarchy(b.parents, [a.classes[i] for i in order])


def drawn(a: Hierarchy, b: Hierarchy, **options) -> ET.Element:
    return ET.fromstring(tanglegram_svg(a, b, **options))


def numbers(root: ET.Element) -> list[int]:
    """The numbers beside dots, in the order of drawing."""
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") == "nb-path"]
    return [int(text.text or "") for g in groups for text in g.iter(f"{SVG}text")]


def titles(root: ET.Element, css: str) -> list[str]:
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") == css]
    return [t.text or "" for g in groups for t in g.findall(f"{SVG}title")]


@settings(max_examples=30)
@given(trees=two_trees())
def test_shared_groups_have_one_number_in_both_and_the_others_a_cross(
    trees: tuple[Hierarchy, Hierarchy],
) -> None:
    a, b = trees
    root = drawn(a, b)
    found = compare(a, b)
    shared = len(found.shared)
    assert sorted(numbers(root)) == sorted([*range(1, shared + 1)] * 2)
    assert len(titles(root, "nb-rival")) == found.robinson_foulds
    assert len(titles(root, "nb-path")) == 2 * shared


def test_the_same_number_is_the_same_group() -> None:
    root = drawn(INDUCED, WORDNET)
    by_number: dict[int, list[str]] = {}
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") == "nb-path"]
    for group in groups:
        for text in group.iter(f"{SVG}text"):
            (title,) = group.findall(f"{SVG}title")
            by_number.setdefault(int(text.text or ""), []).append(title.text or "")
    partner = dict(compare(INDUCED, WORDNET).shared)
    expected = {
        frozenset(
            f"{one.name(x)} = {other.name(y)}\n{one.sizes[x]} classes"
            for one, x, other, y in ((INDUCED, v, WORDNET, w), (WORDNET, w, INDUCED, v))
        )
        for v, w in partner.items()
    }
    assert {frozenset(pair) for pair in by_number.values()} == expected


def test_numbers_run_from_top_to_bottom_on_the_left() -> None:
    root = drawn(INDUCED, WORDNET)
    left = [
        (float(text.get("y") or 0), int(text.text or ""))
        for group in root.iter(f"{SVG}g")
        if group.get("class") == "nb-path"
        for text in group.iter(f"{SVG}text")
        if float(text.get("x") or 0) < 480
    ]
    assert [number for _, number in sorted(left)] == [
        number for _, number in sorted(left, key=lambda p: p[1])
    ]


@settings(max_examples=30)
@given(tree=hierarchies(max_classes=12), data=st.data())
def test_branches_are_only_turned_around_their_nodes(tree: Hierarchy, data: st.DataObject) -> None:
    wanted = np.array(data.draw(shuffled(range(tree.num_classes))), dtype=np.float64)
    rows = _ordered(tree, wanted)
    assert sorted(rows) == list(range(tree.num_classes))
    for node in tree.inner:
        below = rows[list(tree.leaves(node))]
        assert below.max() - below.min() == len(below) - 1
        means = [wanted[list(tree.leaves(child))].mean() for child in tree.children(node)]
        tops = [rows[list(tree.leaves(child))].min() for child in tree.children(node)]
        assert [means[i] for i in np.argsort(tops)] == pytest.approx(sorted(means))


@given(order=shuffled(range(9)))
def test_crossings_are_the_pairs_in_other_order(order: list[int]) -> None:
    rows = np.arange(9.0)
    expected = sum(x > y for x, y in itertools.combinations(order, 2))
    assert _crossings(rows, np.array(order, dtype=np.float64)) == expected


@settings(max_examples=30)
@given(tree=hierarchies(max_classes=12), data=st.data())
def test_no_links_cross_where_both_trees_are_the_same(tree: Hierarchy, data: st.DataObject) -> None:
    order = data.draw(shuffled(range(tree.num_classes)))
    other = edit.reorder(tree, [tree.classes[i] for i in order])
    rows_a, rows_b = _untangled(tree, other)
    to_b = [other.classes.index(name) for name in tree.classes]
    assert np.array_equal(rows_a, rows_b[to_b])


@pytest.mark.parametrize("width", [480, 960])
def test_all_texts_are_inside_and_names_do_not_overlap(width: int) -> None:
    long = edit.rename(
        WORDNET, {0: "a name that is far longer than a row has any room for, really"}
    )
    other = edit.rename(INDUCED, {"airplane": long.name(0)})
    svg = tanglegram_svg(long, other, titles=("x" * 300, "right"), width=width)
    root = ET.fromstring(svg)
    wide = float(root.get("width") or 0)
    assert width <= wide < width + 200
    ys = []
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x") or 0) < wide
        if text.get("class") == "nb-name":
            ys.append(float(text.get("y") or 0))
    assert len(ys) == 20
    assert np.diff(np.unique(ys)).min() >= 17.9
    assert "a name that is far longer" in svg.split("<title>")[2] or "…" in svg


def test_names_are_tamed_and_small_where_there_are_many() -> None:
    tree = shapes.balanced(["<b>&", "two\nlines", *map(str, range(60))])
    svg = tanglegram_svg(tree, tree, titles=("<i>", ""))
    root = ET.fromstring(svg)
    assert "&lt;b&gt;&amp;" in svg
    assert all(
        "nb-small" in (t.get("class") or "") for t in root.iter(f"{SVG}text") if t.text == "17"
    )
    assert re.search(r"<desc>&lt;i&gt;: 60 of 60 groups", svg)


@pytest.mark.parametrize("width", [479, float("inf"), float("nan"), "wide"])
def test_impossible_widths_are_refused(width) -> None:
    with pytest.raises(InputError, match="width must be at least 480"):
        tanglegram_svg(WORDNET, INDUCED, width=width)


def test_trees_of_other_classes_are_refused() -> None:
    with pytest.raises(InputError, match="same classes"):
        tanglegram_svg(WORDNET, shapes.balanced(["a", "b"]))
