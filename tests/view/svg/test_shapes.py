import xml.etree.ElementTree as ET

import pytest

from nbdt.view.svg.shapes import Box, Group, Picture, Rect, Shape, Stroke, Text, number, texts

SHAPES: list[Shape] = [
    Text(1, 2, "a & b", "nb-name"),
    Text(1, 2, "down", turned=True),
    Rect(Box(1, 2, 3, 4), "nb-box", 6),
    Picture(Box(1, 2, 3, 4), "data:image/png;base64,AAAA"),
    Stroke((("M", (0.0, 0.0)), ("C", (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))), "nb-edge", 2.25),
    Group((Text(1, 2, "in a group"),), "nb-path", "what <it> says"),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_moving_there_and_back_changes_nothing(shape: Shape) -> None:
    assert shape.moved(10, -5) != shape
    assert shape.moved(10, -5).moved(-10, 5) == shape
    ET.fromstring(shape.svg())


def test_each_shape_is_an_element() -> None:
    written = [shape.svg() for shape in SHAPES]
    assert written == [
        '<text class="nb-name" x="1" y="2">a &amp; b</text>',
        '<text x="1" y="2" transform="rotate(90 1 2)">down</text>',
        '<rect class="nb-box" x="1" y="2" width="3" height="4" rx="6"/>',
        '<image x="1" y="2" width="3" height="4" href="data:image/png;base64,AAAA"/>',
        '<path class="nb-edge" d="M0 0C1 2 3 4 5 6" stroke-width="2.2"/>',
        '<g class="nb-path"><title>what &lt;it&gt; says</title>'
        '<text x="1" y="2">in a group</text></g>',
    ]


def test_the_box_of_a_text_is_around_it() -> None:
    box = Text(10, 100, "cat").box
    assert (box.x, box.right) == (10, pytest.approx(10 + 13 * 1.6))
    assert box.y < 100 - 9
    assert 100 + 3 < box.bottom < 105
    turned = Text(10, 100, "cat", turned=True).box
    assert (turned.width, turned.height) == (box.height, box.width)
    assert (turned.y, turned.x < 10 < turned.right) == (100, True)


def test_texts_are_found_in_groups_too() -> None:
    assert [text.text for text in texts(SHAPES)] == ["a & b", "down", "in a group"]


@pytest.mark.parametrize(("value", "said"), [(1, "1"), (-0.04, "0"), (0.06, "0.1"), (-2.5, "-2.5")])
def test_numbers_are_short(value: float, said: str) -> None:
    assert number(value) == said
