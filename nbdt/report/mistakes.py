"""Where mistakes are made: at which node, and what was taken for what."""

from __future__ import annotations

from nbdt.evaluation import Confusion, Evaluation
from nbdt.evaluation.text import percent
from nbdt.report.album import Album
from nbdt.report.markup import Content, Markup, counted, element, join, node_name, section, table

_DRAWN = element("span", "the share of all, drawn", class_="unseen")

MOST_NODES = 6
MOST_CONFUSIONS = 3  # of a node
MOST_PICTURES = 3  # of a confusion


def mistakes(evaluation: Evaluation, album: Album) -> Markup:
    """The costliest nodes with their confusions, and how far apart confused classes are."""
    found = evaluation.mistakes
    if not found.count:
        said = (
            "The one answer is right: there is nothing to show."
            if found.samples == 1
            else f"All {found.samples:,} answers are right: there is nothing to show."
        )
        return section("mistakes", "Where the paths part", element("p", said))
    nodes = found.nodes[:MOST_NODES]
    shown = sum(node.mistakes for node in nodes)
    intro = element(
        "p",
        "A mistake is made at the node where the path to the true class and the path to the answer "
        f"part. {_held(len(nodes), len(found.nodes))} {shown:,} of "
        f"{counted(found.count, 'mistake')} ({percent(shown / found.count)}). The pictures are the "
        "first of their kind in the data.",
    )
    cards = [
        element(
            "article",
            element(
                "h3",
                "At ",
                node_name(node.node, node.name),
                element(
                    "small", f"{counted(node.mistakes, 'mistake')}, {percent(node.share)} of all"
                ),
            ),
            element("ul", _confusions(evaluation, node.node, album), class_="confusions"),
        )
        for node in nodes
    ]
    return section(
        "mistakes",
        "Where the paths part",
        intro,
        element("div", cards, class_="cards"),
        _heights(evaluation),
    )


def _held(listed: int, nodes: int) -> str:
    if nodes == 1:
        return "One such node holds"
    return f"The {listed} costliest of {nodes:,} such nodes hold"


def _confusions(evaluation: Evaluation, node: int, album: Album) -> list[Markup]:
    own = [one for one in evaluation.mistakes.confusions if one.node == node]
    rest = sum(one.count for one in own[MOST_CONFUSIONS:])
    rows = [_confusion(one, album) for one in own[:MOST_CONFUSIONS]]
    if rest:
        rows.append(
            element(
                "li", f"{rest:,} in other ways" if rest > 1 else "1 in another way", class_="hint"
            )
        )
    return rows


def _confusion(confusion: Confusion, album: Album) -> Markup:
    pictures = [album.captioned(index) for index in confusion.examples[:MOST_PICTURES]]
    return element(
        "li",
        element(
            "p",
            element("strong", f"{confusion.count:,} ×", class_="times"),
            " ",
            node_name(confusion.true_child, confusion.true_child_name),
            " taken for ",
            node_name(confusion.taken_child, confusion.taken_child_name),
        ),
        element("div", pictures, class_="pictures") if any(pictures) else None,
    )


def _heights(evaluation: Evaluation) -> Markup:
    """How many mistakes part at nodes of each height."""
    found = evaluation.mistakes
    highest = len(found.by_height) - 1
    rows: list[list[Content]] = [
        [
            _told(height, highest),
            f"{count:,}",
            percent(count / found.count),
            _bar(count / found.count),
        ]
        for height, count in enumerate(found.by_height)
        if height
    ]
    return join(
        element("h3", "How far apart the classes are that were confused"),
        element(
            "p",
            "The height of a node is the number of decisions from it down to its deepest class. "
            "A mistake at a low node is one between classes that the tree holds to be alike. "
            f"The mean height of a mistake is {found.mean_height:.2f}; heights depend on the tree, "
            "so compare networks on one tree only.",
        ),
        element(
            "div",
            table("Mistakes by height", ["height", "mistakes", "of all", _DRAWN], rows),
            class_="narrow",
        ),
    )


def _told(height: int, highest: int) -> str:
    return f"{height} (the whole tree)" if height == highest else str(height)


def _bar(share: float) -> Markup:
    return element(
        "svg",
        element("rect", class_="rail", width=150, height=8, rx=4),
        element("rect", class_="part", width=150 * share, height=8, rx=4),
        class_="share",
        viewBox="0 0 150 8",
        width=150,
        height=8,
        aria_hidden="true",
    )
