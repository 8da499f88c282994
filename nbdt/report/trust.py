"""Whether the probabilities mean what they say, and what a guarantee was worth."""

from __future__ import annotations

from nbdt.evaluation import Evaluation, Reliability
from nbdt.evaluation.text import percent, percent_range
from nbdt.hierarchy.text import one_line
from nbdt.report.figures import reliability_cells, reliability_diagram
from nbdt.report.markup import (
    Content,
    Markup,
    counted,
    element,
    facts,
    join,
    more,
    node_name,
    section,
    table,
)
from nbdt.report.measure import Measurement
from nbdt.rules import get_rule

ENOUGH = 100
"""On fewer samples a calibration error is mostly chance."""

MOST = 3
"""How many nodes have a diagram."""


def calibration(evaluation: Evaluation) -> Markup:
    """Reliability diagrams of the answers and of the worst nodes."""
    found = evaluation.calibration
    worst = sorted(
        (
            (-one.error, node)
            for node, one in found.nodes.items()
            if int(one.samples.sum()) >= ENOUGH
        ),
    )[:MOST]
    intro = element(
        "p",
        "Among answers given with 80 %, 80 % should be right. Samples are sorted by the "
        f"probability of their answer into {found.bins} bins of equal width; the expected "
        "calibration error is the mean distance from the diagonal, weighted by samples. Below the "
        "diagonal the model is surer than it is right. The error is never below 0, so a few "
        "samples make even a calibrated model look off. Here it is ",
        element("strong", percent(found.answer.error)),
        " for the answers and, on average over samples, ",
        element("strong", percent(found.node_error)),
        " for the decisions.",
    )
    diagrams = [_diagram("The answers", "the answers", found.answer)]
    for _, node in worst:
        called = evaluation.hierarchy.name(node)
        diagrams.append(_diagram(node_name(node, called), one_line(called), found.nodes[node]))
    if worst:
        rule = (
            f"Beside the answers, the {counted(len(worst), 'decision')} with the largest error "
            f"of those that at least {ENOUGH} samples pass."
        )
    else:
        rule = f"No decision is passed by {ENOUGH} samples, so none has a diagram of its own."
    return section(
        "calibration",
        "Do probabilities mean what they say?",
        intro,
        element("p", rule),
        element("div", diagrams, class_="diagrams"),
    )


def _diagram(title: Content, told: str, found: Reliability) -> Markup:
    samples = int(found.samples.sum())
    headings = ["probability", "samples", "mean", "right", "95 % interval"]
    return element(
        "figure",
        element(
            "figcaption",
            element("h3", title),
            element(
                "p", f"error {percent(found.error)}, {counted(samples, 'sample')}", class_="hint"
            ),
        ),
        reliability_diagram(found, told),
        more("As a table", table(f"Reliability of {told}", headings, reliability_cells(found))),
    )


def guarantee(found: Measurement) -> Markup:
    """What a calibrated model promised, and what it kept here."""
    title = "Stopping when unsure"
    stopping = found.stopping
    if stopping is None:
        said = "This model was not calibrated to stop when unsure, so it guarantees nothing."
        if not get_rule(found.evaluation.rule).ranks_classes:
            said = "Stopping when unsure goes with the soft rule; here nothing is guaranteed."
        return section("guarantee", title, element("p", said))
    share = f"{100 * stopping.guarantee:.6g} %"
    limit = "any" if stopping.threshold < 0 else f"above {stopping.threshold:.4f}"
    return section(
        "guarantee",
        title,
        element(
            "p",
            "The model was calibrated: it may answer with a group, such as “animal”, where it is "
            f"too unsure of a class. At least {share} of its answers are then to hold the true "
            "class: on average over calibrations and samples, if samples are drawn like those of "
            "calibration and those had no part in training. It promises nothing for a single "
            "class or sample.",
        ),
        facts(
            ("Promised", f"at least {share} of answers hold the true class"),
            (
                "Found here",
                join(
                    element("strong", percent(stopping.validity)),
                    f" ({stopping.valid:,} of {stopping.samples:,}; 95 % interval "
                    f"{percent_range(stopping.interval)})",
                ),
            ),
            ("Answers that are a class", percent(stopping.classes / stopping.samples)),
            (
                "Information kept, mean",
                f"{percent(stopping.information)}, where a class keeps all and the root nothing",
            ),
            ("Probability asked of an answer", limit),
            (
                "Calibrated with",
                f"{counted(stopping.calibration.samples, 'sample')}, "
                f"{stopping.calibration.wrong:,} of them predicted wrongly",
            ),
        ),
    )
