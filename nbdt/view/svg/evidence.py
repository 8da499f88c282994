"""What spoke for decisions as an SVG drawing: marked words, bars of columns, maps of pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nbdt.attribution import Attribution
from nbdt.errors import InputError
from nbdt.hierarchy.text import wrap
from nbdt.view.evidence import PICTURE_SIZE, Evidence, Mark, attribution_text, evidence_of, signed
from nbdt.view.labels import clean, fitted, text_width
from nbdt.view.svg.badge import SMALL
from nbdt.view.svg.drawing import Drawing
from nbdt.view.svg.frame import Panel, check_width, written
from nbdt.view.svg.shapes import Box, Picture, Rect, Shape, Text, line

NARROWEST = 240
_MARGIN, _LINE, _SMALL_LINE, _ROW = 16.0, 24.0, 16.0, 22.0
_SPACE = 4.0


def attribution_svg(found: Attribution | Iterable[Attribution], *, width: float = 640) -> str:
    """What spoke for each decision, as an SVG text that stands alone and adapts to light and dark.

    Words of the child taken are underlined, those of its rival dashed; bars to the right speak for
    the child, to the left for the rival.
    """
    check_width(width, NARROWEST)
    found = [found] if isinstance(found, Attribution) else list(found)
    if not found:
        raise InputError("there is no attribution to draw: the list is empty.")
    shapes: list[Shape] = []
    y = _MARGIN
    for one in evidence_of(found):
        drawing = _drawn(one, width - 2 * _MARGIN)
        shapes += [shape.moved(_MARGIN, y) for shape in drawing.shapes]
        y += drawing.height + _MARGIN
    name = "What spoke for each decision" if len(found) > 1 else "What spoke for the decision"
    panel = Panel(tuple(shapes), width, y, name, attribution_text(found))
    return written([panel.framed(width, y)], name)


def _drawn(one: Evidence, width: float) -> Drawing:
    shapes: list[Shape] = []
    y = 0.0
    for part in wrap(clean(one.title), width, lambda text: text_width(text, 13, bold=True)):
        shapes.append(Text(0, y + 14, part, "nb-bold", bold=True))
        y += 18
    if one.picture:
        shapes.append(Picture(Box(0, y + 4, PICTURE_SIZE / 2, PICTURE_SIZE / 2), one.picture))
        y += PICTURE_SIZE / 2 + 8
    for text in one.texts:
        y += 4
        marks, y = _flowing(text, width, y)
        shapes += marks
    if one.rows:
        shapes += _bars(one, width, y + 6)
        y += 6 + _SMALL_LINE + _ROW * len(one.rows)
    for said in (one.rest, one.note):
        for part in wrap(clean(said), width, lambda text: text_width(text, SMALL)) if said else ():
            shapes.append(Text(0, y + 14, part, "nb-small nb-muted", SMALL))
            y += _SMALL_LINE
    return Drawing(tuple(shapes), width, y)


def _flowing(text: tuple[Mark, ...], width: float, y: float) -> tuple[list[Shape], float]:
    """The marks from left to right, on as many lines as they need, and where these end."""
    shapes: list[Shape] = []
    x = 0.0
    for mark in text:
        for piece in re.findall(r"\s+|\S+", mark.text):
            if piece.isspace():
                x += _SPACE if x else 0
                continue
            shown = fitted(clean(piece), width)
            wide = text_width(shown)
            if x and x + wide > width:
                x, y = 0.0, y + _LINE
            if mark.level:
                side = "for" if mark.level > 0 else "against"
                css = f"nb-{side} nb-l{abs(mark.level)}"
                shapes.append(Rect(Box(x - 1, y, wide + 2, 19), css, 3))
                ends = (x, y + 19), (x + wide, y + 19)
                shapes.append(line(*ends, css=f"nb-under-{side}"))
            shapes.append(Text(x, y + 14, shown))
            x += wide
    return shapes, y + _LINE


def _bars(one: Evidence, width: float, y: float) -> Iterator[Shape]:
    """A row for each part: its name, a bar to one side of an axis, and its number."""
    names = [fitted(clean(row.label), 0.45 * width) for row in one.rows]
    numbers = [signed(row.value) for row in one.rows]
    left = max(map(text_width, names)) + 12
    half = (width - left - max(map(text_width, numbers)) - 12) / 2
    axis = left + half
    against, said = (fitted(clean(side), half - 16, SMALL) for side in reversed(one.sides))
    room = text_width(f"{against} ←", SMALL)
    yield Text(axis - 6 - room, y + 10, f"{against} ←", "nb-small nb-muted", SMALL)
    yield Text(axis + 6, y + 10, f"→ {said}", "nb-small nb-muted", SMALL)
    y += _SMALL_LINE
    for name, row, number in zip(names, one.rows, numbers, strict=True):
        yield Text(0, y + 15, name)
        long = max(half * abs(row.share), 1.5)
        side = "for" if row.value >= 0 else "against"
        start = axis if row.value >= 0 else axis - long
        yield Rect(Box(start, y + 5, long, 12), f"nb-{side}", 2)
        yield Text(width - text_width(number), y + 15, number, "nb-muted")
        y += _ROW
    bottom = y
    yield line((axis, bottom - _ROW * len(names)), (axis, bottom), css="nb-edge", width=1)
