"""One item as it stands in a drawing: its box, icon, name, number and thumbnail."""

from __future__ import annotations

from dataclasses import dataclass

from nbdt.explain import percent
from nbdt.view.folding import Item
from nbdt.view.labels import fitted, text_width
from nbdt.view.svg.shapes import Box, Group, Picture, Rect, Shape, Steps, Stroke, Text

HEIGHT = 22.0
THUMBNAIL = 36.0
SMALL = 11.0  # the font size of counts and percentages
_PADDING = 8.0
_GAP = 6.0
_ICON = 10.0
_LEAST = 40.0  # the room that a name needs
_BOLD = {"path", "answer", "runner_up"}

_TRIANGLE = (("M", (2.0, 1.0)), ("L", (9.0, 5.0)), ("L", (2.0, 9.0)), ("Z", ()))
_ICONS: dict[str, Steps] = {
    "path": _TRIANGLE,
    "rival": _TRIANGLE,
    "runner_up": _TRIANGLE,
    "answer": (("M", (1.0, 5.5)), ("L", (4.0, 8.5)), ("L", (9.0, 1.5))),
    "beyond": (("M", (1.5, 5.0)), ("L", (1.6, 5.0)), ("M", (5.0, 5.0)), ("L", (5.1, 5.0)),
               ("M", (8.5, 5.0)), ("L", (8.6, 5.0))),
    "folded": (("M", (3.0, 1.5)), ("L", (7.0, 5.0)), ("L", (3.0, 8.5))),
    "differs": (("M", (1.0, 3.3)), ("L", (9.0, 3.3)), ("M", (1.0, 6.7)), ("L", (9.0, 6.7)),
                ("M", (7.0, 0.5)), ("L", (3.0, 9.5))),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Badge:
    """What an item looks like, wherever it is put.

    `name` is shortened and `uri` left out where there is no room; `note` is the small text behind
    the name: a count, a probability or the support, in percent.
    """

    item: Item
    name: str
    note: str
    width: float
    height: float
    uri: str = ""

    @classmethod
    def of(cls, item: Item, widest: float, *, with_percent: bool = True) -> Badge:
        """The badge of an item, at most `widest` pixels wide where that can be."""
        notes = []
        if item.kind == "folded":
            notes.append(f"{item.classes:,} classes")
        if with_percent and item.probability is not None:
            notes.append(percent(item.probability))
        if item.support:
            notes.append(item.support)
        note = " · ".join(notes)
        fixed = 2 * _PADDING + (_ICON + _GAP) * (bool(_sign(item)) + item.differs)
        noted = _GAP + text_width(note, SMALL) if note else 0.0
        uri, pictured = item.uri, THUMBNAIL + _GAP if item.uri else 0.0
        # Where the name would have no room, the note goes first, then the thumbnail.
        if fixed + pictured + noted + _LEAST > widest:
            note, noted = "", 0.0
        if fixed + pictured + _LEAST > widest:
            uri, pictured = "", 0.0
        around = fixed + pictured + noted
        bold = item.role in _BOLD
        name = fitted(item.name, max(widest - around, 0), bold=bold)
        width = around + text_width(name, 13, bold)
        return cls(item, name, note, width, THUMBNAIL + 4 if uri else HEIGHT, uri)

    def at(self, x: float, y: float) -> Group:
        """The badge with its upper left corner there."""
        item, middle = self.item, y + self.height / 2
        shapes: list[Shape] = []
        if item.kind in ("open", "folded") or item.role != "other":
            shapes.append(Rect(Box(x, y, self.width, self.height), "nb-box", 6))
        left = x + _PADDING
        if sign := _sign(item):
            shapes.append(icon(sign, left, middle))
            left += _ICON + _GAP
        if self.uri:
            shapes.append(Picture(Box(left, y + 2, THUMBNAIL, THUMBNAIL), self.uri))
            left += THUMBNAIL + _GAP
        bold = item.role in _BOLD
        css = "nb-name nb-in nb-bold" if bold else "nb-name nb-in"
        shapes.append(Text(left, middle + 4.5, self.name, css, bold=bold))
        left += text_width(self.name, 13, bold)
        if self.note:
            left += _GAP
            shapes.append(Text(left, middle + 4, self.note, "nb-small nb-muted nb-in", SMALL))
            left += text_width(self.note, SMALL)
        if item.differs:
            shapes.append(icon("differs", left + _GAP, middle))
        return Group(tuple(shapes), look(item), tooltip(item, self.name))


def look(item: Item) -> str:
    """The class of an item in the style sheet."""
    if item.role == "other":
        return "nb-rest" if item.kind == "rest" else ""
    return f"nb-{item.role}"


def tooltip(item: Item, shown: str = "") -> str:
    """What is known of an item beyond the name that is shown."""
    lines = [item.name] if item.name != shown else []
    if item.contents:
        lines.append(item.contents)
    if item.probability is not None:
        lines.append(f"{100 * item.probability:.2f} % of its parent")
    if item.support:
        lines.append(f"support {item.support}")
    if item.differs:
        lines.append("not on every path")
    return "\n".join(lines)


def icon(sign: str, x: float, middle: float, role: str = "") -> Shape:
    """A small sign, as lines, since not every font has the characters.

    `sign` is a role, "folded" or "differs"; `role` gives the colors outside of a badge.
    """
    css = {"path": "nb-icon nb-fill", "differs": "nb-icon nb-differs"}.get(sign, "nb-icon")
    stroke = Stroke(_ICONS[sign], css).moved(x, middle - _ICON / 2)
    return Group((stroke,), f"nb-{role}") if role else stroke


def _sign(item: Item) -> str:
    """Which sign stands before the name."""
    if item.role != "other":
        return item.role
    return "folded" if item.kind in ("folded", "rest") else ""
