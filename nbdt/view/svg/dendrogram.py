"""The tree of a drawing as a dendrogram: all leaves on one line, branches with right angles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from nbdt.errors import InputError
from nbdt.explain import percent
from nbdt.hierarchy.text import shorten
from nbdt.hierarchy.validation import FloatArray
from nbdt.view.folding import Folding, Item
from nbdt.view.labels import text_width
from nbdt.view.layout import Layout, layout
from nbdt.view.svg.badge import SMALL, THUMBNAIL, Badge, look, tooltip
from nbdt.view.svg.drawing import Drawing, Orientation, branches
from nbdt.view.svg.shapes import Box, Group, Picture, Rect, Shape, Stroke, Text, texts

_GAP = 10.0
_DOT = 3.0
_COLUMN = 18.0  # how far leaves are apart whose names run downwards
_LONGEST = 180.0  # how long a name that runs downwards may be
_SHORTEST_TREE = 200.0
_TALL = 480.0  # how far a tree grows down, as far as a page shows at once
_AXIS = 26.0


def draw_dendrogram(
    folding: Folding, orientation: Orientation, room: float, heights: bool
) -> Drawing:
    """The tree with its leaves on one line; folded nodes count as leaves.

    Growing to the right, it is at least `room` wide and, names allowing, not wider. Growing down,
    it is as wide as its leaves, and always of one height. With `heights`, inner nodes stand as high
    as they were merged, with an axis. The support of an inner node stands at the branch that leads
    to it, if that is long enough.
    """
    above = _heights(folding) if heights else None
    if orientation == "vertical":
        return _downwards(folding, above)
    return _to_the_right(folding, room, above)


def _heights(folding: Folding) -> FloatArray:
    known = folding.tree.merge_heights if folding.tree is not None else None
    if known is None:
        raise InputError(
            "heights=True needs a tree with merge heights, such as nbdt.induce makes; this one has "
            "none."
        )
    heights = known[[item.node for item in folding.items]]
    # What is drawn as a leaf stands on the line of the leaves.
    heights[[item.kind != "open" for item in folding.items]] = 0
    return heights


def _to_the_right(folding: Folding, width: float, above: FloatArray | None) -> Drawing:
    badges = {
        place: Badge.of(item, max(width / 2, 120))
        for place, item in enumerate(folding.items)
        if item.kind != "open"
    }
    sizes = [badges[place].height + 2 if place in badges else 0 for place in range(len(folding))]
    placed = layout(folding, kind="dendrogram", sizes=sizes, heights=above)
    widest = max(badge.width for badge in badges.values())
    length = max(width - widest - _GAP, _SHORTEST_TREE)
    xs, ys = _scaled(placed, length), placed.breadth.tolist()

    lines: list[tuple[Item, Stroke]] = []
    shapes: list[Shape] = []
    for place, item in enumerate(folding.items):
        x, y = xs[place], ys[place]
        before = xs[item.parent] if item.parent >= 0 else x
        if item.parent >= 0:
            corner = (("M", (before, ys[item.parent])), ("L", (before, y)), ("L", (x, y)))
            lines.append((item, Stroke(corner, "")))
        if place in badges:
            shapes.append(badges[place].at(x + 2, y - badges[place].height / 2))
        else:
            shapes.append(_inner(item, x, y, x - before))
    height = placed.extent
    axis: list[Shape] = []
    if above is not None:
        axis = [shape.moved(0, height + 6) for shape in _axis(float(above.max()), length)]
    return Drawing(
        (*branches(lines, thickest=6), *shapes, *axis),
        length + 2 + widest,
        height + (_AXIS if axis else 0),
    )


def _downwards(folding: Folding, above: FloatArray | None) -> Drawing:
    sizes = [
        0 if item.kind == "open" else THUMBNAIL + 4 if item.uri else _COLUMN
        for item in folding.items
    ]
    placed = layout(folding, kind="dendrogram", sizes=sizes, heights=above)
    axis: list[Shape] = []
    if above is not None:
        axis = list(_axis(float(above.max()), _TALL, turned=True))
    left = max((text.box.right + 14 for text in texts(axis)), default=0.0)
    xs, ys = (placed.breadth + left).tolist(), _scaled(placed, _TALL)
    lines: list[tuple[Item, Stroke]] = []
    shapes: list[Shape] = []
    lowest = _TALL
    for place, item in enumerate(folding.items):
        x, y = xs[place], ys[place]
        before = ys[item.parent] if item.parent >= 0 else y
        if item.parent >= 0:
            corner = (("M", (xs[item.parent], before)), ("L", (x, before)), ("L", (x, y)))
            lines.append((item, Stroke(corner, "")))
        if item.kind == "open":
            shapes.append(_inner(item, x, y, y - before, turned=True))
        else:
            leaf, bottom = _hanging(item, x, y)
            shapes.append(leaf)
            lowest = max(lowest, bottom)
    return Drawing((*branches(lines, thickest=6), *shapes, *axis), left + placed.extent, lowest)


def _hanging(item: Item, x: float, y: float) -> tuple[Group, float]:
    """A leaf whose name runs downwards from there, below its picture; and where that ends."""
    shapes: list[Shape] = []
    if item.uri:
        shapes.append(Picture(Box(x - THUMBNAIL / 2, y + 4, THUMBNAIL, THUMBNAIL), item.uri))
        y += THUMBNAIL + 2
    bold = item.role in ("answer", "runner_up")
    said = f"{item.name} · {item.classes:,} classes" if item.kind == "folded" else item.name
    name = shorten(said, _LONGEST, partial(text_width, bold=bold))
    css = "nb-name nb-bold" if bold else "nb-name"
    text = Text(x - 4.5, y + 6, name, css, bold=bold, turned=True)
    return Group((*shapes, text), look(item), tooltip(item, name)), text.box.bottom


def _scaled(placed: Layout, length: float) -> list[float]:
    """The depths, with the leaves' line at `length`."""
    deepest = float(placed.depth.max())
    return [float(depth) / deepest * length if deepest else 0.0 for depth in placed.depth]


