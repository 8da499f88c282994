"""The colours of the views, light and dark, and the style sheet of the SVG drawings.

Text holds a contrast of 4.5 and lines one of 3 to what they stand on (WCAG 2.2, AA). Blue and
orange differ for colour-blind readers too, and no meaning rests on colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as ``#rrggbb``.

    Attributes:
        surface: what everything stands on.
        border: the edge of the whole drawing.
        tint: the boxes of inner nodes.
        text: names.
        muted: what matters less: counts, percentages, the legend.
        line: the branches that nothing is said about.
        path: the path to the answer, its text and its branches.
        path_tint: the boxes on the path.
        on_path: text on a box filled with `path`.
        rival: the way to the runner-up.
        rival_tint: the boxes on it.
        track: the empty part of a bar.
    """

    surface: str
    border: str
    tint: str
    text: str
    muted: str
    line: str
    path: str
    path_tint: str
    on_path: str
    rival: str
    rival_tint: str
    track: str


LIGHT = Palette(
    surface="#ffffff",
    border="#d5dae1",
    tint="#f1f3f6",
    text="#1b2430",
    muted="#596474",
    line="#8590a0",
    path="#3a45c9",
    path_tint="#e9ecff",
    on_path="#ffffff",
    rival="#a8480b",
    rival_tint="#fff1e4",
    track="#e6e9ee",
)
DARK = Palette(
    surface="#11151c",
    border="#303846",
    tint="#1f2631",
    text="#e7ebf1",
    muted="#9da8b8",
    line="#657184",
    path="#a3b1ff",
    path_tint="#232b52",
    on_path="#11151c",
    rival="#f5a35c",
    rival_tint="#3a2a1b",
    track="#2a323f",
)

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def svg_style() -> str:
    """The style sheet of the SVG drawings, for both colour schemes.

    Every rule is about elements inside ``.nbdt-svg``, so that it changes nothing else of a page
    the drawing is put into.
    """
    shared = (
        f"text{{font-family:{FONT};font-size:13px;white-space:pre}}"
        ".nb-small{font-size:11px}.nb-big{font-size:20px}.nb-bold{font-weight:600}"
        ".nb-edge,.nb-icon,.nb-casing{fill:none;stroke-linecap:round;stroke-linejoin:round}"
        ".nb-icon{stroke-width:1.6}"
        ".nb-e-rival,.nb-e-runner_up{stroke-dasharray:6 4;stroke-linecap:butt}"
        ".nb-e-beyond{stroke-dasharray:1 5}.nb-differs{stroke-width:1.8}"
        ".nb-rival rect,.nb-runner_up rect,.nb-beyond rect{stroke-dasharray:4 3}"
        "image{clip-path:inset(0 round 4px)}"
    )
    scheme = "@media (prefers-color-scheme:dark){%s}"
    return _scoped(shared) + _scoped(_colours(LIGHT)) + scheme % _scoped(_colours(DARK))


def _colours(p: Palette) -> str:
    return (
        f".nb-card{{fill:{p.surface};stroke:{p.border}}}.nb-casing{{stroke:{p.surface}}}"
        f"text{{fill:{p.text}}}"
        f".nb-muted,.nb-rest text,.nb-beyond text{{fill:{p.muted}}}"
        f".nb-box{{fill:{p.tint}}}"
        f".nb-edge,.nb-icon{{stroke:{p.line}}}"
        f".nb-fill{{fill:{p.line};stroke:{p.line}}}"
        f".nb-track{{fill:{p.track}}}.nb-bar{{fill:{p.line}}}"
        f".nb-e-path,.nb-e-answer,.nb-e-beyond,.nb-path .nb-icon{{stroke:{p.path}}}"
        f".nb-path .nb-fill,.nb-beyond .nb-icon{{stroke:{p.path}}}"
        f".nb-path .nb-fill,.nb-path .nb-bar,.nb-answer .nb-bar{{fill:{p.path}}}"
        f".nb-path .nb-box{{fill:{p.path_tint}}}"
        f".nb-path .nb-name{{fill:{p.path}}}"
        f".nb-beyond .nb-box{{fill:{p.surface};stroke:{p.path}}}"
        f".nb-answer .nb-box{{fill:{p.path};stroke:{p.path}}}"
        f".nb-answer .nb-in{{fill:{p.on_path}}}"
        f".nb-answer .nb-icon{{stroke:{p.on_path}}}"
        f".nb-e-rival,.nb-e-runner_up,.nb-rival .nb-icon,.nb-runner_up .nb-icon"
        f"{{stroke:{p.rival}}}"
        f".nb-rival .nb-box,.nb-runner_up .nb-box{{fill:{p.rival_tint};stroke:{p.rival}}}"
        f".nb-rival .nb-name,.nb-runner_up .nb-name{{fill:{p.rival}}}"
        f".nb-rival .nb-bar,.nb-runner_up .nb-bar{{fill:{p.rival}}}"
        f".nb-dot{{fill:{p.line}}}.nb-rival .nb-dot{{fill:{p.rival}}}"
        f".nb-path .nb-dot,.nb-answer .nb-dot,.nb-beyond .nb-dot{{fill:{p.path}}}"
        f".nb-differs{{stroke:{p.text}}}"
    )


def _scoped(rules: str) -> str:
    """The rules, for elements inside a drawing only."""
    scoped = []
    for rule in rules.split("}")[:-1]:
        selectors, _, body = rule.partition("{")
        inside = ",".join(f".nbdt-svg {selector}" for selector in selectors.split(","))
        scoped.append(f"{inside}{{{body}}}")
    return "".join(scoped)
