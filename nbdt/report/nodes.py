"""The tree to look around in: what was measured of each node, and its typical samples."""

from __future__ import annotations

from nbdt.evaluation import Evaluation, NodeAccuracy
from nbdt.evaluation.prototypes import KINDS
from nbdt.evaluation.text import percent, percent_range
from nbdt.report.accuracy import MOST, ranked
from nbdt.report.album import Album
from nbdt.view.html import NodeDetails, Prototype

MOST_OF_A_KIND = 2


def node_details(evaluation: Evaluation, album: Album) -> dict[int, NodeDetails]:
    """What the page says of each node, with pictures for as many nodes as there may be.

    The weakest decisions get pictures first, then the nodes that most samples pass; every one of
    them a picture of each kind before any gets a second one.
    """
    pictures: dict[int, dict[tuple[int, int], Prototype]] = {}
    for rank in range(MOST_OF_A_KIND):
        for node in _by_importance(evaluation):
            for place, kind in enumerate(KINDS):
                found = evaluation.prototypes.of(node, kind)[rank : rank + 1]
                for one in found:
                    address = album.address(one.index)
                    if address is None:
                        break
                    taken = evaluation.hierarchy.name(one.child)
                    is_own = kind != "astray" and node < evaluation.hierarchy.num_classes
                    to = "" if is_own else f" → {taken}"
                    told = f"{kind}: {album.class_name(one.index)}{to}, {percent(one.probability)}"
                    pictures.setdefault(node, {})[place, rank] = Prototype(address, told)
    return {
        share.node: _details(evaluation, share, pictures.get(share.node, {}))
        for share in (*evaluation.classes, *evaluation.nodes)
    }


def _by_importance(evaluation: Evaluation) -> list[int]:
    first = [share.node for share in ranked(evaluation.nodes)[:MOST]]
    rest = sorted(
        (*evaluation.nodes, *evaluation.classes),
        key=lambda share: (-share.samples, -share.node),
    )
    return list(dict.fromkeys([*first, *(share.node for share in rest if share.samples)]))


def _details(
    evaluation: Evaluation, share: NodeAccuracy, pictures: dict[tuple[int, int], Prototype]
) -> NodeDetails:
    facts = {}
    if share.interval:
        facts["95 % interval"] = percent_range(share.interval)
    if share.node in evaluation.calibration.nodes:
        error = evaluation.calibration.nodes[share.node].error
        facts["Calibration error"] = percent(error)
    if share.answered is not None:
        facts["Times answered"] = f"{share.answered:,}"
        if share.precision is not None:
            facts["Right where answered"] = percent(share.precision)
    return NodeDetails(
        accuracy=share.accuracy,
        samples=share.samples,
        facts=facts,
        prototypes=tuple(pictures[place] for place in sorted(pictures)),
    )
