"""The samples of a report: which are shown, by rules that it states, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from nbdt.attribution import attribute
from nbdt.data import LabelledImages, LabelledSamples
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation import Evaluation, NodeAccuracy
from nbdt.evaluation.prototypes import KINDS, Kind
from nbdt.evaluation.tables import percent, percent_range
from nbdt.explain import Decision, Explanation, explain_predictions
from nbdt.hierarchy.text import one_line
from nbdt.report.measure import FEW, Measurement
from nbdt.run import answers
from nbdt.view.evidence import Evidence, preview_data
from nbdt.view.html import NodeDetails, Prototype
from nbdt.view.svg.pictures import data_uri

SIZE = 64  # pixels of the page; twice as many are kept for screens that have them
EACH = 3
"""How many samples a group has at most."""

_CONFIDENT, _BORDERLINE, _MISROUTED = KINDS
_WORDS = dict(zip(KINDS, ("most confident", "borderline", "misrouted"), strict=True))
_MOST_OF_A_KIND = 2
_WEAKEST = 10  # how many of the weakest decisions get pictures first


class Album:
    """Gives pictures of samples until there are as many as the report may hold.

    `used` is how many were given, `characters` how long they are, all together.
    """

    def __init__(self, data: LabelledSamples, most: int) -> None:
        self.data = data
        self.most = most
        self.used = self.characters = 0
        self._addresses: dict[int, str] = {}

    def address(self, index: int) -> str | None:
        """The picture of a sample as a ``data:`` address; None when there are enough, or none."""
        if self.used == self.most or not isinstance(self.data, LabelledImages):
            return None
        if index not in self._addresses:
            self._addresses[index] = data_uri(self.data.image(index), SIZE)
        self.used += 1
        self.characters += len(self._addresses[index])
        return self._addresses[index]

    def addresses(self, indices: Iterable[int]) -> list[tuple[int, str]]:
        """Samples with their pictures, as many as there may be."""
        pairs = ((index, self.address(index)) for index in indices)
        return [(index, address) for index, address in pairs if address is not None]

    def class_name(self, index: int) -> str:
        """The name of a sample's class."""
        return one_line(self.data.classes[int(self.data.targets[index])])

    def sample_name(self, index: int) -> str:
        """What a sample is called: its place in the data, and its file if it has one.

        The folders of the file are left out: they say more of a machine than of a sample.
        """
        path = file_of(self.data, index)
        return f"sample {index}" if path is None else one_line(f"sample {index}, {path.name}")


def file_of(data: LabelledSamples, index: int) -> Path | None:
    """The file that a sample is; None for those in memory, or in a file with others."""
    paths: tuple[Path, ...] | None = getattr(data.source, "paths", None)
    return None if paths is None else paths[int(data.indices[index])]


@dataclass(frozen=True)
class Group:
    """Samples of one kind, how they were chosen, and once `explained`, with their explanations."""

    title: str
    rule: str
    indices: tuple[int, ...]
    explained: tuple[tuple[int, str | None, Explanation], ...] = ()


# The kinds of samples that follow those drawn at random, and whether the likeliest come first.
_GROUPS: tuple[tuple[str, str, Kind, bool], ...] = (
    ("Most confident, correct", "correct answer whose closest decision had the largest margin",
     _CONFIDENT, True),
    ("Borderline, correct", "correct answer whose closest decision had the smallest margin",
     _BORDERLINE, False),
    ("Most confident errors", "wrong answer furthest from the true path", _MISROUTED, True),
)  # fmt: skip


def choose(found: Measurement) -> list[Group]:
    """Samples drawn at random, and the most and least confident answers; no sample twice."""
    shown: set[int] = set()
    groups = []
    rule = "The first of the samples as shuffled with the seed 0, whatever was measured."
    choices = [("Drawn at random", rule, _at_random(found))]
    for title, which, kind, highest in _GROUPS:
        probability = "highest" if highest else "lowest"
        rule = f"Of each class the {which}; of these, those with the {probability} probability."
        choices.append((title, rule, _of_classes(found, kind, highest=highest)))
    for title, rule, candidates in choices:
        indices = tuple(islice((one for one in candidates if one not in shown), EACH))
        shown.update(indices)
        if indices:
            groups.append(Group(title, rule, indices))
    return groups


