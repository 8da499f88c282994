"""The tree of a drawing: badges at the places of a layout, and the branches between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nbdt.explain import percent
from nbdt.view.folding import Folding, Item
from nbdt.view.labels import text_width
from nbdt.view.layout import layout
from nbdt.view.svg.badge import SMALL, Badge
from nbdt.view.svg.shapes import Box, Group, Rect, Shape, Stroke, Text

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


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes from (0, 0) to the right and down, and their size in pixels."""

    shapes: tuple[Shape, ...]
    width: float
    height: float


def draw_tidy(folding: Folding, orientation: Orientation) -> Drawing:
    """The tree as boxes and curves, growing to the right or down."""
    badges = [Badge.of(item, WIDEST_BADGE) for item in folding.items]
    across = orientation == "horizontal"
    sizes = [b.height + _ROW_GAP if across else b.width + _SIDE_GAP for b in badges]
    placed = layout(folding, sizes=sizes)
    depths = folding.depths
    levels = [0.0] * (max(depths) + 1)  # how much room each level takes along the growth
    for badge, depth in zip(badges, depths, strict=True):
        levels[depth] = max(levels[depth], badge.width if across else badge.height)
    gap = _COLUMN_GAP if across else _LEVEL_GAP
    starts = [0.0]
    for level in levels:
        starts.append(starts[-1] + level + gap)

    boxes = []
    for badge, depth, breadth in zip(badges, depths, placed.breadth.tolist(), strict=True):
        x, y = (
            (starts[depth], breadth - badge.height / 2 - _ROW_GAP / 2)
            if across
            else (breadth - badge.width / 2 - _SIDE_GAP / 2, starts[depth])
        )
        boxes.append(Box(x, y, badge.width, badge.height))
    lines = []
    for item, box, depth in zip(folding.items, boxes, depths, strict=True):
        if item.parent >= 0:
            above, turn = boxes[item.parent], starts[depth] - gap
            curve = _curve_right(above, box, turn) if across else _curve_down(above, box, turn)
            lines.append((item, curve))
    return Drawing(
        (
            *branches(lines),
            *(badge.at(box.x, box.y) for badge, box in zip(badges, boxes, strict=True)),
        ),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


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
    drawn = max(box.right for box in boxes)
    right = min(width, drawn + column)
    lines = [
        (item, _elbow(boxes[item.parent], box, step))
        for item, box in zip(folding.items, boxes, strict=True)
        if item.parent >= 0
    ]
    shapes: list[Shape] = [*branches(lines, thickest=max(1.5, step * 0.32))]
    shapes += [badge.at(box.x, box.y) for badge, box in zip(badges, boxes, strict=True)]
    shapes += [
        _bar(item, item.probability, right, box.middle, bar)
        for item, box in zip(folding.items, boxes, strict=True)
        if item.probability is not None
    ]
    return Drawing(tuple(shapes), right, max(box.bottom for box in boxes))


def thickness(item: Item, thickest: float = 8.0) -> float:
    """How thick the branch to an item is: the share of its parent's probability it takes."""
    thinnest = min(1.4, thickest)
    return thinnest + (thickest - thinnest) * (item.probability or 0)


def branches(drawn: list[tuple[Item, Stroke]], thickest: float = 8.0) -> list[Shape]:
    """The branches with their looks, those on the paths above the others."""
    last = {"other": 0, "rival": 1, "runner_up": 1, "beyond": 2, "path": 3, "answer": 3}
    shapes: list[Shape] = []
    for item, stroke in sorted(drawn, key=lambda pair: last[pair[0].role]):
        width = thickness(item, thickest)
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


def _curve_right(above: Box, below: Box, turn: float) -> Stroke:
    """Straight to where the parent's column ends, then curved, so that no box is crossed."""
    half = (turn + below.x) / 2
    return Stroke(
        (
            ("M", (above.right, above.middle)),
            ("L", (turn, above.middle)),
            ("C", (half, above.middle, half, below.middle, below.x, below.middle)),
        ),
        "",
    )


def _curve_down(above: Box, below: Box, turn: float) -> Stroke:
    x, to = above.x + above.width / 2, below.x + below.width / 2
    half = (turn + below.y) / 2
    return Stroke(
        (("M", (x, above.bottom)), ("L", (x, turn)), ("C", (x, half, to, half, to, below.y))), ""
    )


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
        ),
        "",
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
