import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from nbdt.hierarchy import Hierarchy, load_hierarchy
from nbdt.hierarchy.support import with_support
from nbdt.view.folding import fold
from nbdt.view.svg.drawing import _round_step, draw_dendrogram
from nbdt.view.svg.frame import to_svg
from nbdt.view.svg.pictures import pictured
from nbdt.view.svg.shapes import Group, Picture, Rect, Stroke, texts
from tests.explain.samples import THING
from tests.strategies import hierarchies, random_hierarchy
from tests.view.samples import explain

HIGH = Hierarchy(THING.parents, THING.names, merge_heights=[0, 0, 0, 1, 4])
THING_OTHERWISE = Hierarchy([3, 4, 3, 4, -1], THING.names)
INDUCED = load_hierarchy("cifar10/resnet20")
SVG = "{http://www.w3.org/2000/svg}"


def dots(tree: Hierarchy, orientation: str = "horizontal", heights: bool = True) -> list[float]:
    """How far each inner node is along the growth, over the way to the leaves, in preorder."""
    drawing = draw_dendrogram(fold(tree, folded=None), orientation, 500, heights)  # type: ignore[arg-type]
    across = orientation == "horizontal"
    found = [
        shape.box.x + 3 if across else shape.box.y + 3
        for group in drawing.shapes
        if isinstance(group, Group)
        for shape in group.shapes
        if isinstance(shape, Rect) and shape.css == "nb-dot"
    ]
    ends = [
        shape.steps[2][1][0 if across else 1]
        for shape in drawing.shapes
        if isinstance(shape, Stroke) and len(shape.steps) == 3
    ]
    return [place / max(ends) for place in found]


@pytest.mark.parametrize("orientation", ["horizontal", "vertical"])
def test_nodes_stand_as_high_as_they_were_merged(orientation: str) -> None:
    assert dots(HIGH, orientation) == pytest.approx([0, 0.75])
    assert dots(HIGH, orientation, heights=False) == pytest.approx([0, 0.5])


@given(hierarchies(heights=True, max_classes=12))
@settings(max_examples=30)
def test_any_heights_can_be_drawn(tree: Hierarchy) -> None:
    assert tree.merge_heights is not None
    inner = [node for node in tree.preorder() if not tree.is_leaf(node)]
    heights = tree.merge_heights[inner]
    highest = tree.merge_heights.max()
    if highest > 0:
        np.testing.assert_allclose(dots(tree), 1 - heights / highest, atol=1e-9)
    ET.fromstring(to_svg(tree, explain(tree), heights=True))


def test_the_axis_counts_from_the_leaves_in_round_steps() -> None:
    drawing = draw_dendrogram(fold(HIGH), "horizontal", 500, True)
    ticks = {text.text: text for text in texts(drawing.shapes) if text.text[0].isdigit()}
    assert list(ticks) == ["0", "1", "2", "3", "4"]
    assert ticks["0"].x > ticks["1"].x > ticks["4"].x


def test_a_tree_that_grows_down_has_its_axis_on_the_left() -> None:
    drawing = draw_dendrogram(fold(HIGH), "vertical", 500, True)
    ticks = {text.text: text for text in texts(drawing.shapes) if text.text[0].isdigit()}
    assert list(ticks) == ["0", "1", "2", "3", "4"]
    steps = [ticks[a].baseline - ticks[b].baseline for a, b in pairwise("01234")]
    assert steps == pytest.approx([steps[0]] * 4)
    assert steps[0] > 0
    branches = [s for s in drawing.shapes if isinstance(s, Stroke) and len(s.steps) == 3]
    assert max(tick.box.right for tick in ticks.values()) < min(
        x for branch in branches for _, (x, _) in branch.steps
    )
    # 0 stands where the leaves begin, the highest where the root is.
    leaves = max(branch.steps[2][1][1] for branch in branches)
    assert ticks["0"].box.y < leaves < ticks["0"].box.bottom
    assert ticks["4"].box.y < 0 < ticks["4"].box.bottom


def test_a_tree_that_grows_down_is_no_higher_for_being_given_more_width() -> None:
    narrow, wide = (draw_dendrogram(fold(INDUCED), "vertical", room, True) for room in (200, 2000))
    assert narrow == wide
    large = draw_dendrogram(fold(random_hierarchy(1000), folded=None), "vertical", 900, False)
    assert large.width > 10_000
    assert large.height < 900


def test_a_leaf_has_its_picture_above_its_name_where_names_run_downwards() -> None:
    images = {0: "data:image/png;base64,", 1: "data:image/png;base64,"}
    drawing = draw_dendrogram(pictured(fold(HIGH), images), "vertical", 500, False)
    leaves = {}
    for group in drawing.shapes:
        if isinstance(group, Group) and (pictures := [
            shape for shape in group.shapes if isinstance(shape, Picture)
        ]):  # fmt: skip
            [text] = texts(group.shapes)
            leaves[text.text] = (pictures[0].box, text.box)
    assert set(leaves) == {"cat", "dog"}
    assert leaves["cat"][0].right <= leaves["dog"][0].x
    for picture, name in leaves.values():
        assert picture.bottom <= name.y
        assert picture.x < name.x < name.right < picture.right


@pytest.mark.parametrize(("least", "step"), [(1, 1), (1.1, 2), (0.3, 0.5), (60, 100), (5, 5)])
def test_steps_are_round(least: float, step: float) -> None:
    assert _round_step(least) == pytest.approx(step)


def test_all_leaves_end_on_one_line() -> None:
    drawn = to_svg(INDUCED, heights=True)
    names = [t for t in ET.fromstring(drawn).iter(f"{SVG}text") if t.text in INDUCED.classes]
    assert len(names) == 10
    assert len({name.attrib["x"] for name in names}) == 1


def test_a_name_stands_above_its_branch_where_there_is_room() -> None:
    said = {
        text.text for text in texts(draw_dendrogram(fold(HIGH), "horizontal", 500, True).shapes)
    }
    assert "animal" in said
    # Merged almost as high as the root, it has none.
    flat = Hierarchy(THING.parents, THING.names, merge_heights=[0, 0, 0, 3.9, 4])
    said = {
        text.text for text in texts(draw_dendrogram(fold(flat), "horizontal", 500, True).shapes)
    }
    assert "animal" not in said
    assert "<title>animal</title>" in to_svg(flat, heights=True)


def test_folded_nodes_stand_with_the_leaves() -> None:
    drawn = to_svg(HIGH, heights=True, folded={3})
    assert "2 classes" in drawn
    turned = to_svg(HIGH, heights=True, folded={3}, orientation="vertical")
    assert re.search(r"rotate[^>]*>animal · 2 classes<", turned)


def test_support_stands_at_the_branch_to_the_node_where_there_is_room() -> None:
    tree = with_support(HIGH, [HIGH, HIGH, THING_OTHERWISE])
    for orientation in ("horizontal", "vertical"):
        drawing = draw_dendrogram(fold(tree), orientation, 500, True)  # type: ignore[arg-type]
        [number] = [text for text in texts(drawing.shapes) if text.text == "67"]
        assert number.turned == (orientation == "vertical")
    # Merged almost as high as the root, it has none; the tooltip has it.
    close = Hierarchy(tree.parents, tree.names, merge_heights=[0, 0, 0, 3.9, 4],
                      attributes={3: tree.attributes(3)})  # fmt: skip
    assert ">67</text>" not in to_svg(close, heights=True)
    assert "support 67 %</title>" in to_svg(close, heights=True)
    assert ">67</text>" in to_svg(tree, heights=True)
