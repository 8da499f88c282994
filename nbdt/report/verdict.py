"""What a reader has to know first: how often the tree is right, and what to mind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nbdt.evaluation import AccuracyRow
from nbdt.evaluation.text import percent, percent_range
from nbdt.report.markup import Content, Markup, counted, element, join, name, section
from nbdt.report.measure import FEW, Measurement
from nbdt.report.origin import Origin
from nbdt.rules import keeps_network_answer
from nbdt.selective.calibration import fitted_to


def verdict(found: Measurement, origin: Origin) -> Markup:
    """The accuracy of tree and network in numbers and in words, and the caveats.

    Args:
        found: what was measured.
        origin: what model and data are called.
    """
    evaluation = found.evaluation
    tree = evaluation.accuracy.row(evaluation.rule, evaluation.score)
    network = evaluation.accuracy.network
    tiles = element(
        "dl",
        _tile("The tree is right", tree.accuracy, f"95 % interval {percent_range(tree.interval)}"),
        _tile(
            "The network is right",
            network.accuracy,
            f"95 % interval {percent_range(network.interval)}",
        ),
        _tile(
            "They answer the same",
            tree.agreement,
            f"{tree.agreeing:,} of {counted(tree.samples, 'sample')}, right or wrong",
        ),
        _tile(
            "Probabilities are off by",
            evaluation.calibration.answer.error,
            "expected calibration error of the answers",
        ),
        class_="tiles",
    )
    caveats = element(
        "ul", [element("li", one) for one in _caveats(found, origin)], class_="caveats"
    )
    return section(
        "verdict",
        "In short",
        element("p", _sentence(found, origin, tree, network), class_="lead"),
        tiles,
        element("h3", "To be kept in mind"),
        caveats,
    )


def _tile(term: str, share: float, note: str) -> Markup:
    return element(
        "div",
        element("dt", term),
        element("dd", element("strong", percent(share)), element("span", note)),
    )


def _sentence(
    found: Measurement, origin: Origin, tree: AccuracyRow, network: AccuracyRow
) -> Markup:
    evaluation = found.evaluation
    same = tree.correct == network.correct
    return join(
        f"Of {counted(tree.samples, 'image')} of ",
        name(origin.data),
        f", the tree names {tree.correct:,} rightly ({evaluation.rule} rule, {evaluation.score} "
        "score), and the network by itself ",
        "as many. " if same else f"{network.correct:,}. ",
        _by_construction(found),
    )


def _by_construction(found: Measurement) -> str:
    evaluation = found.evaluation
    keeps = keeps_network_answer(evaluation.rule, evaluation.score)
    if not keeps or evaluation.temperature.nodes:
        return ""
    return (
        "They are the same answers by construction, whatever the tree: under this rule and score "
        "its probabilities are the network’s own. What the tree adds is how each answer comes "
        "about."
    )


def _caveats(found: Measurement, origin: Origin) -> Iterator[Content]:
    classes = found.evaluation.classes
    said = found.model.provenance.get("data")
    trained = (
        join("The model says that its data were ", name(f"“{said}”"), ". ")
        if isinstance(said, str)
        else "The model does not say what data it was trained on. "
    )
    yield join(
        trained,
        "Nothing here can tell whether these images had a part in its training, or in the choice "
        "of its tree; if they had, every number in this report is too good.",
    )
    yield (
        "The 95 % intervals say how far chance may carry a share that was counted on so many "
        "samples. They hold for samples drawn like these, and say nothing of other sources."
    )
    unseen = sum(share.samples == 0 for share in classes)
    if unseen:
        yield (
            f"{unseen:,} of {len(classes):,} classes {'has' if unseen == 1 else 'have'} no sample: "
            "all that was measured of such a class is how often it was answered wrongly."
        )
    few = sum(0 < share.samples < FEW for share in classes)
    if few:
        yield (
            f"{few:,} {'class has' if few == 1 else 'classes have'} fewer than {FEW} samples: what "
            "is said of one of these is a hint at most."
        )
    counts = np.array([share.samples for share in classes if share.samples])
    if counts.max() >= 2 * counts.min():
        yield (
            f"Classes have from {counts.min():,} to {counts.max():,} samples; shares over all "
            "samples are mostly about the larger ones."
        )
    if found.left_out:
        yield (
            f"{len(found.left_out):,} of {len(found.data):,} images could not be read or answered "
            f"and {'is' if len(found.left_out) == 1 else 'are'} left out everywhere."
        )
    fitted = fitted_to(found.model)
    if fitted.get("fingerprint") == found.fingerprint:
        yield (
            "The model’s temperature was fitted to these very samples, so its calibration looks "
            "better here than it is."
        )
    elif fitted.get("data") == origin.data:
        yield (
            "The model’s temperature was fitted to data of this name; as far as to the same "
            "images, its calibration looks better here than it is."
        )
    stopping = found.stopping
    if stopping and stopping.calibration.fingerprint == found.fingerprint:
        yield (
            "The model was calibrated with these very samples, so what is said of its guarantee "
            "here is no test of it."
        )
