"""HTML made of elements, in which every text is escaped unless it is `Markup` already.

Names come out of files and may be anything. They enter the report as text or as attributes of
elements made here, never as markup; what commands a terminal or turns a line around is written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nbdt.hierarchy.text import one_line

_EMPTY = {"img", "br", "rect", "line", "circle", "path", "polyline"}


class Markup(str):
    """Text that is HTML: what `element` makes, and takes in as it is."""

    __slots__ = ()


Content = str | None | Sequence["Content"]
"""What stands in an element: texts, elements, nothing, or several of these."""


def element(tag: str, *children: Content, **attributes: str | float | None) -> Markup:
    """An element of HTML or SVG.

    Args:
        tag: its name.
        children: what stands in it; texts are escaped.
        attributes: those that are None are left out; ``class_`` is written ``class``, and ``_``
            within a name ``-``.

    Example:
        >>> element("p", "a < b ", element("b", "&"), class_="number", aria_label='"')
        '<p class="number" aria-label="&quot;">a &lt; b <b>&amp;</b></p>'
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _EMPTY:
        return Markup(f"<{tag}{written}/>")
    return Markup(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: Content) -> Markup:
    """Several texts and elements, one after the other.

    Example:
        >>> join("<", [element("b", "x"), None])
        '&lt;<b>x</b>'
    """
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(_readable(child), quote=False))
        elif child is not None:
            parts.append(join(*child))
    return Markup("".join(parts))


def name(text: str) -> Markup:
    """A name set apart, so that one written from right to left does not turn the text around it.

    Example:
        >>> name("cat")
        '<bdi>cat</bdi>'
    """
    return element("bdi", one_line(text))


def node_name(node: int, text: str) -> Markup:
    """The name of a node that shows the node in the tree to look around in; see `page`.

    Example:
        >>> node_name(7, "cat")
        '<a href="#view" data-node="7"><bdi>cat</bdi></a>'
    """
    return element("a", name(text), href="#view", data_node=str(node))


def counted(number: int, noun: str, several: str | None = None) -> str:
    """How many there are of something.

    Args:
        number: how many.
        noun: what one is called.
        several: what several are called; by default the noun with an s.

    Example:
        >>> counted(1, "class", "classes"), counted(1200, "sample")
        ('1 class', '1,200 samples')
    """
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def section(key: str, title: str, *children: Content) -> Markup:
    """A part of the report, with its heading.

    Example:
        >>> section("tree", "The tree", "…")
        '<section id="tree" aria-labelledby="tree-title"><h2 id="tree-title">The tree</h2>…</section>'
    """  # noqa: E501
    heading = element("h2", title, id=f"{key}-title")
    return element("section", heading, *children, id=key, aria_labelledby=f"{key}-title")


def facts(*pairs: tuple[str, Content]) -> Markup:
    """Terms and what is said of them; those of which nothing is said are left out.

    Example:
        >>> facts(("Rule", "soft"), ("Author", None))
        '<dl class="facts"><div><dt>Rule</dt><dd>soft</dd></div></dl>'
    """
    rows = [
        element("div", element("dt", term), element("dd", said))
        for term, said in pairs
        if said not in (None, "")
    ]
    return element("dl", rows, class_="facts")


def table(
    caption: str, headings: Sequence[Content], rows: Sequence[Sequence[Content]], *, words: int = 1
) -> Markup:
    """A table whose rows are headed by their first cell; where it is too wide it can be scrolled.

    Args:
        caption: what it is about, for who does not see it.
        headings: what stands over the columns.
        rows: the cells of each row.
        words: how many columns, from the left, hold words; the others are numbers, on the right.

    Example:
        >>> table("Nodes", ["node", "right"], [["animal", "7"]]).count('class="number"')
        2
    """

    def cell(tag: str, place: int, content: Content, scope: str | None = None) -> Markup:
        return element(tag, content, scope=scope, class_=None if place < words else "number")

    head = [cell("th", place, one, "col") for place, one in enumerate(headings)]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [cell("td", place, one) for place, one in enumerate(row) if place],
        )
        for row in rows
    ]
    inside = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", element("tr", head)),
        element("tbody", body),
    )
    # What can be scrolled has to be reachable by keyboard.
    return element("div", inside, class_="wide", tabindex="0", role="region", aria_label=caption)


def more(title: Content, *children: Content) -> Markup:
    """What is shown when it is asked for.

    Example:
        >>> more("Why", "…")
        '<details><summary>Why</summary>…</details>'
    """
    return element("details", element("summary", title), *children)


def _text(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return _readable(str(value))


def _readable(text: str) -> str:
    """The text, each of its lines as `one_line` gives it."""
    return "\n".join(map(one_line, text.split("\n")))
