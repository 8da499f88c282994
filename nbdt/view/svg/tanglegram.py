"""Two trees over the same classes, facing each other, with the groups that they share marked."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.compare import shared_clades
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.view.labels import clean, fitted, text_width
from nbdt.view.layout import layout
from nbdt.view.svg.badge import SMALL
from nbdt.view.svg.frame import Panel, check_width, written
from nbdt.view.svg.shapes import Group, Shape, Stroke, Text, dot, line

_MARGIN = 16.0
_NARROWEST = 480
_SHORTEST_TREE = 110.0
_LINKS = 72.0  # how wide the room between the two lists of names is
_GAP = 6.0
_DOT = 3.0
_MANY = 40  # with more classes than this, names are small
_SWEEPS = 8
_CROSS = (("M", (-3.0, -3.0)), ("L", (3.0, 3.0)), ("M", (-3.0, 3.0)), ("L", (3.0, -3.0)))


def tanglegram_svg(
    a: Hierarchy,
    b: Hierarchy,
    *,
    titles: tuple[str, str] = ("", ""),
    width: float = 960,
) -> str:
    """Draws two trees facing each other, as one SVG text that stands alone.

    A group of classes that both trees have is marked by a dot, with the same number in both, and
    a blue branch; one that only its own tree has by a cross and a dashed orange branch. Each class
    is linked to itself. Branches are turned around their nodes so that few links cross, which
    changes neither tree (barycenter sweeps, Sugiyama et al. 1981; few, not always fewest).

    Every class has a row, so the drawing of 1,000 classes is 15,000 pixels high.

    Args:
        a: the tree on the left.
        b: the tree on the right, over the same classes in any order.
        titles: a line above each.
        width: in pixels, at least 480; the drawing gets wider where the names need it.
    """
    check_width(width, _NARROWEST)
    shared = shared_clades(a, b)
    rows = _untangled(a, b)
    small = a.num_classes > _MANY
    font, height = (SMALL, 15.0) if small else (13.0, 18.0)
    names = [fitted(clean(name), width * 0.18, font) for name in a.classes]
    column = max(text_width(name, font) for name in names)
    room = (width - 2 * _MARGIN - _LINKS - 2 * column - 4 * _GAP) / 2
    length = max(room, _SHORTEST_TREE)
    inside = 2 * (length + column + 2 * _GAP) + _LINKS

    # Shared groups are numbered from 1, in the order in which they are met on the left, downwards.
    middles = _middles(a, rows[0])
    pairs = sorted(shared, key=lambda pair: (middles[pair[0]], -a.sizes[pair[0]]))
    turned = [(theirs, mine) for mine, theirs in pairs]
    sides = (
        _Side(a, b, pairs, rows[0], length, height, inside, mirrored=False),
        _Side(b, a, turned, rows[1], length, height, inside, mirrored=True),
    )
    css = "nb-name nb-small" if small else "nb-name"
    shapes: list[Shape] = []
    y = _MARGIN
    if any(titles):
        y += 15
        for side, title in zip(sides, titles, strict=True):
            said = fitted(clean(title), inside / 2 - _GAP, bold=True)
            x = inside - text_width(said, bold=True) if side.mirrored else 0.0
            shapes.append(Text(_MARGIN + x, y, said, "nb-bold", bold=True))
        y += 12
    leaf_of = {name: leaf for leaf, name in enumerate(b.classes)}
    drawn: list[Shape] = []
    left = length + _GAP
    for leaf, name in enumerate(names):
        here, there = rows[0][leaf] * height, rows[1][leaf_of[a.classes[leaf]]] * height
        wide = text_width(name, font)
        start, end = left + wide + 4, inside - left - wide - 4
        half = (start + end) / 2
        link = (("M", (start, here)), ("C", (half, here, half, there, end, there)))
        title = "" if name == clean(a.classes[leaf]) else clean(a.classes[leaf])
        drawn.append(Stroke(link, "nb-edge", 1))
        for x, row in ((left, here), (inside - left - wide, there)):
            drawn.append(Group((Text(x, row + font * 0.35, name, css, font),), "", title))
    for side in sides:
        drawn.extend(side.shapes())
    y += height / 2
    shapes += [shape.moved(_MARGIN, y) for shape in drawn]
    y += a.num_classes * height
    clades = len(a.inner) - 1, len(b.inner) - 1
    summary = (
        f"{len(pairs):,} of {clades[0]:,} groups on the left and {len(pairs):,} of {clades[1]:,} "
        "on the right are in both trees"
    )
    shapes += [shape.moved(_MARGIN, y) for shape in _legend(summary)]
    panel = Panel(
        tuple(shapes),
        inside + 2 * _MARGIN,
        y + 32 + _MARGIN,
        f"Two trees of {a.num_classes:,} classes",
        f"{' and '.join(map(clean, filter(None, titles))) or 'Two trees'}: {summary}.",
    )
    return written([panel.framed(panel.width, panel.height)], panel.name)


@dataclass(frozen=True)
class _Side:
    """One of the two trees, from (0, 0), the middle of the first row, to the right and down."""

    tree: Hierarchy
    other: Hierarchy
    pairs: Sequence[tuple[int, int]]
    rows: FloatArray
    length: float
    row_height: float
    inside: float
    mirrored: bool

    def shapes(self) -> Iterator[Shape]:
        """The branches, neutral ones first, then dots, crosses and numbers."""
        tree = self.tree
        depth = layout(tree, kind="dendrogram").depth
        xs = depth / depth.max() * self.length
        xs = self.inside - xs if self.mirrored else xs
        ys = _middles(tree, self.rows) * self.row_height
        numbers = {mine: number for number, (mine, _) in enumerate(self.pairs, 1)}
        for node in sorted(range(tree.root), key=lambda node: (node in numbers, node)):
            above = tree.parent(node)
            css, width = "nb-edge nb-e-rival", 1.8
            if tree.is_leaf(node):
                css, width = "nb-edge", 1.4
            elif node in numbers:
                css, width = "nb-edge nb-e-path", 2.4
            corner = (xs[above], ys[above]), (xs[above], ys[node]), (xs[node], ys[node])
            yield line(*corner, css=css, width=width)
        for node in tree.inner:
            yield self._mark(node, numbers.get(node), float(xs[node]), float(ys[node]))

    def _mark(self, node: int, number: int | None, x: float, y: float) -> Shape:
        """A dot with its number or a cross, titled with the node's name, partner and classes."""
        name = clean(self.tree.name(node))
        classes = f"{int(self.tree.sizes[node]):,} classes"
        if number is None and node != self.tree.root:
            cross = Stroke(_CROSS, "nb-icon").moved(x, y)
            return Group((cross,), "nb-rival", f"{name}, in this tree only\n{classes}")
        if number is not None:
            name += f" = {clean(self.other.name(self.pairs[number - 1][1]))}"
        title = f"{name}\n{classes}"
        if node == self.tree.root:
            return Group((dot(x, y, _DOT),), "", title)
        said = str(number)
        beside = x + _DOT + 2 if self.mirrored else x - _DOT - 2 - text_width(said, SMALL)
        text = Text(beside, y - 4, said, "nb-name nb-small", SMALL)
        return Group((dot(x, y, _DOT), text), "nb-path", title)


