"""One HTML file: the data, the script that shows it, and what is read where scripts are blocked."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.view.assets import TOKENS, read_asset, templates
from nbdt.view.html.data import NodeDetails, as_json, checked, page_data
from nbdt.view.svg.pictures import Picturable

# Without scripts the whole tree stands on the page at once, so it has to end somewhere.
STATIC_LINES = 200

# In the order of what each builds on.
_SCRIPTS = ("elements", "tree", "summary", "outline", "map", "details", "search", "mount")


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

    The file needs nothing else, and its content security policy keeps it from loading anything, so
    it can be mailed and opened anywhere. It shows the predictions with their decisions, the tree as
    an outline that folds and as a map that zooms, and the classes, decision, name source and
    details of the selected node. It works by keyboard, with a screen reader, on paper and, as text
    alone, where scripts are blocked.

    Args:
        tree: the tree; of a model, its `hierarchy`. For an explanation without its tree use
            `to_svg` or `to_text`.
        explanations: one, several to choose from, or none; all made with this tree.
        images: the image of each explanation, or None; made small.
        captions: what each explanation is of, such as a file name.
        title: the heading; by default it says what the page holds.
        details: what else is known of single nodes, such as accuracy and typical samples.

    Raises:
        InputError: `tree` is not a tree, an explanation belongs to another one, or the images or
            captions differ in number from the explanations.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "<b>car", "animal", "thing"])
        >>> page = to_html(tree, title="Three classes")
        >>> page.startswith("<!DOCTYPE html>"), "<b>" in page
        (True, False)
    """
    given = checked(tree, explanations)
    if not title:
        title = f"{len(given):,} predictions, explained" if given else "A tree of classes"
        if len(given) == 1:
            title = f"Why “{given[0].answer_name}”?"
    return render_page(
        templates().get_template("view.html"),
        title=title,
        data=page_data(tree, given, images=images, captions=captions, details=details),
        tree=tree,
        explanations=given,
        captions=captions,
        most_lines=STATIC_LINES,
    )


def render_page(
    template: Template,
    *,
    title: str,
    data: Mapping[str, Any],
    more_styles: Sequence[str] = (),
    **context: Any,
) -> str:
    """A whole HTML file from a template that extends base.html and has an element ``view``.

    Args:
        template: the template.
        title: the title, as plain text.
        data: what the script shows in the element with the id ``view``; see `page_data`.
        more_styles: style sheets to follow the page's own.
        **context: what else the template needs.
    """
    styles = [style(), *more_styles]
    return template.render(
        policy=Markup(content_security_policy(styles, [script()])),
        title=title,
        styles=map(Markup, styles),
        data=Markup(as_json(data)),
        script=Markup(script()),
        **context,
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
    """The style sheet of all pages: tokens.css and page.css."""
    return f"{TOKENS}\n{read_asset('html/page.css')}"


@cache
def script() -> str:
    """The script of the page, which defines ``nbdt.mount(element, data)``: the files of script/."""
    parts = "\n".join(read_asset(f"html/script/{name}.js") for name in _SCRIPTS)
    # In a function of its own, so that it shares no names with other scripts of the page.
    return f'const nbdt = (() => {{\n"use strict";\n\n{parts}\nreturn {{ mount }};\n}})();\n'
