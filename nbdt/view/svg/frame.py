"""`to_svg`: a drawn tree within its frame of headline, sample and legend."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from nbdt.errors import InputError
from nbdt.explain import Explanation, percent
from nbdt.hierarchy import Hierarchy
from nbdt.view.assets import svg_style
from nbdt.view.folding import Folded, Folding, fold
from nbdt.view.labels import clean
from nbdt.view.layout import LAYOUT_KINDS, LayoutKind
from nbdt.view.svg.dendrogram import draw_dendrogram
from nbdt.view.svg.drawing import Drawing, Orientation, draw_indented, draw_tidy
from nbdt.view.svg.headline import SAMPLE, headline, legend, sentences
from nbdt.view.svg.pictures import ClassPictures, Picturable, data_uri, pictured
from nbdt.view.svg.shapes import Box, Rect, Shape, number

ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)
NARROWEST = 240
_MARGIN = 16.0


def to_svg(
    subject: Hierarchy | Explanation,
    explanation: Explanation | None = None,
    *,
    kind: LayoutKind | None = None,
    orientation: Orientation = "horizontal",
    heights: bool = False,
    image: Picturable | None = None,
    images: ClassPictures | None = None,
    folded: Folded = "auto",
    width: float = 960,
    title: str | None = None,
) -> str:
    """Draws a tree, or an explanation, as an SVG text that stands alone.

    The path to the answer is marked by thick branches and ▶, the answer by ✓, the way to the
    runner-up by dashes and ▷. The thicker a branch on the path, the more likely the decision. If
    only a tree is drawn, the known support of its groups stands at their nodes; see
    `nbdt.hierarchy.support`.

    Args:
        subject: the tree; or an explanation, which alone is drawn as its path with the siblings.
        explanation: an explanation made with this tree.
        kind: the layout: "tidy" (boxes and curves), "indented" (a row per node, with the
            probabilities as bars), or "dendrogram" (all leaves on one line). By default tidy where
            that fits into `width`, and else indented.
        orientation: whether a tidy tree or a dendrogram grows to the right, "horizontal", or
            down, "vertical".
        heights: draw a dendrogram whose inner nodes stand as high as they were merged.
        image: the sample that was explained: a PIL image or a ``data:image/…`` address.
        images: small pictures of classes, by the leaf or its name.
        folded: the inner nodes that are drawn closed; see `nbdt.view.fold`.
        width: how wide the drawing should be, in pixels. An indented one never gets wider; others
            do where their names need it, and a tree that grows down is as wide as its leaves.
        title: a line above the drawing; None for none.

    Returns:
        An ``<svg>`` element. It adapts to light and dark by itself, and has no ids, so that any
        number of drawings can stand in one HTML page.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> drawing = to_svg(tree, title="Three things")
        >>> drawing.startswith("<svg "), "animal</text>" in drawing
        (True, True)
    """
    panel = compose(
        fold(subject, explanation, folded=folded),
        kind=kind,
        orientation=orientation,
        heights=heights,
        image=image,
        images=images,
        width=width,
        title=title,
    )
    return written([panel.framed(panel.width, panel.height)], panel.name)


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing with all that stands around it, ready to be written at (x, y).

    `name` says what it shows in a few words, `description` in sentences, for those who cannot see
    it.
    """

    shapes: tuple[Shape, ...]
    width: float
    height: float
    name: str
    description: str
    x: float = 0
    y: float = 0

    def framed(self, width: float, height: float, x: float = 0, y: float = 0) -> Panel:
        """The panel on a card of that size, at that place."""
        card = Rect(Box(x + 0.5, y + 0.5, width - 1, height - 1), "nb-card", 10)
        shapes = (card, *(shape.moved(x, y) for shape in self.shapes))
        return Panel(shapes, width, height, self.name, self.description, x, y)


