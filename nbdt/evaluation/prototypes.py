"""The samples that show what a node decides: confident, borderline and misrouted ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nbdt.errors import InputError
from nbdt.evaluation.measure import Extremes, Measure, Result, measure
from nbdt.evaluation.tables import Record
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import Predictions

Kind = Literal["confident", "borderline", "misrouted"]
KINDS: tuple[Kind, ...] = ("confident", "borderline", "misrouted")


@dataclass(frozen=True)
class Prototype(Record):
    """One sample that passes a node, and the child taken there with its probability.

    For a class these are the class answered and its soft probability.
    """

    index: int
    child: int
    probability: float


@dataclass(frozen=True, eq=False)
class Prototypes(Result):
    """For every node, the samples that show what it decides.

    At an inner node these are samples whose class lies under it. *Confident* ones take the child
    towards their class with the largest margin over its nearest sibling, *borderline* ones take it
    with the smallest, and *misrouted* ones take another child, those with the largest margin first.
    At a class they are its own samples, by the margin of the closest decision on the path to it;
    misrouted ones get another answer.

    By kind, each array has shape (nodes, k): the indices of the samples (−1 where there are no
    more), and what `Prototype` says of each.
    """

    hierarchy: Hierarchy
    samples: dict[Kind, IntArray]
    children: dict[Kind, IntArray]
    probabilities: dict[Kind, FloatArray]

    def of(self, node: Node, kind: Kind) -> tuple[Prototype, ...]:
        """The prototypes of one kind of an inner node or a class, by id or name."""
        (found,) = node_ids(self.hierarchy, [node])
        if kind not in KINDS:
            raise InputError(f"prototypes are {', '.join(KINDS)}; got {kind!r:.80}.")
        return tuple(self._row(found, kind))

    def _row(self, node: int, kind: Kind) -> Iterator[Prototype]:
        for index, child, probability in zip(
            self.samples[kind][node].tolist(),
            self.children[kind][node].tolist(),
            self.probabilities[kind][node].tolist(),
            strict=True,
        ):
            if index >= 0:
                yield Prototype(index, child, probability)

    def to_dict(self) -> dict[str, Any]:
        """The prototypes by node id, of the nodes that have some, as values for JSON."""
        document = {}
        for node in range(len(self.hierarchy)):
            kinds = {kind: [one.to_dict() for one in self._row(node, kind)] for kind in KINDS}
            if any(kinds.values()):
                document[str(node)] = kinds
        return document

    def examples(self) -> Iterable[int]:
        """All prototypes."""
        for indices in self.samples.values():
            yield from indices[indices >= 0].tolist()


@measure("prototypes", order=5)
class PrototypeFinder(Measure[Prototypes]):
    """Finds prototypes; k is `examples`. Memory: 96 bytes × k × nodes."""

    def start(self) -> None:
        """Sets all counts to zero."""
        columns = {"sample": -1, "child": -1, "probability": np.nan}
        self._found = {
            kind: Extremes(len(self.hierarchy), self.examples, columns) for kind in KINDS
        }

    def update(self, batch: Predictions) -> None:
        """Looks through a batch."""
        path, labels, size = batch.true_path, batch.labels, len(batch)
        # A class is passed by its own samples, with the closest decision on the path to it.
        nodes = np.append(path.nodes, labels)
        margins = np.append(path.margins, path.least_margins(size))
        right = np.append(path.right, batch.answers == labels)
        columns = {
            "sample": batch.indices[np.append(path.samples, np.arange(size))],
            "child": np.append(path.taken, batch.answers),
            "probability": np.append(np.minimum(path.confidences, 1), batch.answer_probabilities),
        }
        choices = (right, margins), (right, -margins), (~right, -margins)
        for kind, (chosen, keys) in zip(KINDS, choices, strict=True):
            some = {name: values[chosen] for name, values in columns.items()}
            self._found[kind].update(nodes[chosen], keys[chosen], **some)

    def merge(self, other: PrototypeFinder) -> None:
        """Keeps the more telling samples of both."""
        for kind, found in self._found.items():
            found.merge(other._found[kind])

    def compute(self) -> Prototypes:
        """The prototypes so far."""
        samples, children, probabilities = (
            {kind: found.columns[name].copy() for kind, found in self._found.items()}
            for name in ("sample", "child", "probability")
        )
        return Prototypes(self.hierarchy, samples, children, probabilities)
