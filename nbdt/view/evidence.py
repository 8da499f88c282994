"""What spoke for a decision, as people see it: marked words, bars of columns, a picture.

`Evidence` says what is drawn, once for all: pages and reports take its `to_dict`, and the functions
here draw it for terminals. Blue and orange stand for the two sides, but never alone: the side of a
mark is said by its underline, or by the sign of its number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from nbdt.attribution import Attribution, Contributions, Saliency, overlay
from nbdt.hierarchy.text import one_line
from nbdt.inputs import Preview
from nbdt.view.svg.pictures import data_uri

LEVELS = 4
"""How many depths of color there are for each side."""

_MOST_ROWS = 8
_FAINTEST = 0.06  # of the largest contribution; what is smaller is not marked
_ROUNDING = 1e-6
_BAR = 16
PICTURE_SIZE = 240


class Mark(NamedTuple):
    """A piece of a text: its depth of color, negative for the rival, and how much it spoke."""

    text: str
    level: int = 0
    value: float | None = None


class Row(NamedTuple):
    """A part with its contribution; `share` is over the largest one, −1 … 1."""

    label: str
    value: float
    share: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is drawn of one attribution.

    Attributes:
        title: the decision, and by how much the scores differ.
        side: the name of the child taken, and that of its rival.
        texts: the marked texts; empty if the sample has none.
        rows: the largest contributions, in descending order.
        rest: what the others add up to, in words.
        picture: the map over the picture, as a ``data:`` address; empty if there is none.
        note: what the numbers are.
    """

    node: int
    title: str
    sides: tuple[str, str]
    texts: tuple[tuple[Mark, ...], ...] = ()
    rows: tuple[Row, ...] = ()
    rest: str = ""
    picture: str = ""
    note: str = ""

    @classmethod
    def of(cls, found: Attribution) -> Evidence:
        """What is drawn of an attribution."""
        # Only the first line: the others are the largest contributions.
        title = one_line(str(found).split("\n")[0])
        sides = (one_line(found.child_name), one_line(found.rival_name))
        if isinstance(found, Contributions):
            order = _order(found)
            shown = order[:_MOST_ROWS] if len(order) > _MOST_ROWS + 1 else order
            scale = _largest(found.contributions)
            rows = tuple(
                Row(one_line(found.label(i)), value, value / scale)
                for i in shown
                for value in (found.contributions[i],)
            )
            return cls(
                found.node,
                title,
                sides,
                _marked(found),
                rows,
                _rest(found, len(shown)),
                note=found.note,
            )
        picture = ""
        if isinstance(found, Saliency) and found.preview.picture is not None:
            drawn = overlay(found, found.preview.picture, height=PICTURE_SIZE, seen_only=True)
            picture = data_uri(drawn, PICTURE_SIZE // 2)
        note = f"Pixels by {found.method}: blue spoke for {sides[0]}, orange for {sides[1]}."
        return cls(found.node, title, sides, picture=picture, note=note if picture else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for pages: their script and templates draw it."""
        return {
            "node": self.node,
            "title": self.title,
            "sides": list(self.sides),
            "texts": [
                [
                    {
                        "text": _lines_kept(mark.text),
                        "level": mark.level,
                        "value": signed(mark.value),
                    }
                    for mark in text
                ]
                for text in self.texts
            ],
            "rows": [
                {"label": row.label, "value": signed(row.value), "share": row.share}
                for row in self.rows
            ],
            "rest": self.rest,
            "picture": self.picture,
            "note": self.note,
        }


def evidence_of(found: Attribution | Iterable[Attribution]) -> list[Evidence]:
    """What is drawn of one attribution, or of those of a path."""
    return [Evidence.of(one) for one in ([found] if isinstance(found, Attribution) else found)]


def preview_data(preview: Preview) -> dict[str, Any]:
    """What a page's script shows of a sample besides its picture: texts, and columns by name."""
    return {
        "texts": [_lines_kept(text) for text in preview.texts],
        "columns": [[one_line(name), one_line(value)] for name, value in preview.columns],
    }


def attribution_text(found: Attribution | Iterable[Attribution]) -> str:
    """What spoke for each decision, as plain text: marked words, or bars with their numbers.

    ``[good +0.80]`` spoke for the child taken, ``[slow −0.31]`` for its rival; █ and ░ likewise.
    """
    return "\n\n".join("\n".join(line.plain for line in _lines(one)) for one in evidence_of(found))


def attribution_rich(found: Attribution | Iterable[Attribution]) -> RenderableType:
    """Like `attribution_text`, for rich: in color, as wide as the console."""
    lines: list[Text] = []
    for one in evidence_of(found):
        lines += [*([Text()] if lines else []), *_lines(one, colored=True)]
    return Group(*lines)


def _lines(one: Evidence, colored: bool = False) -> Iterator[Text]:
    yield Text(one.title, "bold")
    for text in one.texts:
        line = Text("  ")
        for mark in text:
            said = _lines_kept(mark.text)
            if not mark.level:
                line.append(said)
            elif colored:
                line.append(said, _style(mark.level))
            else:
                number = "" if mark.value is None else f" {signed(mark.value)}"
                line.append(f"[{said}{number or (' +' if mark.level > 0 else ' −')}]")
        yield line
    if one.rows and (colored or not one.texts):
        yield Text(f"  █ for {one.sides[0]}, ░ for {one.sides[1]}", "dim")
        for row in one.rows:
            length = max(round(_BAR * abs(row.share)), 1 if row.value else 0)
            line = Text(f"  {signed(row.value):>7} ")
            style = "blue" if row.value > 0 else "yellow"
            line.append(("█" if row.value > 0 else "░") * length, style)
            yield line.append(" " * (_BAR + 1 - length) + row.label)
        if one.rest:
            yield Text(f"  {one.rest}", "dim")
    if one.note:
        yield Text(f"  {one.note}", "dim")


def _style(level: int) -> str:
    color = "blue" if level > 0 else "yellow"
    underline = " underline" if level > 0 else ""
    return f"{'bold reverse ' if abs(level) > LEVELS // 2 else 'bold '}{color}{underline}"


def _marked(found: Contributions) -> tuple[tuple[Mark, ...], ...]:
    """The texts in pieces: words as they are; n-grams, which overlap, by what each letter gets."""
    if not found.spans:
        return ()
    texts = [[0.0] * len(text) for text in found.preview.texts]
    alone: dict[tuple[int, int], tuple[int, float]] = {}
    for (place, start, end), value in zip(found.spans, found.contributions, strict=True):
        for at in range(start, end):
            texts[place][at] += value if found.kind == "word" else value / (end - start)
        if found.kind != "n-gram":
            alone[place, start] = end, value
    scale = _largest(value for text in texts for value in text)
    marked = []
    for place, (text, values) in enumerate(zip(found.preview.texts, texts, strict=True)):
        marks, at = [], 0
        while at < len(text):
            end, value = alone.get((place, at), (0, math.nan))
            level = _level(values[at], scale)
            if not end:
                end = at + 1
                while (
                    end < len(text)
                    and (place, end) not in alone
                    and _level(values[end], scale) == level
                ):
                    end += 1
            marks.append(Mark(text[at:end], level, None if math.isnan(value) else value))
            at = end
        marked.append(tuple(marks))
    return tuple(marked)


def _level(value: float, scale: float) -> int:
    share = abs(value) / scale
    if share < _FAINTEST:
        return 0
    return int(math.copysign(math.ceil(LEVELS * share - 1e-9), value))


def _largest(values: Iterable[float]) -> float:
    return max(map(abs, values), default=0.0) or 1.0


def _order(found: Contributions) -> list[int]:
    """The parts that contribute something beyond rounding, the largest first."""
    least = _ROUNDING * _largest(found.contributions)
    return [place for place in found.order if abs(found.contributions[place]) > least]


def _rest(found: Contributions, shown: int) -> str:
    others = _order(found)[shown:]
    if not others:
        return ""
    total = math.fsum(found.contributions[place] for place in others)
    together = f", together {signed(total)}" if found.method != "ablation" else ""
    return f"and {len(others)} more {found.kind}s{together}"


def signed(value: float | None) -> str:
    """A contribution with its sign: "+0.80", "−0.31"."""
    if value is None:
        return ""
    if not value:
        return "0"
    return f"{value:{'+.2f' if abs(value) >= 0.005 else '+.1g'}}".replace("-", "−")


def _lines_kept(text: str) -> str:
    """A piece of a text, with what could command a terminal or turn a line around written out."""
    return "\n".join(one_line(line) for line in text.replace("\t", " ").split("\n"))