def compose(
    folding: Folding,
    *,
    kind: LayoutKind | None = None,
    orientation: Orientation = "horizontal",
    heights: bool = False,
    image: Picturable | None = None,
    images: ClassPictures | None = None,
    width: float = 960,
    title: str | None = None,
) -> Panel:
    """Lays out one drawing; the arguments are those of `to_svg`."""
    _check(kind, orientation, heights, width)
    if title is not None and not isinstance(title, str):
        raise InputError(f"title must be a text or None, got {title!r:.60}.")
    title = title or ""
    room = width - 2 * _MARGIN
    tree = _drawn(pictured(folding, images), kind, orientation, heights, room)
    inside = max(tree.width, min(room, 480))
    sample = data_uri(image, int(SAMPLE)) if image is not None else ""
    head, foot = headline(folding, title, sample, inside), legend(folding, inside)
    shapes: list[Shape] = []
    y = _MARGIN
    for part in (head, tree, foot):
        if part is foot and foot.height:
            y += 12
        shapes += [shape.moved(_MARGIN, y) for shape in part.shapes]
        y += part.height
    wide = max(head.width, tree.width, foot.width) + 2 * _MARGIN
    high = y + _MARGIN
    return Panel(tuple(shapes), wide, high, *_described(folding, title))


def written(panels: Sequence[Panel], name: str) -> str:
    """The panels, each where it stands already, as one SVG text of that name."""
    name = html.escape(name)
    description = html.escape("\n".join(panel.description for panel in panels))
    w = number(max(panel.x + panel.width for panel in panels))
    h = number(max(panel.y + panel.height for panel in panels))
    body = "".join(shape.svg() for panel in panels for shape in panel.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nbdt-svg" role="img" aria-label="{name}" '
        f'width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
        f"<title>{name}</title><desc>{description}</desc>"
        f"<style>{svg_style()}</style>{body}</svg>"
    )


def _check(kind: LayoutKind | None, orientation: Orientation, heights: bool, width: float) -> None:
    if kind is not None and kind not in LAYOUT_KINDS:
        raise InputError(
            f"kind must be one of {', '.join(LAYOUT_KINDS)} or None; got {kind!r:.60}."
        )
    if orientation not in ORIENTATIONS:
        raise InputError(f"orientation must be horizontal or vertical; got {orientation!r:.60}.")
    if kind == "indented" and orientation == "vertical":
        raise InputError('an indented tree always grows down; leave out orientation="vertical".')
    if heights and kind not in (None, "dendrogram"):
        raise InputError(f'only kind "dendrogram" has branch heights, not {kind!r}.')
    if not isinstance(width, int | float) or not NARROWEST <= width < float("inf"):
        raise InputError(f"width must be at least {NARROWEST} pixels, got {width!r:.60}.")


def _drawn(
    folding: Folding,
    kind: LayoutKind | None,
    orientation: Orientation,
    heights: bool,
    room: float,
) -> Drawing:
    if kind == "dendrogram" or heights:
        return draw_dendrogram(folding, orientation, room, heights)
    if kind != "indented":
        tidy = draw_tidy(folding, orientation)
        if kind == "tidy" or orientation == "vertical" or tidy.width <= room:
            return tidy
    return draw_indented(folding, room)


def _described(folding: Folding, title: str) -> tuple[str, str]:
    """What the drawing shows: in a few words, and in sentences."""
    explanation = folding.explanation
    if explanation is None:
        assert folding.tree is not None
        classes = f"A tree of {folding.tree.num_classes:,} classes"
        return clean(title) or classes, f"{classes}, {len(folding):,} nodes drawn."
    answer = f"{clean(explanation.answer_name)} ({percent(explanation.answer_probability)})"
    steps = " → ".join(clean(decision.node_name) for decision in explanation.path)
    way = f"{steps} → {clean(explanation.prediction_name)}"
    name = f"Decision path to {answer}"
    told = " ".join([f"{name}: {way}.", *sentences(explanation)])
    return f"{clean(title)}: {name}" if title else name, told
