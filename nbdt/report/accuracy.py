"""How often the answers are right: by rule and score, and where they are right least often."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nbdt.evaluation import Evaluation, NodeAccuracy
from nbdt.evaluation.text import percent, percent_range
from nbdt.report.figures import Axis
from nbdt.report.markup import Content, Markup, element, join, node_name, section, table
from nbdt.report.measure import FEW

MOST = 10
"""How many nodes and classes are listed."""


def by_rule(evaluation: Evaluation) -> Markup:
    """The network beside the tree under each rule and score."""
    rows = evaluation.accuracy.rows
    axis = Axis.around([row.interval for row in rows])
    top5 = any(row.top5_accuracy is not None for row in rows)
    cells: list[list[Content]] = []
    for row in rows:
        own = (row.rule, row.score) == (evaluation.rule, evaluation.score)
        who = "the network itself" if row.rule is None else f"tree, {row.rule} {row.score}"
        cells.append(
            [
                join(who, element("span", "this report", class_="tag") if own else None),
                f"{row.correct:,} of {row.samples:,}",
                percent(row.accuracy),
                percent_range(row.interval),
                axis.bar(row.accuracy, row.interval),
                *([percent(row.top5_accuracy)] if top5 else []),
                "" if row.rule is None else percent(row.agreement),
            ]
        )
    headings: list[Content] = [
        *("answered by", "right", "accuracy", "95 % interval", axis.heading()),
        *(["among five likeliest"] if top5 else []),
        "same as network",
    ]
    return section(
        "accuracy",
        "Accuracy by rule and score",
        element(
            "p",
            "One network and one tree, read in four ways. Everything outside this table is about "
            f"the {evaluation.rule} rule and the {evaluation.score} score. All rows are of the "
            "same samples, so that intervals that overlap may still differ reliably.",
        ),
        table("The network and the tree, read in four ways", headings, cells),
    )


def weakest(evaluation: Evaluation) -> Markup:
    """The nodes and the classes that are right least often."""
    errors = {node: one.error for node, one in evaluation.calibration.nodes.items()}
    return section(
        "weakest",
        "The weakest decisions and classes",
        element(
            "p",
            f"Of those with {FEW} samples or more, as fewer prove little. A node is judged on the "
            "samples whose class lies under it, wherever the decisions above lead them; it is "
            "right when it takes the child towards the class.",
        ),
        element("h3", "Decisions"),
        _shares("Weakest decisions", evaluation.nodes, "calibration error",
                lambda share: percent(errors.get(share.node))),
        element("h3", "Classes"),
        _shares("Weakest classes", evaluation.classes, "right where answered",
                lambda share: percent(share.precision)),
    )  # fmt: skip


def ranked(shares: Sequence[NodeAccuracy]) -> list[NodeAccuracy]:
    """Those that are ever wrong, the weakest first; of less than `FEW` samples nothing is said.

    Example:
        >>> counts = [(0, "a", 1, 0), (1, "b", 90, 81), (2, "c", 90, 9)]
        >>> shares = [NodeAccuracy(*one) for one in counts]
        >>> [share.name for share in ranked(shares)]
        ['c', 'b']
    """
    judged = (share for share in shares if share.samples >= FEW and share.correct < share.samples)
    return sorted(judged, key=lambda share: (share.correct / share.samples, share.node))


def _shares(
    caption: str, shares: Sequence[NodeAccuracy], last: str, told: Callable[[NodeAccuracy], str]
) -> Markup:
    found = ranked(shares)
    listed = found[:MOST]
    if not listed:
        return element("p", f"None is ranked: {_unranked(shares)}.")
    axis = Axis.around([share.interval for share in listed if share.interval])
    rows: list[list[Content]] = [
        [
            node_name(share.node, share.name),
            f"{share.correct:,} of {share.samples:,}",
            percent(share.accuracy),
            percent_range(share.interval),
            axis.bar(share.accuracy, share.interval),
            told(share),
        ]
        for share in listed
        if share.accuracy is not None and share.interval is not None
    ]
    headings = ["name", "right", "accuracy", "95 % interval", axis.heading(), last]
    rest = _unranked(shares)
    ever = "is" if len(found) == 1 else "are"
    note = f"{len(listed)} of {len(found):,} that {ever} ever wrong{rest and f'; {rest}'}."
    return join(table(caption, headings, rows), element("p", note, class_="hint"))


def _unranked(shares: Sequence[NodeAccuracy]) -> str:
    """Which are not in the ranking; empty where all are."""
    counts = {
        ("is", "are", "always right"): sum(
            one.samples >= FEW and one.correct == one.samples for one in shares
        ),
        ("has", "have", f"fewer than {FEW} samples"): sum(0 < one.samples < FEW for one in shares),
        ("has", "have", "no sample"): sum(one.samples == 0 for one in shares),
    }
    told = [
        f"{count:,} {one if count == 1 else several} {what}"
        for (one, several, what), count in counts.items()
        if count
    ]
    return f"of all {len(shares):,}, {', '.join(told)}" if told else ""
