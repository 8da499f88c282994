"""One HTML file: the data, the script that shows it, and what is read where scripts are blocked."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.text import one_line
from nbdt.view.html.data import as_json, checked, page_data
from nbdt.view.html.details import NodeDetails
from nbdt.view.palette import DARK, LIGHT, Palette
from nbdt.view.svg.pictures import Picturable

# Without scripts the whole tree stands on the page at once, so it has to end somewhere.
STATIC_LINES = 200

# In the order of what each builds on.
_SCRIPTS = ("elements", "tree", "summary", "outline", "map", "details", "search", "mount")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
{styles}
</head>
<body>
{body}
<script type="application/json" data-nbdt-for="view">{data}</script>
<script>{script}</script>
</body>
</html>
"""
_BODY = """<div class="page">
<header><h1>{title}</h1><p>{subtitle}</p></header>
<main id="view">
{static}
</main>
<footer>{footer}</footer>
</div>"""


def to_html(
    tree: Hierarchy,
    explanations: Explanation | Iterable[Explanation] | None = None,
    *,
    images: Sequence[Picturable | None] | None = None,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    details: Mapping[int, NodeDetails] | None = None,
) -> str:
    """A tree, and the explanations of some samples in it, as one HTML file.

    The file needs nothing beside itself, and its content security policy lets it ask for nothing:
    it can be mailed and opened anywhere. It shows what was predicted and by which decisions, the
    tree as an outline that folds and as a map that zooms, and of the node that is selected its
    classes, its decision, how it got its name, and its details. Of a large tree the path and its
    siblings are unfolded. It works by keyboard, with a screen reader, on paper and, as text
    alone, where scripts are blocked.

    Args:
        tree: the tree; of a model, its `hierarchy`. An explanation without its tree has no page,
            but `to_svg` and `to_text` draw it.
        explanations: one, several to choose from, or none; all of this tree.
        images: the image that each explanation is of, or None; made small.
        captions: what each explanation is of, such as the name of a file.
        title: the heading; by default it says what the page holds.
        details: what else is known of single nodes: accuracy, typical samples, ….

    Raises:
        InputError: `tree` is no tree, an explanation belongs to another one, or images or
            captions are not as many as the explanations.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "<b>car", "animal", "thing"])
        >>> page = to_html(tree, title="Three classes")
        >>> page.startswith("<!DOCTYPE html>"), "<b>" in page
        (True, False)
    """
    given = checked(tree, explanations)
    data = page_data(tree, given, images=images, captions=captions, details=details)
    heading = title or _title(tree, given)
    body = _BODY.format(
        title=escape(one_line(heading)),
        subtitle=f"{tree.num_classes:,} classes in a tree of {len(tree):,} nodes",
        static=_without_script(tree, given, captions or ()),
        footer=_footer(given),
    )
    return document(heading, body, data)


def document(
    title: str, body: str, data: Mapping[str, Any], *, more_styles: Sequence[str] = ()
) -> str:
    """A whole HTML file around a body that has an element with the id ``view``.

    Args:
        title: the title, as plain text.
        body: HTML; the script replaces what is in the element ``view``.
        data: what is shown there, as `page_data` gives it.
        more_styles: style sheets to follow the page's own.

    Example:
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog", "pet"])
        >>> document("Pets & co", '<main id="view"></main>', page_data(tree)).count("&amp;")
        1
    """
    styles = [style(), *more_styles]
    return _PAGE.format(
        policy=content_security_policy(styles, [script()]),
        title=escape(one_line(title)),
        styles="\n".join(f"<style>{one}</style>" for one in styles),
        body=body,
        data=as_json(data),
        script=script(),
    )


def content_security_policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """A policy for a page that holds these styles and scripts and uses nothing else.

    Images may be ``data:`` addresses; nothing is fetched, framed, submitted or evaluated.

    Args:
        styles: what stands between ``<style>`` and ``</style>``, character by character.
        scripts: likewise for ``<script>``.

    Example:
        >>> content_security_policy([], [])
        "default-src 'none'; style-src 'none'; script-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
    """  # noqa: E501
    return (
        f"default-src 'none'; style-src {_sources(styles)}; script-src {_sources(scripts)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _sources(texts: Iterable[str]) -> str:
    hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in hashes) or "'none'"


@cache
def style() -> str:
    """The style sheet of the page: the colours of all views, and what page.css says."""
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_colours(DARK)} }} }}"
    return f":root {{ color-scheme: light dark; {_colours(LIGHT)} }}\n{dark}\n{_read('page.css')}"


def _colours(palette: Palette) -> str:
    return " ".join(
        f"--{name.replace('_', '-')}: {colour};" for name, colour in asdict(palette).items()
    )


@cache
def script() -> str:
    """The script of the page, which defines ``nbdt.mount(element, data)``: the files of script/."""
    parts = "\n".join(_read(f"script/{name}.js") for name in _SCRIPTS)
    # In a function of its own, so that it shares no names with other scripts of the page.
    return f'const nbdt = (() => {{\n"use strict";\n\n{parts}\nreturn {{ mount }};\n}})();\n'


def _read(name: str) -> str:
    return (resources.files("nbdt.view.html") / name).read_text(encoding="utf-8")


def _without_script(
    tree: Hierarchy, explanations: Sequence[Explanation], captions: Sequence[str]
) -> str:
    """What stands on the page until the script replaces it, and for good where it may not."""
    if not explanations:
        return f'<pre class="static">{escape(tree.to_text(STATIC_LINES))}</pre>'
    parts = []
    for index, explanation in enumerate(explanations):
        if captions:
            parts.append(f"<h2>{escape(one_line(captions[index]))}</h2>")
        told = "\n".join(map(one_line, explanation.to_text(full=True).split("\n")))
        parts.append(f'<pre class="static told">{escape(told)}</pre>')
    return "\n".join(parts)


def _title(tree: Hierarchy, explanations: Sequence[Explanation]) -> str:
    if not explanations:
        return "A tree of classes"
    if len(explanations) == 1:
        return f"Why “{explanations[0].answer_name}”?"
    return f"{len(explanations):,} predictions, explained"


def _footer(explanations: Sequence[Explanation]) -> str:
    """How the answers came about, for whoever wants to check them."""
    scores = sorted({explanation.score for explanation in explanations})
    rules = sorted({explanation.rule for explanation in explanations})
    how = f" · rule {', '.join(rules)} · score {', '.join(scores)}" if explanations else ""
    return f"A neural-backed decision tree, shown by nbdt{how}"
