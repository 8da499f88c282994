"""The figure of selective.py, as SVG: what was promised and held, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from nbdt.selective import Curve

# Pixels: of one plot, and around it.
WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 190, 46, 84, 74

STYLE = """
  .ground { fill: #fff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .title { font-weight: 600; font-size: 13px } .small { font-size: 11px; fill: #59636e }
  .frame { fill: none; stroke: #d1d9e0 } .grid { stroke: #eaeef2 }
  .stop { stroke: #0969da; fill: none; stroke-width: 2 }
  .plain { stroke: #bc4c00; fill: none; stroke-width: 2; stroke-dasharray: 5 4 }
  .cut { fill: #8250df } .dot { fill: #0969da; opacity: .3 }
  .promised { stroke: #1f2328; stroke-width: 1.5 } .mean { stroke: #0969da; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9198a1 }
    .frame { stroke: #3d444d } .grid { stroke: #21262d } .stop, .mean { stroke: #4493f8 }
    .plain { stroke: #f0883e } .cut { fill: #ab7df8 } .dot { fill: #4493f8 }
    .promised { stroke: #e6edf3 }
  }"""


@dataclass
class Panel:
    """What is drawn of one network: for each guarantee the validity of every split, and curves."""

    title: str
    guarantees: Sequence[float]
    validity: list[list[float]] = field(default_factory=list)
    cut: list[tuple[list[float], list[float]]] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)


def figure(panels: Sequence[Panel]) -> str:
    """Two plots below each other for every panel."""
    width = LEFT + len(panels) * (WIDTH + GAP) - GAP + 16
    height = TOP + 2 * (HEIGHT + GAP)
    parts = [f'<rect class="ground" width="{width}" height="{height}"/>', *_legend()]
    for place, panel in enumerate(panels):
        x = LEFT + place * (WIDTH + GAP)
        parts.append(f'<text class="title" x="{x}" y="{TOP - 26}">{escape(panel.title)}</text>')
        parts += [f'<g transform="translate({x} {TOP})">', *_promises(panel), "</g>"]
        y = TOP + HEIGHT + GAP
        parts += [f'<g transform="translate({x} {y})">', *_costs(panel), "</g>"]
    body = "\n".join(parts)
    label = "Validity of answers over random splits, and errors over information kept"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{label}">\n'
        f"<style>{STYLE}\n</style>\n{body}\n</svg>\n"
    )


def _legend() -> Iterator[str]:
    x = LEFT
    entries = [
        ('<line class="promised" x1="0" x2="22" y1="0" y2="0"/>', "promised", 90),
        ('<circle class="dot" cx="4" cy="0" r="2.5"/><line class="mean" x1="10" x2="22" y1="0" '
         'y2="0"/>', "validity: each split, mean", 185),
        ('<line class="stop" x1="0" x2="22" y1="0" y2="0"/>', "stop when unsure", 140),
        ('<line class="plain" x1="0" x2="22" y1="0" y2="0"/>', "class or nothing", 135),
        ('<circle class="cut" cx="11" cy="0" r="4"/>', "conformal sets cut to their common "
         "ancestor", 0),
    ]  # fmt: skip
    for drawn, name, wide in entries:
        yield f'<g transform="translate({x} 20)">{drawn}<text x="28" y="4">{name}</text></g>'
        x += wide


def _promises(panel: Panel) -> Iterator[str]:
    """The validity of every split beside what was promised, a column a guarantee."""
    low = min(min(panel.guarantees), *(min(one) for one in panel.validity))
    low = np.floor(100 * low - 0.5) / 100
    yield from _frame("share of answers that hold the true class, %")
    yield from _rows(low, 1.0)
    column = WIDTH / len(panel.guarantees)
    for place, (guarantee, shares) in enumerate(zip(panel.guarantees, panel.validity, strict=True)):
        left, right = (place + 0.15) * column, (place + 0.85) * column
        # Not at random, so that the same numbers give the same file.
        spread = np.linspace(left + 4, right - 4, len(shares))
        for x, share in zip(spread, shares, strict=True):
            yield f'<circle class="dot" cx="{x:.1f}" cy="{_y(share, low, 1):.1f}" r="2.5"/>'
        for kind, value in (("mean", float(np.mean(shares))), ("promised", guarantee)):
            y = _y(value, low, 1)
            ends = f'x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"'
            yield f'<line class="{kind}" {ends}/>'
        middle = (left + right) / 2
        yield (
            f'<text class="small" text-anchor="middle" x="{middle:.1f}" y="{HEIGHT + 16}">'
            f"{100 * guarantee:g} %</text>"
        )
    yield _below("promised")


def _costs(panel: Panel) -> Iterator[str]:
    """Errors over information kept, for all thresholds."""
    high = max(float(1 - one.validity[0]) for one in panel.curves.values())
    yield from _frame("errors, % of answers")
    yield from _rows(0.0, high)
    for kind, one in zip(("stop", "plain"), panel.curves.values(), strict=True):
        points = _thinned(one.information * WIDTH, _y(1 - one.validity, 0, high))
        yield f'<polyline class="{kind}" points="{points}"/>'
    for information, validity in panel.cut:
        x, y = np.mean(information) * WIDTH, _y(1 - np.mean(validity), 0, high)
        yield f'<circle class="cut" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = share * WIDTH
        yield (
            f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{HEIGHT + 16}">'
            f"{100 * share:g}</text>"
        )
    yield _below("information kept, %")


def _frame(caption: str) -> Iterator[str]:
    yield f'<rect class="frame" width="{WIDTH}" height="{HEIGHT}"/>'
    yield f'<text class="small" x="0" y="-6">{caption}</text>'


def _below(caption: str) -> str:
    y = HEIGHT + 34
    return f'<text class="small" text-anchor="middle" x="{WIDTH / 2}" y="{y}">{caption}</text>'


def _rows(low: float, high: float) -> Iterator[str]:
    """Lines across with their percentages."""
    steps = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
    step = next(one for one in steps if (high - low) / one <= 8)
    for place in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1):
        y = _y(place * step, low, high)
        yield f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield (
            f'<text class="small" text-anchor="end" x="-6" y="{y + 4:.1f}">'
            f"{100 * place * step:g}</text>"
        )


def _y(value, low, high):  # type: ignore[no-untyped-def]
    return HEIGHT * (1 - (value - low) / (high - low))


def _thinned(x, y) -> str:  # type: ignore[no-untyped-def]
    """The points of a line, without those that would not be seen."""
    kept = [0]
    for place in range(1, len(x)):
        if abs(x[place] - x[kept[-1]]) + abs(y[place] - y[kept[-1]]) > 0.7:
            kept.append(place)
    return " ".join(
        f"{x[place]:.1f},{y[place]:.1f}" for place in {**dict.fromkeys(kept), len(x) - 1: 0}
    )