def _inner(item: Item, x: float, y: float, branch: float, *, turned: bool = False) -> Group:
    """A dot for an inner node; along the branch that leads to it, what fits there.

    That is its name on one side, where names run to the right, and its support on the other.
    """
    dot = Box(x - _DOT, y - _DOT, 2 * _DOT, 2 * _DOT)
    shapes: list[Shape] = [Rect(dot, "nb-dot", _DOT)]
    room = branch - 2 * _DOT - 4
    share = "" if item.probability is None else f" {percent(item.probability)}"
    name, shown = item.name + share, ""
    if not turned and text_width(name, SMALL) <= room:
        shown = item.name
        text = Text(x - _DOT - 2 - text_width(name, SMALL), y - 6, name, "nb-name nb-small", SMALL)
        shapes.append(text)
    # A bare number, as in phylogenetics, fits twice as often; the legend says that it is percent.
    number = item.support.removesuffix(" %")
    wide = text_width(number, SMALL)
    if number and wide <= room:
        start = _DOT + 2 + wide
        place = (x + 4, y - start) if turned else (x - start, y + 13)
        shapes.append(Text(*place, number, "nb-small nb-muted", SMALL, turned=turned))
    return Group(tuple(shapes), look(item), tooltip(item, shown))


def _axis(highest: float, length: float, *, turned: bool = False) -> Iterator[Shape]:
    """The scale of the branch heights, 0 at the leaves, along a tree of that length.

    It lies below a tree that grows to the right; turned, it stands on the left of one that grows
    down, with its numbers on its own left.
    """
    step = _round_step(highest / 4) if highest else 1.0
    ticks = [tick * step for tick in range(int(highest / step) + 1)] if highest else []
    numbers = [f"{tick:g}" for tick in ticks]
    left = 4 + max((text_width(said, SMALL) for said in numbers), default=0.0) if turned else 0.0

    def line(x: float, y: float, to_x: float, to_y: float) -> Stroke:
        return Stroke((("M", (x, y)), ("L", (to_x, to_y))), "nb-edge", 1)

    yield line(left, 0, left, length) if turned else line(0, 0, length, 0)
    for tick, said in zip(ticks, numbers, strict=True):
        at, wide = length * (1 - tick / highest), text_width(said, SMALL)
        yield line(left - 4, at, left, at) if turned else line(at, 0, at, 4)
        x, y = (left - 6 - wide, at + 4) if turned else (at - wide / 2, 16)
        yield Text(x, y, said, "nb-small nb-muted", SMALL)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least so large."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
