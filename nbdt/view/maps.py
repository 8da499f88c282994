"""Maps of classes as pictures: at a depth of the tree, or the decision of one node."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nbdt.errors import InputError
from nbdt.explain import percent
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.hierarchy.validation import IntArray
from nbdt.inputs.image import to_mode
from nbdt.rules import children_taken, nodes_at_depth
from nbdt.view.labels import clean, fitted, text_width
from nbdt.view.svg.badge import SMALL
from nbdt.view.svg.frame import NARROWEST, Panel, check_width, written
from nbdt.view.svg.shapes import Box, Picture, Rect, Shape, Swatch, Text

Color = tuple[int, int, int]

# In OKLCH. Between these bounds a color keeps a contrast of 3 to a white and to a dark page.
_LIGHTNESS = (0.66, 0.56)
_CHROMA = 0.13
_FIRST_HUE = 25.0
# Of the colors, where they lie over a picture, which is paled to let them look like the legend's.
_OPACITY = 0.65
_MARGIN, _ROW, _SWATCH, _GAP = 16.0, 22.0, 14.0, 8.0
_WIDEST_NAME = 240.0
# The classes with the fewest sites are summed up beyond so many lines.
_MOST = 24
_LARGEST = 1024
_ELSEWHERE = -1
_NO_COLOR = (0, 0, 0)


@dataclass(frozen=True)
class MapPicture:
    """A map of nodes as a picture, with the names of its colors.

    `image` has a pixel for each site (or for each of the picture below it), and is transparent at
    sites that do not pass the node. In a notebook the object shows itself as `to_svg()`.

    Attributes:
        nodes: the node at each site, −1 where there is none; shape (height, width).
        colors: the color of each node that occurs, the one with the most sites first.
    """

    tree: Hierarchy
    nodes: IntArray
    colors: Mapping[int, Color]
    image: Image.Image
    title: str

    @property
    def legend(self) -> dict[str, Color]:
        """The names of the nodes and their colors, the one with the most sites first."""
        return {self.tree.name(node): color for node, color in self.colors.items()}

    def share(self, node: int) -> float:
        """The share of all sites that have this node."""
        return float((self.nodes == node).mean())

    def to_svg(self, *, width: float = 960) -> str:
        """The picture with its legend as an SVG text that adapts to light and dark."""
        check_width(width, NARROWEST)
        entries = self._entries()
        names = [
            (fitted(clean(name), _WIDEST_NAME), share, color) for name, share, color in entries
        ]
        column = _SWATCH + _GAP + max(text_width(f"{n}  {s}") for n, s, _ in names)
        beside = width - 2 * _MARGIN - column - 2 * _GAP >= 320
        room = width - 2 * _MARGIN - (column + 2 * _GAP if beside else 0)
        scale = min(room / self.image.width, 640 / self.image.height)
        wide, high = self.image.width * scale, self.image.height * scale
        shapes: list[Shape] = [
            Text(_MARGIN, _MARGIN + 14, fitted(clean(self.title), width - 2 * _MARGIN, bold=True),
                 "nb-bold", bold=True)
        ]  # fmt: skip
        top = _MARGIN + 28
        shapes.append(Rect(Box(_MARGIN, top, wide, high), "nb-track"))
        shapes.append(Picture(Box(_MARGIN, top, wide, high), self._address()))
        x, y = (_MARGIN + wide + 2 * _GAP, top) if beside else (_MARGIN, top + high + _GAP)
        right = _MARGIN + wide
        for name, share, color in names:
            if color is not None:
                place = Box(x, y + 4, _SWATCH, _SWATCH)
                empty = color == _NO_COLOR
                shapes.append(Rect(place, "nb-track", 3) if empty else Swatch(place, color))
            left = x + _SWATCH + _GAP
            shapes.append(Text(left, y + 15.5, name))
            left += text_width(name) + _GAP
            shapes.append(Text(left, y + 15, share, "nb-small nb-muted", SMALL))
            right = max(right, left + text_width(share, SMALL))
            y += _ROW
        height = max(y, top + high) + _MARGIN
        told = ", ".join(f"{name} {share}" for name, share, _ in entries)
        panel = Panel(tuple(shapes), right + _MARGIN, height, clean(self.title), f"Sites: {told}.")
        return written([panel.framed(panel.width, panel.height)], panel.name)

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _entries(self) -> list[tuple[str, str, Color | None]]:
        """The lines of the legend: the name, its share of sites, and its color if it has one."""
        ranked = list(self.colors)
        lines: list[tuple[str, str, Color | None]] = [
            (self.tree.name(node), percent(self.share(node)), self.colors[node])
            for node in ranked[:_MOST]
        ]
        if more := ranked[_MOST:]:
            share = sum(map(self.share, more))
            lines.append((f"{len(more)} more", percent(share), None))
        if (elsewhere := self.share(_ELSEWHERE)) > 0:
            lines.append(("elsewhere", percent(elsewhere), _NO_COLOR))
        return lines

    def _address(self) -> str:
        """The picture as a ``data:`` address, enlarged so that no program blurs its sites."""
        image = self.image
        scale = _LARGEST / max(image.size)
        if scale >= 2:
            size = image.width * math.floor(scale), image.height * math.floor(scale)
            image = image.resize(size, Image.Resampling.NEAREST)
        file = io.BytesIO()
        image.save(file, "png", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def depth_map(
    tree: Hierarchy,
    answers: Any,
    depth: int | None = None,
    *,
    image: Image.Image | None = None,
    title: str | None = None,
) -> MapPicture:
    """The map of the nodes that the answers' paths reach at a depth; None shows the classes.

    Args:
        answers: the class at each site, whole numbers of shape (height, width), as in
            ``model.predict(x)[0]``.
        depth: 0 is the root. Classes above it stay themselves.
        image: the picture below, in gray; the map is laid over all of it.
        title: a line above, by default what is shown.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> picture = depth_map(tree, np.array([[0, 1], [2, 2]]), depth=1)
        >>> sorted(picture.legend), picture.share(3)
        (['animal', 'car'], 0.5)
    """
    found = _checked(tree, answers)
    whole = int(tree.depths.max()) if depth is None else depth
    said = "Classes" if depth is None else f"The tree at depth {depth}"
    return _picture(tree, nodes_at_depth(tree, whole)[found], image, title or said)


def decision_map(
    tree: Hierarchy,
    answers: Any,
    node: Node,
    *,
    image: Image.Image | None = None,
    title: str | None = None,
) -> MapPicture:
    """The map of one decision: the child that each site takes at a node, where it passes the node.

    The arguments are those of `depth_map`; `node` is an inner node's id or name.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> decision_map(tree, np.array([[0, 1], [1, 2]]), "animal").nodes
        array([[ 0,  1],
               [ 1, -1]])
    """
    found = _checked(tree, answers)
    (chosen,) = node_ids(tree, [node])
    title = title or f"The decision at {clean(tree.name(chosen))}"
    return _picture(tree, children_taken(tree, chosen)[found], image, title)


def node_colors(tree: Hierarchy, nodes: list[int]) -> dict[int, Color]:
    """A color for each node; relatives have similar hues, neighbors differ in lightness too.

    A node's hue is the middle of its leaves' place in the leaf order, as in the "tree colors" of
    Tennekes and de Jonge (IEEE TVCG 20, 2014); the hues are spread so that those shown lie apart.
    """
    middle = tree.leaf_start[nodes] + tree.sizes[nodes] / 2
    order = np.argsort(middle, kind="stable").tolist()
    colors = {}
    for rank, place in enumerate(order):
        hue = _FIRST_HUE + 360 * rank / len(order)
        colors[nodes[place]] = _oklch(_LIGHTNESS[rank % 2], _CHROMA, hue)
    return colors


def _checked(tree: Hierarchy, answers: Any) -> IntArray:
    found = answers.cpu().numpy() if hasattr(answers, "cpu") else np.asarray(answers)
    if found.ndim != 2 or found.dtype.kind not in "iu" or not found.size:
        raise InputError(
            "answers are the class at each site, whole numbers of shape (height, width), such as "
            f"model.predict(x)[0]; got {found.dtype} of shape {found.shape}."
        )
    if found.min() < 0 or found.max() >= tree.num_classes:
        wrong = found.min() if found.min() < 0 else found.max()
        raise InputError(
            f"an answer is {wrong}; with {tree.num_classes} classes they go from 0 to "
            f"{tree.num_classes - 1}."
        )
    return found


def _picture(tree: Hierarchy, nodes: IntArray, image: Image.Image | None, title: str) -> MapPicture:
    known, counts = np.unique(nodes[nodes >= 0], return_counts=True)
    colors = node_colors(tree, known.tolist())
    ranked = known[np.argsort(-counts, kind="stable")].tolist()
    table: npt.NDArray[np.uint8] = np.zeros((len(tree) + 1, 4), dtype=np.uint8)
    for node, color in colors.items():
        table[node] = (*color, 255)
    drawn = Image.fromarray(table[nodes])  # the last row, of −1, is transparent
    if image is not None:
        if not isinstance(image, Image.Image):
            raise InputError(f"image must be a PIL image, got {type(image).__name__}.")
        below = to_mode(image, "L").point(lambda light: 64 + light // 2).convert("RGBA")
        above = drawn.resize(below.size, Image.Resampling.NEAREST)
        faint = above.getchannel("A").point(lambda alpha: round(alpha * _OPACITY))
        above.putalpha(faint)
        drawn = Image.alpha_composite(below, above)
    return MapPicture(tree, nodes, {node: colors[node] for node in ranked}, drawn, title)


def _oklch(lightness: float, chroma: float, hue: float) -> Color:
    """A color of OKLCH in sRGB (Ottosson, 2020), with less chroma where sRGB has no such color."""
    while True:
        a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
        long, medium, short = (
            (lightness + x * a + y * b) ** 3
            for x, y in (
                (0.3963377774, 0.2158037573),
                (-0.1055613458, -0.0638541728),
                (-0.0894841775, -1.2914855480),
            )
        )
        linear = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if chroma < 0.01 or all(-1e-4 <= value <= 1.0001 for value in linear):
            break
        chroma -= 0.005
    red, green, blue = (_encoded(min(max(value, 0), 1)) for value in linear)
    return red, green, blue


def _encoded(linear: float) -> int:
    value = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * value)