def _legend(summary: str) -> Iterator[Shape]:
    """What the signs mean, in two lines."""
    yield Text(0, 14, summary, "nb-small nb-muted", SMALL)
    x = 0.0
    for role, width, mark, said in (
        ("path", 2.4, dot(17, 28, _DOT), "in both trees; the same number is the same group"),
        ("rival", 1.8, Stroke(_CROSS, "nb-icon").moved(17, 28), "in this tree only"),
    ):
        yield line((x, 28), (x + 12, 28), css=f"nb-edge nb-e-{role}", width=width)
        yield Group((mark,), f"nb-{role}").moved(x, 0)
        yield Text(x + 26, 32, said, "nb-small nb-muted", SMALL)
        x += 26 + text_width(said, SMALL) + 20


def _middles(tree: Hierarchy, rows: FloatArray) -> FloatArray:
    """The row of each node: an inner one stands between its first and its last child."""
    middles = np.zeros(len(tree))
    middles[: tree.num_classes] = rows
    for node in tree.postorder():
        if not tree.is_leaf(node):
            below = middles[[*tree.children(node)]]
            middles[node] = (below.min() + below.max()) / 2
    return middles


def _untangled(a: Hierarchy, b: Hierarchy) -> tuple[FloatArray, FloatArray]:
    """The row of each class in both trees, by turns ordered after the other."""
    leaf_of = {name: leaf for leaf, name in enumerate(b.classes)}
    to_b = np.array([leaf_of[name] for name in a.classes])
    to_a = np.argsort(to_b)
    rows_a = _ordered(a, np.arange(a.num_classes))
    rows_b = _ordered(b, rows_a[to_a])
    best = rows_a, rows_b
    fewest = _crossings(rows_a, rows_b[to_b])
    for _ in range(_SWEEPS):
        rows_a = _ordered(a, rows_b[to_b])
        rows_b = _ordered(b, rows_a[to_a])
        crossings = _crossings(rows_a, rows_b[to_b])
        if crossings >= fewest:
            break
        best, fewest = (rows_a, rows_b), crossings
    return best


def _ordered(tree: Hierarchy, wanted: FloatArray | IntArray) -> FloatArray:
    """The row of each class where every node's children stand by the mean of what is wanted."""
    sums = np.zeros(len(tree))
    sums[: tree.num_classes] = wanted
    for node in tree.postorder():
        if node != tree.root:
            sums[tree.parent(node)] += sums[node]
    means = sums / tree.sizes
    rows = np.empty(tree.num_classes)
    stack, row = [tree.root], 0
    while stack:
        node = stack.pop()
        if tree.is_leaf(node):
            rows[node], row = row, row + 1
        children = sorted(tree.children(node), key=lambda child: (means[child], child))
        stack.extend(reversed(children))
    return rows


def _crossings(a: FloatArray, b: FloatArray) -> int:
    """How many pairs of links cross."""
    crossings = 0
    passed: list[float] = []
    for row in b[np.argsort(a)].tolist():
        crossings += len(passed) - bisect_left(passed, row)
        insort(passed, row)
    return crossings
