"""What a drawing is made of, and how each part is written as SVG.

Shapes are plain data in pixels, so that a test can ask where every text stands before anything is
written. Coordinates grow to the right and down.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

from nbdt.view.labels import text_width

# Of a line of text, over the font size: how far its letters rise and fall at most.
ASCENT, DESCENT = 0.95, 0.27

Steps = tuple[tuple[str, tuple[float, ...]], ...]
"""What SVG calls path data: letters with the coordinates they take, x and y in turn."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: its upper left corner and its size, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    @property
    def center(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2

    @property
    def middle(self) -> float:
        """The y of its middle."""
        return self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> Box:
        """The box elsewhere."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)


class Shape(Protocol):
    """A part of a drawing."""

    def moved(self, dx: float, dy: float) -> Self:
        """The shape elsewhere."""

    def svg(self) -> str:
        """The shape as an SVG element."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, fit to be drawn (see `nbdt.view.labels.clean`).

    It begins at `x`, and its letters stand on `baseline`. A text that is `turned` runs downwards.
    """

    x: float
    baseline: float
    text: str
    css: str = ""
    size: float = 13
    bold: bool = False
    turned: bool = False

    @property
    def box(self) -> Box:
        """The room that it takes at most."""
        width = text_width(self.text, self.size, self.bold)
        height = self.size * (ASCENT + DESCENT)
        if self.turned:
            return Box(self.x - self.size * DESCENT, self.baseline, height, width)
        return Box(self.x, self.baseline - self.size * ASCENT, width, height)

    def moved(self, dx: float, dy: float) -> Text:
        """The text elsewhere."""
        return replace(self, x=self.x + dx, baseline=self.baseline + dy)

    def svg(self) -> str:
        """The text as an SVG element."""
        x, y = number(self.x), number(self.baseline)
        turn = f' transform="rotate(90 {x} {y})"' if self.turned else ""
        return f'<text{_class(self.css)} x="{x}" y="{y}"{turn}>{html.escape(self.text)}</text>'


@dataclass(frozen=True, slots=True)
class _Boxed:
    box: Box

    def moved(self, dx: float, dy: float) -> Self:
        """The shape elsewhere."""
        return replace(self, box=self.box.moved(dx, dy))

    def _place(self) -> str:
        box = self.box
        x, y, width, height = map(number, (box.x, box.y, box.width, box.height))
        return f'x="{x}" y="{y}" width="{width}" height="{height}"'


@dataclass(frozen=True, slots=True)
class Rect(_Boxed):
    """A rectangle with rounded corners."""

    css: str
    radius: float = 0

    def svg(self) -> str:
        """The rectangle as an SVG element."""
        radius = f' rx="{number(self.radius)}"' if self.radius else ""
        return f"<rect{_class(self.css)} {self._place()}{radius}/>"


@dataclass(frozen=True, slots=True)
class Swatch(_Boxed):
    """A small rectangle of a color of its own, red, green and blue, in light and dark alike."""

    color: tuple[int, int, int]

    def svg(self) -> str:
        """The rectangle as an SVG element."""
        return f'<rect {self._place()} rx="3" fill="rgb{self.color}"/>'.replace(", ", ",")


@dataclass(frozen=True, slots=True)
class Picture(_Boxed):
    """An image, fitted into a box; `uri` is a ``data:`` one, so that nothing is fetched."""

    uri: str

    def svg(self) -> str:
        """The image as an SVG element."""
        return f'<image {self._place()} href="{html.escape(self.uri)}"/>'


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points. Without a `width`, the style sheet says how thick it is."""

    steps: Steps
    css: str = ""
    width: float | None = None

    def moved(self, dx: float, dy: float) -> Stroke:
        """The line elsewhere."""
        by = (dx, dy)
        steps = tuple(
            (letter, tuple(value + by[i % 2] for i, value in enumerate(values)))
            for letter, values in self.steps
        )
        return replace(self, steps=steps)

    def svg(self) -> str:
        """The line as an SVG element."""
        data = "".join(letter + " ".join(map(number, values)) for letter, values in self.steps)
        width = "" if self.width is None else f' stroke-width="{number(self.width)}"'
        return f'<path{_class(self.css)} d="{data}"{width}/>'


@dataclass(frozen=True, slots=True)
class Group:
    """Shapes that belong together, with a text that shows when the pointer rests on them."""

    shapes: tuple[Shape, ...]
    css: str = ""
    title: str = ""

    def moved(self, dx: float, dy: float) -> Group:
        """The group elsewhere."""
        return replace(self, shapes=tuple(shape.moved(dx, dy) for shape in self.shapes))

    def svg(self) -> str:
        """The group as an SVG element."""
        title = f"<title>{html.escape(self.title)}</title>" if self.title else ""
        return f"<g{_class(self.css)}>{title}{''.join(s.svg() for s in self.shapes)}</g>"


def line(*points: tuple[float, float], css: str = "", width: float | None = None) -> Stroke:
    """A stroke that runs straight from each point to the next."""
    return Stroke(tuple(("L" if i else "M", point) for i, point in enumerate(points)), css, width)


def dot(x: float, y: float, radius: float = 3.0, css: str = "nb-dot") -> Rect:
    """A filled circle around a point."""
    return Rect(Box(x - radius, y - radius, 2 * radius, 2 * radius), css, radius)


def texts(shapes: Iterable[Shape]) -> Iterator[Text]:
    """All texts among the shapes, in the order of drawing."""
    for shape in shapes:
        if isinstance(shape, Group):
            yield from texts(shape.shapes)
        elif isinstance(shape, Text):
            yield shape


def number(value: float) -> str:
    """The number with one digit after the point, where it has one."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _class(css: str) -> str:
    return f' class="{css}"' if css else ""