def _at_random(found: Measurement) -> Iterator[int]:
    # RandomState's numbers are promised to stay what they are.
    order = np.random.RandomState(0).permutation(len(found.data))
    return (index for index in order.tolist() if index not in found.left_out)


def _of_classes(found: Measurement, kind: Kind, *, highest: bool) -> Iterator[int]:
    """The first prototype of every class that has one, by probability and then by class."""
    prototypes = found.evaluation.prototypes
    leaves = range(found.model.hierarchy.num_classes)
    firsts = [(leaf, first) for leaf in leaves for first in prototypes.of(leaf, kind)[:1]]
    sign = -1 if highest else 1
    order = sorted((sign * first.probability, leaf, first.index) for leaf, first in firsts)
    return (index for _, _, index in order)


def explained(found: Measurement, group: Group, album: Album) -> Group:
    """The group with the pictures and explanations of its samples."""
    model = found.model
    run = answers(model, found.data.select(group.indices), on_failure="keep")
    explanations = [
        explanation
        for block in run
        for explanation in explain_predictions(
            model.predictions(block.logits, found.evaluation.rule), model.geometry()
        )
    ]
    if run.failures:
        raise InputError("; ".join(run.failures.values()))
    pictures = map(album.address, group.indices)
    triples = tuple(zip(group.indices, pictures, explanations, strict=True))
    return replace(group, explained=triples)


def shown_beside(found: Measurement, index: int, decision: Decision) -> dict[str, Any] | None:
    """A text or a row with what in it spoke for a decision; None for images and arrays alone."""
    model, data = found.model, found.data
    if isinstance(data, LabelledImages) or model.preprocessing is None:
        return None
    sample = data.source[int(data.indices[index])]
    shown: dict[str, Any] = preview_data(model.preprocessing.preview(sample))
    if not shown["texts"] and not shown["columns"]:
        return None
    with suppress(NBDTError):  # a model that attributes nothing, or lacks a package for it
        shown |= Evidence.of(attribute(model, sample, decision)).to_dict()
    return shown


def node_details(evaluation: Evaluation, album: Album) -> dict[int, NodeDetails]:
    """What the page says of each node, with pictures for as many nodes as there may be.

    The weakest decisions get pictures first, then the nodes that most samples pass; every one of
    them a picture of each kind before any gets a second one.
    """
    pictures: dict[int, dict[tuple[int, int], Prototype]] = {}
    order = _by_importance(evaluation)
    for rank, node, kind in product(range(_MOST_OF_A_KIND), order, KINDS):
        for one in evaluation.prototypes.of(node, kind)[rank : rank + 1]:
            if (address := album.address(one.index)) is None:
                break
            is_own = kind != _MISROUTED and node < evaluation.hierarchy.num_classes
            to = "" if is_own else f" → {evaluation.hierarchy.name(one.child)}"
            caption = f"{_WORDS[kind]}: {album.class_name(one.index)}{to}"
            shown = Prototype(address, f"{caption}, {percent(one.probability)}")
            pictures.setdefault(node, {})[KINDS.index(kind), rank] = shown
    return {
        share.node: _details(evaluation, share, pictures.get(share.node, {}))
        for share in (*evaluation.classes, *evaluation.nodes)
    }


def ranked(shares: Sequence[NodeAccuracy]) -> list[NodeAccuracy]:
    """Those with at least `FEW` samples that are ever wrong, the least accurate first."""
    judged = (share for share in shares if share.samples >= FEW and share.correct < share.samples)
    return sorted(judged, key=lambda share: (share.correct / share.samples, share.node))


def _by_importance(evaluation: Evaluation) -> list[int]:
    first = [share.node for share in ranked(evaluation.nodes)[:_WEAKEST]]
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
        facts["Calibration error"] = percent(evaluation.calibration.nodes[share.node].error)
    if share.answered is not None:
        facts["Times answered"] = f"{share.answered:,}"
        if share.precision is not None:
            facts["Precision"] = percent(share.precision)
    return NodeDetails(
        accuracy=share.accuracy,
        samples=share.samples,
        facts=facts,
        prototypes=tuple(pictures[place] for place in sorted(pictures)),
    )
