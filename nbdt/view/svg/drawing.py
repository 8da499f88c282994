"""The tree of a drawing, in one of three layouts: its nodes and the branches between them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from nbdt.errors import InputError
from nbdt.explain import percent
from nbdt.hierarchy.validation import FloatArray
from nbdt.view.folding import Folding, Item
from nbdt.view.labels import fitted, text_width
from nbdt.view.layout import layout
from nbdt.view.svg.badge import SMALL, THUMBNAIL, Badge, look, tooltip
from nbdt.view.svg.shapes import Box, Group, Picture, Rect, Shape, Stroke, Text, dot, line, texts

Orientation = Literal["horizontal", "vertical"]

WIDEST_BADGE = 300.0
_COLUMN_GAP = 46.0
_LEVEL_GAP = 44.0
_ROW_GAP = 6.0
_SIDE_GAP = 12.0
_STEP = 22.0  # how far a level of an indented tree is set in
_BAR, _NUMBER = 72.0, 42.0
_NARROW = 420.0  # where there is no room for bars
_CORNER = 7.0
# Of dendrograms: how far leaves are apart whose names run downwards, and how long these may be;
# how far a tree grows down, as far as a page shows at once; the room below it for an axis.
_DOT, _LEAF_GAP = 3.0, 10.0
_COLUMN, _LONGEST = 18.0, 180.0
_SHORTEST_TREE, _TALL, _AXIS = 200.0, 480.0, 26.0
# The order of drawing, so that paths lie above other branches.
_LAST = {"other": 0, "rival": 1, "runner_up": 1, "beyond": 2, "path": 3, "answer": 3}


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes from (0, 0) to the right and down, and their size in pixels."""

    shapes: tuple[Shape, ...]
    width: float
    height: float


def draw_tidy(folding: Folding, orientation: Orientation) -> Drawing:
    """The tree as boxes and curves, growing to the right or down."""
    badges = [Badge.of(item, WIDEST_BADGE) for item in folding.items]
    down = orientation == "vertical"
    sizes = [b.width + _SIDE_GAP if down else b.height + _ROW_GAP for b in badges]
    middles = layout(folding, sizes=sizes).breadth.tolist()
    depths = folding.depths
    levels = [0.0] * (max(depths) + 1)  # how much room each level takes along the growth
    for badge, depth in zip(badges, depths, strict=True):
        levels[depth] = max(levels[depth], badge.height if down else badge.width)
    gap = _LEVEL_GAP if down else _COLUMN_GAP
    starts = [0.0]
    for level in levels:
        starts.append(starts[-1] + level + gap)

    boxes: list[Box] = []
    lines = []
    for item, badge, depth, middle in zip(folding.items, badges, depths, middles, strict=True):
        x, y = starts[depth], middle - badge.height / 2 - _ROW_GAP / 2
        if down:
            x, y = middle - badge.width / 2 - _SIDE_GAP / 2, starts[depth]
        boxes.append(Box(x, y, badge.width, badge.height))
        if item.parent >= 0:
            lines.append((item, _curve(boxes[item.parent], boxes[-1], starts[depth] - gap, down)))
    shapes = (*branches(lines), *_at(boxes, badges))
    return Drawing(shapes, max(box.right for box in boxes), max(box.bottom for box in boxes))


def draw_indented(folding: Folding, width: float) -> Drawing:
    """The tree with a row a node, as a list of files is drawn; never wider than `width`.

    Where an explanation gives probabilities, they stand in a column on the right, with bars.
    """
    depths = folding.depths
    step = min(_STEP, width * 0.3 / max(max(depths), 1))
    bar = 0.0 if width < _NARROW else _BAR
    column = (bar + _NUMBER + 2 * _SIDE_GAP) if folding.explanation is not None else 0.0
    badges = [
        Badge.of(item, width - column - step * depth, with_percent=False)
        for item, depth in zip(folding.items, depths, strict=True)
    ]
    sizes = [badge.height + 4 for badge in badges]
    middles = layout(folding, kind="indented", sizes=sizes).breadth.tolist()
    boxes = [
        Box(step * depth, middle - badge.height / 2 - 2, badge.width, badge.height)
        for badge, depth, middle in zip(badges, depths, middles, strict=True)
    ]
    right = min(width, max(box.right for box in boxes) + column)
    lines, bars = [], []
    for item, box in zip(folding.items, boxes, strict=True):
        if item.parent >= 0:
            lines.append((item, _elbow(boxes[item.parent], box, step)))
        if item.probability is not None:
            bars.append(_bar(item, item.probability, right, box.middle, bar))
    drawn = branches(lines, thickest=max(1.5, step * 0.32))
    shapes = (*drawn, *_at(boxes, badges), *bars)
    return Drawing(shapes, right, max(box.bottom for box in boxes))


