"""`report`: what was measured of a model as one HTML file, written by the templates beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, resources

import torch
from jinja2 import Environment
from markupsafe import Markup

from nbdt.data import LabelledSamples
from nbdt.errors import InputError
from nbdt.evaluation.tables import percent, percent_range
from nbdt.explain import percent as whole_percent
from nbdt.model import NBDT
from nbdt.report import facts
from nbdt.report.figures import Axis, reliability_cells, reliability_diagram, share_bar, sides_bar
from nbdt.report.measure import FEW, Measurement, measure
from nbdt.report.samples import Album, choose, explained, node_details, shown_beside
from nbdt.rules import RuleName
from nbdt.selective import Calibration
from nbdt.view.assets import templates
from nbdt.view.html import page_data, render_page
from nbdt.view.html.page import STATIC_LINES

# How many nodes with mistakes are shown, and of each how many confusions, with so many pictures.
MOST_NODES, EACH = 6, 3


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a report says of a model and its data that neither of them knows by itself.

    Attributes:
        model: what the model is called; `data` likewise.
        files: the SHA-256 of each file of the model, by its name.
        versions: the versions of the packages that wrote them.
        command: the command that makes the same report again.
        notes: anything else, as {what: text}: who asked for the report, the date, ….
    """

    model: str = "the model"
    data: str = "the data"
    files: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


def report(
    model: NBDT,
    data: LabelledSamples,
    *,
    origin: Origin | None = None,
    rule: RuleName | None = None,
    calibration: Calibration | None = None,
    guarantee: float = 0.95,
    pictures: int = 200,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Measures a model on labelled samples and writes the result as one HTML file.

    It holds the accuracy of network and tree, the tree with what was measured of each node, the
    mistakes by where paths diverge, calibration, and explained samples, chosen by stated
    rules. The file needs nothing else and loads nothing, so it can be mailed. The same arguments
    give the same bytes; there is no date in it unless `origin` notes one.

    Args:
        model: where it has a preprocessing, that reads the samples.
        data: samples of the model's classes.
        origin: the names of model and data, and further notes.
        rule: which answers are judged, "soft" or "hard"; by default the model's.
        calibration: the model's calibration, if it has one; used by the soft rule only.
        guarantee: the share of answers that should then contain the true class.
        pictures: how many pictures there are at most, each of about 3 kB.
        progress: called with the number of samples of each batch when it is done.
    """
    found = measure(
        model, data, rule=rule, calibration=calibration, guarantee=guarantee, progress=progress
    )
    return to_page(found, origin, pictures=pictures)


def to_page(found: Measurement, origin: Origin | None = None, *, pictures: int = 200) -> str:
    """The report on what `measure` found; `origin` and `pictures` as in `report`."""
    if isinstance(pictures, bool) or not isinstance(pictures, int) or pictures < 0:
        raise InputError(f"pictures must be 0 or more, got {pictures!r:.80}.")
    origin = origin or Origin()
    evaluation, tree = found.evaluation, found.model.hierarchy
    album = Album(found.data, pictures)
    # Samples come first, as the last of the pictures are for single nodes of the tree.
    groups = [explained(found, group, album) for group in choose(found)]
    confused = {
        (one.true_child, one.taken_child): album.addresses(one.examples[:EACH])
        for node in evaluation.mistakes.nodes[:MOST_NODES]
        for one in [c for c in evaluation.mistakes.confusions if c.node == node.node][:EACH]
    }
    details = node_details(evaluation, album)
    return render_page(
        _templates().get_template("report.html"),
        title=f"How {origin.model} decides",
        data=page_data(tree, details=details),
        more_styles=[own_style()],
        found=found,
        noun=found.data.noun,
        origin=origin,
        evaluation=evaluation,
        tree=tree,
        album=album,
        groups=groups,
        share_heading=Markup('<span class="unseen">the share of all, drawn</span>'),
        confused=confused,
        versions=f"nbdt {metadata.version('nbdt-toolkit')}, torch {torch.__version__}",
        most_lines=STATIC_LINES,
        few=FEW,
        enough=facts.ENOUGH,
        most_nodes=MOST_NODES,
        each=EACH,
        **facts.about(found),
        **facts.accuracy(evaluation),
        caveats=facts.Caveats.of(found, origin.data),
    )


@cache
def own_style() -> str:
    """What the report adds to the style sheet of `nbdt.view.html`."""
    file = resources.files("nbdt.report") / "templates" / "report.css"
    return file.read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    environment = templates("nbdt.report")
    environment.filters |= {
        **{"percent": percent, "percent_range": percent_range, "lead": _lead},
        "share": lambda share: whole_percent(share).replace(" ", "\N{NO-BREAK SPACE}"),
    }
    environment.globals |= {
        "axis_around": lambda rows: Axis.around([row.interval for row in rows]),
        "reliability_diagram": reliability_diagram,
        "reliability_cells": reliability_cells,
        "share_bar": share_bar,
        "shown_beside": shown_beside,
        "sides_bar": sides_bar,
    }
    return environment


def _lead(margin: float) -> str:
    return f"{margin:.2f}".replace("-", "−") if math.isfinite(margin) else "∞"
