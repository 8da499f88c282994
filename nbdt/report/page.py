"""The report as one HTML file: its parts in the order in which a reader needs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import metadata, resources

import torch

from nbdt.data import LabelledImages
from nbdt.errors import InputError
from nbdt.hierarchy.text import one_line
from nbdt.model import NBDT
from nbdt.report.about import about
from nbdt.report.accuracy import by_rule, weakest
from nbdt.report.album import SIZE, Album
from nbdt.report.choose import choose
from nbdt.report.markup import Content, Markup, counted, element, join, name, section
from nbdt.report.measure import Measurement, measure
from nbdt.report.mistakes import mistakes
from nbdt.report.nodes import node_details
from nbdt.report.origin import Origin
from nbdt.report.reading import reading
from nbdt.report.samples import samples
from nbdt.report.trust import calibration, guarantee
from nbdt.report.verdict import verdict
from nbdt.rules import RuleName
from nbdt.selective import Calibration
from nbdt.view.html import document, page_data
from nbdt.view.html.page import STATIC_LINES

_CONTENTS = (
    ("verdict", "In short"),
    ("about", "What was measured"),
    ("nodes", "The tree"),
    ("accuracy", "Accuracy"),
    ("weakest", "Weakest"),
    ("mistakes", "Mistakes"),
    ("calibration", "Calibration"),
    ("guarantee", "Guarantee"),
    ("samples", "Samples"),
    ("reading", "How to read it"),
)


def report(
    model: NBDT,
    data: LabelledImages,
    *,
    origin: Origin | None = None,
    rule: RuleName | None = None,
    calibration: Calibration | None = None,
    guarantee: float = 0.95,
    pictures: int = 200,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Measures a model on labelled images and tells it all in one HTML file.

    It holds the accuracy of network and tree, the tree with what was measured of each node, the
    mistakes by where paths part, calibration, and samples with their images, chosen by rules that
    it states. The file needs nothing beside itself and asks for nothing: it can be mailed. The
    same arguments give the same bytes; there is no date in it unless `origin` notes one.

    The data are gone through once; then the images to be shown are read again.

    Args:
        model: the model; where it has a preprocessing, the images are prepared by it.
        data: the images, whose classes have to be those of the model.
        origin: what model and data are called, and what else is to be said of them.
        rule: which answers are judged, "soft" or "hard"; by default the model's.
        calibration: what the model was calibrated with, if it was; used by the soft rule only.
        guarantee: the share of answers that are then to hold the true class.
        pictures: how many pictures there are at most, each of about 3 kB.
        progress: called with the number of images of each batch when it is done.

    Raises:
        InputError: as in `measure`, or `pictures` is no number from 0 on.

    Example:
        >>> from nbdt.data import load_dataset
        >>> from nbdt.hierarchy import load_hierarchy
        >>> digits = load_dataset("digits").select(range(50))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> model = NBDT(network, load_hierarchy("digits/shape"))
        >>> page = report(model, digits, origin=Origin(model="untrained", data="50 digits"))
        >>> page.startswith("<!DOCTYPE html>"), "untrained" in page
        (True, True)
    """
    found = measure(
        model,
        data,
        rule=rule,
        calibration=calibration,
        guarantee=guarantee,
        progress=progress,
    )
    return to_page(found, origin, pictures=pictures)


def to_page(found: Measurement, origin: Origin | None = None, *, pictures: int = 200) -> str:
    """The report on what was measured; see `report`.

    Args:
        found: what `measure` gave.
        origin: as in `report`.
        pictures: as in `report`.

    Raises:
        InputError: `pictures` is no number from 0 on, or an image cannot be read any more.
    """
    if isinstance(pictures, bool) or not isinstance(pictures, int) or pictures < 0:
        raise InputError(f"pictures is how many there may be, 0 or more; got {pictures!r:.80}.")
    origin = origin or Origin()
    album = Album(found.data, pictures)
    title = f"How {one_line(origin.model)} decides"
    # Samples come first as the last of the pictures are for single nodes of the tree.
    explained = samples(found, choose(found), album)
    mistaken = mistakes(found.evaluation, album)
    tree = found.model.hierarchy
    details = node_details(found.evaluation, album)
    body = join(
        _header(found, origin, title),
        element(
            "main",
            verdict(found, origin),
            about(found, origin),
            _tree(found),
            by_rule(found.evaluation),
            weakest(found.evaluation),
            mistaken,
            calibration(found.evaluation),
            guarantee(found),
            explained,
            reading(),
        ),
        _footer(origin, album),
    )
    return document(
        title,
        f'<div class="page report">\n{body}\n</div>',
        page_data(tree, details=details),
        more_styles=[own_style()],
    )


@cache
def own_style() -> str:
    """What the report adds to the style sheet of `nbdt.view.html`."""
    return (resources.files("nbdt.report") / "report.css").read_text(encoding="utf-8")


def _header(found: Measurement, origin: Origin, title: str) -> Markup:
    tree = found.model.hierarchy
    subtitle = join(
        name(origin.data),
        f" · {counted(found.evaluation.samples, 'image')} · {tree.num_classes:,} classes · a tree "
        f"of {len(tree):,} nodes",
    )
    links = [element("li", element("a", told, href=f"#{key}")) for key, told in _CONTENTS]
    contents = element("nav", element("ul", links), aria_label="Contents", class_="contents")
    return element("header", element("h1", title), element("p", subtitle), contents)


def _tree(found: Measurement) -> Markup:
    text = found.model.hierarchy.to_text(STATIC_LINES)
    intro = element(
        "p",
        "Select a node to see its classes, how it got its name, how often it is right, and its "
        "typical samples: surest, barest, and led astray (→ is the child it took). Wherever the "
        "report names a node, the name leads here.",
    )
    static: Content = element("pre", text, class_="static")
    return section("nodes", "The tree, node by node", intro, element("div", static, id="view"))


def _footer(origin: Origin, album: Album) -> Markup:
    command = (
        element("p", "Made by ", element("code", origin.command), ", which makes it again.")
        if origin.command
        else None
    )
    versions = f"nbdt {metadata.version('nbdt-toolkit')}, torch {torch.__version__}"
    return element(
        "footer",
        command,
        element(
            "p",
            f"{versions} · {album.used:,} of at most {counted(album.most, 'picture')}, of {SIZE} "
            f"pixels a side and {album.characters / 1000:,.0f} kB together · one file that loads "
            "nothing and sends nothing",
        ),
    )