def _at(boxes: list[Box], badges: list[Badge]) -> list[Group]:
    return [badge.at(box.x, box.y) for badge, box in zip(badges, boxes, strict=True)]


def branches(drawn: list[tuple[Item, Stroke]], thickest: float = 8.0) -> list[Shape]:
    """The branches with their looks, those on the paths above the others.

    A branch is as thick as the share of its parent's probability that it takes.
    """
    thinnest = min(1.4, thickest)
    shapes: list[Shape] = []
    for item, stroke in sorted(drawn, key=lambda pair: _LAST[pair[0].role]):
        width = thinnest + (thickest - thinnest) * (item.probability or 0)
        if item.role == "other":
            shapes.append(replace(stroke, css="nb-edge", width=width))
            continue
        if item.role == "beyond":
            width = min(width, 3)  # dots as large as a path is thick would be blots
        if item.role in ("rival", "runner_up", "beyond"):
            # Between the dashes one would see the branches below.
            shapes.append(replace(stroke, css="nb-casing", width=width + 2))
        shapes.append(replace(stroke, css=f"nb-edge nb-e-{item.role}", width=max(width, 2.2)))
    return shapes


def _curve(above: Box, below: Box, turn: float, down: bool) -> Stroke:
    """Straight to where the parent's level ends, then curved, so that no box is crossed."""
    if down:
        start, end, before, after = above.bottom, below.y, above.center, below.center
    else:
        start, end, before, after = above.right, below.x, above.middle, below.middle
    half = (turn + end) / 2
    points = [(start, before), (turn, before), (half, before), (half, after), (end, after)]
    first, second, *curve = [point[::-1] for point in points] if down else points
    return Stroke((("M", first), ("L", second), ("C", sum(curve, ()))))


def _elbow(above: Box, below: Box, step: float) -> Stroke:
    """Down from the parent's left, and with a round corner to the right."""
    x = above.x + step / 2
    corner = min(_CORNER, step / 2)
    return Stroke(
        (
            ("M", (x, above.bottom)),
            ("L", (x, below.middle - corner)),
            ("Q", (x, below.middle, x + corner, below.middle)),
            ("L", (below.x, below.middle)),
        )
    )


def _bar(item: Item, probability: float, right: float, middle: float, width: float) -> Group:
    """A percentage that ends at `right`, and a bar before it."""
    said = percent(probability)
    text = Text(right - text_width(said, SMALL), middle + 4, said, "nb-small nb-muted", SMALL)
    if not width:
        return Group((text,))
    track = Box(right - _NUMBER - width, middle - 3, width, 6)
    filled = Box(track.x, track.y, max(width * probability, 1.5), 6)
    css = f"nb-{item.role}" if item.role not in ("other", "beyond") else ""
    return Group((Rect(track, "nb-track", 3), Rect(filled, "nb-bar", 3), text), css)


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
    turned = orientation == "vertical"
    badges: dict[int, Badge] = {}
    sizes = [0.0] * len(folding)
    for place, item in enumerate(folding.items):
        if item.kind == "open":
            continue
        if turned:
            sizes[place] = THUMBNAIL + 4 if item.uri else _COLUMN
        else:
            badges[place] = Badge.of(item, max(room / 2, 120))
            sizes[place] = badges[place].height + 2
    placed = layout(folding, kind="dendrogram", sizes=sizes, heights=above)
    widest = max((badge.width for badge in badges.values()), default=0.0)
    length = _TALL if turned else max(room - widest - _LEAF_GAP, _SHORTEST_TREE)
    axis: list[Shape] = []
    if above is not None:
        axis = list(_axis(float(above.max()), length, turned=turned))
    left = max((text.box.right + 14 for text in texts(axis)), default=0.0) if turned else 0.0

    # Along the growth the leaves stand at `length`; across it, where the layout has put them.
    along = (placed.depth / (placed.depth.max() or 1) * length).tolist()
    across = (placed.breadth + left).tolist()

    def at(depth: float, breadth: float) -> tuple[float, float]:
        return (breadth, depth) if turned else (depth, breadth)

    lines: list[tuple[Item, Stroke]] = []
    shapes: list[Shape] = []
    lowest = length
    for place, item in enumerate(folding.items):
        end, middle = along[place], across[place]
        x, y = at(end, middle)
        start = end
        if item.parent >= 0:
            start = along[item.parent]
            lines.append((item, line(at(start, across[item.parent]), at(start, middle), (x, y))))
        if item.kind == "open":
            shapes.append(_inner(item, x, y, end - start, turned=turned))
        elif turned:
            leaf, bottom = _hanging(item, x, y)
            shapes.append(leaf)
            lowest = max(lowest, bottom)
        else:
            shapes.append(badges[place].at(x + 2, y - badges[place].height / 2))
    drawn = (*branches(lines, thickest=6), *shapes)
    if turned:
        return Drawing((*drawn, *axis), left + placed.extent, lowest)
    below = (shape.moved(0, placed.extent + 6) for shape in axis)
    return Drawing((*drawn, *below), length + 2 + widest, placed.extent + (_AXIS if axis else 0))


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


