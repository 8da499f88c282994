"""What the templates say of a model, its accuracy and its data, as values ready to be written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from torch import nn

from nbdt.classifiers import Adapter
from nbdt.data import LabelledSamples
from nbdt.evaluation import Evaluation, NodeAccuracy
from nbdt.evaluation.fitting import fitted_to
from nbdt.evaluation.tables import percent
from nbdt.hierarchy import Hierarchy
from nbdt.inputs import Input
from nbdt.report.figures import Axis
from nbdt.report.measure import FEW, Measurement
from nbdt.report.samples import file_of, ranked
from nbdt.rules import get_rule, keeps_network_answer

MOST = 10
"""How many nodes and classes are listed."""

ENOUGH = 100
"""On fewer samples a calibration error is mostly chance."""

_DIAGRAMS = 3  # how many nodes have one
_LONGEST = 20_000  # characters of what a model records about its making
_LISTED = 50  # samples that are named as left out


def about(found: Measurement) -> dict[str, Any]:
    """The facts about the model, its training and its tree, and about the data."""
    model, tree = found.model, found.model.hierarchy
    names = Counter(_naming(tree, node) for node in tree.inner)
    text = json.dumps(model.provenance, indent=1, ensure_ascii=False) if model.provenance else ""
    return {
        "builder": model.builder.name if model.builder else _kind(model.network),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "deepest": int(tree.depths.max()),
        "naming": "; ".join(f"{count:,} {source}" for source, count in names.most_common()),
        "preprocessing": _preprocessing(found.data.preprocessing),
        "training": list(_training(model.provenance)),
        "provenance": text if len(text) <= _LONGEST else text[:_LONGEST] + "\n…",
        "left_out": [
            (index, _without_folders(found.data, index, reason))
            for index, reason in islice(found.left_out.items(), _LISTED)
        ],
    }


def _kind(network: nn.Module) -> str:
    return type(network.model if isinstance(network, Adapter) else network).__name__


def _preprocessing(reader: Input | None) -> str:
    text = "none" if reader is None else json.dumps(reader.to_config(), ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _naming(tree: Hierarchy, node: int) -> str:
    if not tree.names[node]:
        return "by their classes, having no name of their own"
    source = tree.attributes(node).get("name_source")
    known = {
        None: "by the author of the tree",
        "taxonomy": "after the nearest concept of a taxonomy",
        "leaves": "after some of their classes",
    }
    return known.get(source, f"by {source}")


def _training(provenance: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the model records about its training, as `nbdt.training` notes it."""
    noted = provenance.get("training")
    config = noted.get("config") if isinstance(noted, dict) else None
    if not isinstance(noted, dict) or not isinstance(config, dict):
        yield "Tuned to the tree", "not by nbdt train, as far as the model records"
        return
    for key in ("loss", "score", "tree_weight", "epochs", "learning_rate", "seed"):
        if config.get(key) is not None:
            yield key.replace("_", " ").capitalize(), str(config[key]).replace("_", " ")
    accuracy = noted.get("accuracy")
    for way, share in accuracy.items() if isinstance(accuracy, dict) else ():
        if isinstance(share, float) and 0 <= share <= 1:
            yield f"Accuracy then, {way}", percent(share)


def _without_folders(data: LabelledSamples, index: int, reason: str) -> str:
    """The reason with the name of the sample's file for its path; see `Album.sample_name`."""
    path = file_of(data, index)
    return reason if path is None else reason.replace(str(path), path.name)


def accuracy(evaluation: Evaluation) -> dict[str, Any]:
    """How often the answers are right, and where they are right least often."""
    calibration = evaluation.calibration
    errors = {node: one.error for node, one in calibration.nodes.items()}
    often = [node for node, one in calibration.nodes.items() if int(one.samples.sum()) >= ENOUGH]
    return {
        "own": evaluation.accuracy.row(evaluation.rule, evaluation.score),
        "network": evaluation.accuracy.network,
        "same_by_construction": keeps_network_answer(evaluation.rule, evaluation.score)
        and not evaluation.temperature.nodes,
        "may_stop": get_rule(evaluation.rule).ranks_classes,
        "weakest_nodes": Ranking.of(evaluation.nodes),
        "weakest_classes": Ranking.of(evaluation.classes),
        "miscalibrated": sorted(often, key=lambda node: (-errors[node], node))[:_DIAGRAMS],
        "node_error": lambda share: errors.get(share.node),
        "precision": lambda share: share.precision,
    }


@dataclass(frozen=True)
class Ranking:
    """The weakest of some nodes or classes.

    Attributes:
        rows: the weakest, the least accurate first, at most `MOST`.
        wrong: how many are ever wrong.
        axis: of the bars of their intervals; None where there are no rows.
        unranked: which are not ranked, in words.
    """

    rows: Sequence[NodeAccuracy]
    wrong: int
    axis: Axis | None
    unranked: str

    @classmethod
    def of(cls, shares: Sequence[NodeAccuracy]) -> Ranking:
        """The ranking of these."""
        found = ranked(shares)
        rows = found[:MOST]
        axis = Axis.around([one.interval for one in rows if one.interval]) if rows else None
        right = sum(one.samples >= FEW and one.correct == one.samples for one in shares)
        few = sum(0 < one.samples < FEW for one in shares)
        none = sum(one.samples == 0 for one in shares)
        unranked = ", ".join(
            f"{count:,} {one if count == 1 else several} {what}"
            for count, one, several, what in (
                (right, "is", "are", "always right"),
                (few, "has", "have", f"fewer than {FEW} samples"),
                (none, "has", "have", "no sample"),
            )
            if count
        )
        told = f"of all {len(shares):,}, {unranked}" if unranked else ""
        return cls(rows, len(found), axis, told)


@dataclass(frozen=True)
class Caveats:
    """What a reader has to know before believing the numbers.

    Attributes:
        trained_on: what the model says of its data; None where it says nothing.
        unseen: how many classes have no sample.
        few: how many have some, but fewer than `FEW`.
        fewest: the smallest number of samples of a class that has any; `most` the largest.
        fitted: whether the temperature was fitted to these "samples", or to data of this "name".
        calibrated_here: whether the guarantee was calibrated with these samples.
    """

    trained_on: str | None
    unseen: int
    few: int
    fewest: int
    most: int
    fitted: Literal["samples", "name"] | None
    calibrated_here: bool

    @classmethod
    def of(cls, found: Measurement, data: str) -> Caveats:
        """Those of what was measured on data of that name."""
        counts = [share.samples for share in found.evaluation.classes]
        seen = [count for count in counts if count]
        noted, fitted = found.model.provenance.get("data"), fitted_to(found.model)
        how: Literal["samples", "name"] | None = "name" if fitted.get("data") == data else None
        if fitted.get("fingerprint") == found.fingerprint:
            how = "samples"
        calibrated_on = found.stopping.calibration.fingerprint if found.stopping else None
        return cls(
            trained_on=noted if isinstance(noted, str) else None,
            unseen=len(counts) - len(seen),
            few=sum(count < FEW for count in seen),
            fewest=min(seen),
            most=max(seen),
            fitted=how,
            calibrated_here=calibrated_on == found.fingerprint,
        )
