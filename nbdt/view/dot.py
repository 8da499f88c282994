"""A tree or an explanation in the language of Graphviz, and Graphviz's own pictures of it."""

from __future__ import annotations

from typing import Literal, get_args

import graphviz

from nbdt.errors import InputError, MissingDependencyError
from nbdt.explain import Explanation, percent
from nbdt.hierarchy import Hierarchy
from nbdt.view.assets import LIGHT
from nbdt.view.folding import Folded, Item, fold
from nbdt.view.marks import Role

Format = Literal["svg", "png", "pdf"]

_BOX = {"shape": "box", "style": "rounded,filled", "color": LIGHT["tint"]}
_BOX["fillcolor"] = _BOX["color"]


def _colors(name: str) -> dict[str, str]:
    return {"color": LIGHT[name], "fillcolor": LIGHT[f"{name}-tint"], "fontcolor": LIGHT[name]}


_PATH, _RIVAL = {"color": LIGHT["path"]}, {"color": LIGHT["rival"], "style": "dashed"}
_ANSWER = {**_PATH, "fillcolor": LIGHT["path"], "fontcolor": LIGHT["on-path"]}
_BEYOND = {**_PATH, "style": "rounded,dashed", "fontcolor": LIGHT["muted"]}
_RIVAL_BOX = {**_colors("rival"), "style": "rounded,filled,dashed"}
# The sign of each role, the looks of its nodes and those of the branches to them.
_LOOKS: dict[Role, tuple[str, dict[str, str], dict[str, str]]] = {
    "path": ("▶ ", _colors("path"), _PATH),
    "answer": ("✓ ", _ANSWER, _PATH),
    "beyond": ("· ", _BEYOND, {**_PATH, "style": "dotted"}),
    "rival": ("▷ ", _RIVAL_BOX, _RIVAL),
    "runner_up": ("▷ ", _RIVAL_BOX, _RIVAL),
    "other": ("", {}, {}),
}


def to_graphviz(
    subject: Hierarchy | Explanation,
    explanation: Explanation | None = None,
    *,
    folded: Folded = "auto",
    orientation: Literal["horizontal", "vertical"] = "vertical",
) -> graphviz.Digraph:
    r"""Draws a tree, or an explanation, as a graph for Graphviz.

    If only a tree is drawn, the known support of its groups stands behind their names; see
    `nbdt.hierarchy.support`. The graph's nodes are called ``n`` with the node's id, or ``rest``
    with their parent's.

    Args:
        subject: the tree; or an explanation, which alone is drawn as its path with the siblings.
        folded: the inner nodes that are drawn closed; see `nbdt.view.fold`.
        orientation: whether the tree grows down or to the right.
    """
    if orientation not in ("horizontal", "vertical"):
        raise InputError(f"orientation must be horizontal or vertical; got {orientation!r:.60}.")
    graph = graphviz.Digraph(
        "tree",
        graph_attr={
            "rankdir": "TB" if orientation == "vertical" else "LR",
            "ordering": "out",
            "bgcolor": LIGHT["surface"],
            "nodesep": "0.12",
            "ranksep": "0.45",
        },
        node_attr={
            **{"shape": "plaintext", "fontname": "Helvetica,Arial,sans-serif", "fontsize": "11"},
            **{"fontcolor": LIGHT["text"], "height": "0.3", "margin": "0.12,0.05"},
        },
        edge_attr={"arrowhead": "none", "color": LIGHT["line"], "penwidth": "1"},
    )
    items = fold(subject, explanation, folded=folded).items
    for item in items:
        boxed = item.kind in ("open", "folded") or item.role != "other"
        sign, node_looks, edge_looks = _LOOKS[item.role]
        looks = {**(_BOX if boxed else {}), **node_looks}
        graph.node(_name(item, items), _label(item, sign), **looks)
        if item.parent >= 0:
            edge = dict(edge_looks)
            if item.probability is not None:
                edge["penwidth"] = f"{1 + 5 * item.probability:.2f}"
            graph.edge(_name(items[item.parent], items), _name(item, items), **edge)
    return graph


def render(graph: graphviz.Digraph, format: Format = "svg") -> bytes:  # noqa: A002
    """The picture that Graphviz draws of a graph; needs the program ``dot``."""
    if format not in get_args(Format):
        raise InputError(f"format must be svg, png or pdf; got {format!r:.60}.")
    try:
        return bytes(graph.pipe(format=format))
    except graphviz.ExecutableNotFound:
        raise MissingDependencyError(
            "the program dot, which draws this picture, is not installed: install Graphviz "
            "(graphviz.org/download), or use nbdt.view.to_svg, which needs no other program."
        ) from None
    except graphviz.CalledProcessError as error:
        message = (error.stderr or b"").decode(errors="replace").strip()
        raise InputError(f"Graphviz could not draw the graph: {message[:300]}") from None


def _name(item: Item, items: tuple[Item, ...]) -> str:
    return f"rest{items[item.parent].node}" if item.kind == "rest" else f"n{item.node}"


def _label(item: Item, sign: str) -> str:
    """The label: graphviz reads backslashes and <…> as commands unless they are escaped."""
    said = sign + item.name
    if item.kind == "folded":
        said = f"▸ {said} ({item.classes:,} classes)"
    if item.kind == "rest":
        said = f"… {said}"
    if item.probability is not None:
        said += f"  {percent(item.probability)}"
    if item.support:
        said += f"  {item.support}"
    # Not a plain str: graphviz marks it as no HTML.
    escaped: str = graphviz.escape(said)
    return escaped