def _hanging(item: Item, x: float, y: float) -> tuple[Group, float]:
    """A leaf whose name runs downwards from there, below its picture; and where that ends."""
    shapes: list[Shape] = []
    if item.uri:
        shapes.append(Picture(Box(x - THUMBNAIL / 2, y + 4, THUMBNAIL, THUMBNAIL), item.uri))
        y += THUMBNAIL + 2
    bold = item.role in ("answer", "runner_up")
    said = f"{item.name} · {item.classes:,} classes" if item.kind == "folded" else item.name
    name = fitted(said, _LONGEST, bold=bold)
    css = "nb-name nb-bold" if bold else "nb-name"
    text = Text(x - 4.5, y + 6, name, css, bold=bold, turned=True)
    return Group((*shapes, text), look(item), tooltip(item, name)), text.box.bottom


def _inner(item: Item, x: float, y: float, branch: float, *, turned: bool) -> Group:
    """A dot for an inner node; along the branch that leads to it, what fits there.

    That is its name on one side, where names run to the right, and its support on the other.
    """
    shapes: list[Shape] = [dot(x, y, _DOT)]
    room = branch - 2 * _DOT - 4
    share = "" if item.probability is None else f" {percent(item.probability)}"
    name, shown = item.name + share, ""
    if not turned and text_width(name, SMALL) <= room:
        shown = item.name
        left = x - _DOT - 2 - text_width(name, SMALL)
        shapes.append(Text(left, y - 6, name, "nb-name nb-small", SMALL))
    # A bare number, as in phylogenetics, fits twice as often; the legend says that it is percent.
    number = item.support.removesuffix(" %")
    wide = text_width(number, SMALL)
    if number and wide <= room:
        start = _DOT + 2 + wide
        place = (x + 4, y - start) if turned else (x - start, y + 13)
        shapes.append(Text(*place, number, "nb-small nb-muted", SMALL, turned=turned))
    return Group(tuple(shapes), look(item), tooltip(item, shown))


def _axis(highest: float, length: float, *, turned: bool) -> Iterator[Shape]:
    """The scale of the branch heights, 0 at the leaves, along a tree of that length.

    It lies below a tree that grows to the right; turned, it stands on the left of one that grows
    down, with its numbers on its own left.
    """
    step = _round_step(highest / 4) if highest else 1.0
    ticks = [tick * step for tick in range(int(highest / step) + 1)] if highest else []
    numbers = [f"{tick:g}" for tick in ticks]
    left = 4 + max((text_width(said, SMALL) for said in numbers), default=0.0) if turned else 0.0
    ends = ((left, 0.0), (left, length)) if turned else ((0.0, 0.0), (length, 0.0))
    yield line(*ends, css="nb-edge", width=1)
    for tick, said in zip(ticks, numbers, strict=True):
        at, wide = length * (1 - tick / highest), text_width(said, SMALL)
        ends = ((left - 4, at), (left, at)) if turned else ((at, 0.0), (at, 4.0))
        yield line(*ends, css="nb-edge", width=1)
        x, y = (left - 6 - wide, at + 4) if turned else (at - wide / 2, 16)
        yield Text(x, y, said, "nb-small nb-muted", SMALL)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least so large."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
