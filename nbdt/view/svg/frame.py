"""`to_svg`: a drawn tree within its frame of headline, sample and legend."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from nbdt.errors import InputError
from nbdt.explain import Explanation, percent, promise
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.text import wrap
from nbdt.view.assets import svg_style
from nbdt.view.folding import Folded, Folding, fold, support_legend
from nbdt.view.labels import clean, fitted, text_width
from nbdt.view.layout import LAYOUT_KINDS, LayoutKind
from nbdt.view.svg.badge import SMALL, icon
from nbdt.view.svg.drawing import (
    Drawing,
    Orientation,
    draw_dendrogram,
    draw_indented,
    draw_tidy,
)
from nbdt.view.svg.pictures import ClassPictures, Picturable, data_uri, pictured
from nbdt.view.svg.shapes import Box, Picture, Rect, Shape, Text, line, number

NARROWEST = 240
SAMPLE = 84.0  # the side of the sample's picture
_MARGIN = 16.0
_BIG = 20.0  # the font size of the answer
_GAP = 14.0


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
    """A tree or an explanation as an SVG text that stands alone and adapts to light and dark.

    The path to the answer is marked by thick branches and ▶, the answer by ✓, the way to the
    runner-up by dashes and ▷. The thicker a branch on the path, the more likely the decision. If
    only a tree is drawn, the known support of its groups stands at their nodes; see
    `nbdt.hierarchy.support`.

    Args:
        subject: the tree; or an explanation, which alone is drawn as its path with the siblings.
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
        title: a line above the drawing.

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

    For those who cannot see it, `name` says what it shows and `description` says it in sentences.
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
    if kind is not None and kind not in LAYOUT_KINDS:
        raise InputError(
            f"kind must be one of {', '.join(LAYOUT_KINDS)} or None; got {kind!r:.60}."
        )
    if orientation not in get_args(Orientation):
        raise InputError(f"orientation must be horizontal or vertical; got {orientation!r:.60}.")
    if kind == "indented" and orientation == "vertical":
        raise InputError('an indented tree always grows down; leave out orientation="vertical".')
    if heights and kind not in (None, "dendrogram"):
        raise InputError(f'only kind "dendrogram" has branch heights, not {kind!r}.')
    check_width(width, NARROWEST)
    if title is not None and not isinstance(title, str):
        raise InputError(f"title must be a text or None, got {title!r:.60}.")
    title = title or ""
    room = width - 2 * _MARGIN
    tree = _drawn(pictured(folding, images), kind, orientation, heights, room)
    inside = max(tree.width, min(room, 480))
    sample = data_uri(image, int(SAMPLE)) if image is not None else ""
    head, foot = _headline(folding, title, sample, inside), _legend(folding, inside)
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


def check_width(width: float, least: int) -> None:
    """Raises InputError for a width of a drawing below the least, in pixels."""
    if not isinstance(width, int | float) or not least <= width < float("inf"):
        raise InputError(f"width must be at least {least} pixels, got {width!r:.60}.")


def _drawn(
    folding: Folding, kind: LayoutKind | None, orientation: Orientation, heights: bool, room: float
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
    told = " ".join([f"{name}: {way}.", *_sentences(explanation)])
    return f"{clean(title)}: {name}" if title else name, told


def _headline(folding: Folding, title: str, sample: str, width: float) -> Drawing:
    """The title, the answer with what is to be said of it, and the sample's picture on the left."""
    shapes: list[Shape] = []
    left = SAMPLE + _GAP if sample else 0.0
    if sample:
        shapes.append(Picture(Box(0, 0, SAMPLE, SAMPLE), sample))
    y = right = 0.0
    for text in _lines(folding.explanation, clean(title), width - left):
        shapes.append(text.moved(left, y))
        y += text.baseline + 5
        right = max(right, left + text.box.width)
    height = max(y, SAMPLE if sample else 0)
    return Drawing(tuple(shapes), max(right, left - _GAP), height + _GAP if height else 0)


def _lines(explanation: Explanation | None, title: str, width: float) -> Iterator[Text]:
    """The lines; the baseline of each is how far it is below the one before."""
    if title:
        look, size = ("nb-big", _BIG) if explanation is None else ("nb-muted", 13.0)
        title = fitted(title, width, size, bold=True)
        yield Text(0, size, title, f"nb-bold {look}", size, bold=True)
    if explanation is None:
        return
    answer = f"{clean(explanation.answer_name)}  {percent(explanation.answer_probability)}"
    answer = fitted(answer, width, _BIG, bold=True)
    yield Text(0, _BIG, answer, "nb-bold nb-big", _BIG, bold=True)
    for sentence in _sentences(explanation):
        yield from (Text(0, 15, part, "nb-muted") for part in wrap(sentence, width, text_width))


def _sentences(explanation: Explanation) -> Iterator[str]:
    """What is to be said of an answer beside its name: the network's view and the runner-up."""
    network = clean(explanation.network_prediction_name)
    if explanation.stopped_at is not None:
        likeliest = f"{clean(explanation.prediction_name)} ({percent(explanation.probability)})"
        yield f"Stopped here, too unsure to go on to {likeliest}. The network says {network}."
    else:
        yield "The network agrees." if explanation.agrees else f"The network says {network}."
    if explanation.guarantee is not None:
        yield promise(explanation.guarantee)
    rival = f"{clean(explanation.runner_up_name)} ({percent(explanation.runner_up_probability)})"
    yield f"Runner-up: {rival}; the paths diverge at {clean(explanation.diverges_at_name)}."


def _legend(folding: Folding, width: float) -> Drawing:
    """What the signs and numbers in the drawing mean; nothing where there are none."""
    if said := support_legend(folding):
        lines = wrap(said, width, lambda text: text_width(text, SMALL))
        texts = [
            Text(0, 12 + 16 * row, part, "nb-small nb-muted", SMALL)
            for row, part in enumerate(lines)
        ]
        return Drawing(tuple(texts), max(text.box.right for text in texts), 16 * len(lines))
    shapes: list[Shape] = []
    x = y = right = 0.0
    for css, sign, said in _signs(folding):
        wide = 36.0 + text_width(said, SMALL)
        if x and x + wide > width:
            x, y = 0.0, y + 18
        if css:
            look, thick = f"nb-edge nb-e-{css}", 4 if css == "path" else 2.2
            shapes.append(line((x, y + 8), (x + 14, y + 8), css=look, width=thick))
        shapes.append(icon(sign, x + 18, y + 8, css))
        shapes.append(Text(x + 33, y + 12, said, "nb-small nb-muted", SMALL))
        x += wide + 16
        right = max(right, x - 16)
    return Drawing(tuple(shapes), right, y + 16 if shapes else 0)


def _signs(folding: Folding) -> Iterator[tuple[str, str, str]]:
    """The look of the line, the sign, and what they mean."""
    roles = {item.role for item in folding.items}
    if folding.explanation is None:
        return
    yield "path", "path", "path; thicker: more likely"
    if "beyond" in roles:
        yield "beyond", "beyond", "not taken (too unsure)"
    if roles & {"rival", "runner_up"}:
        yield "rival", "rival", "toward the runner-up"
    if any(item.differs for item in folding.items):
        yield "", "differs", "not on every path"
