"""How often each class is answered correctly, and each node decides correctly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdt.evaluation.intervals import wilson_interval
from nbdt.evaluation.measure import Measure, Result, Section, TextOptions, measure
from nbdt.evaluation.tables import INTERVAL, Record, aligned, percent, percent_range, short
from nbdt.rules import Predictions


@dataclass(frozen=True)
class NodeAccuracy(Record):
    """How often one class or inner node is right.

    A class is judged on its own samples: whether the tree answers the class. An inner node is
    judged on the samples whose class lies under it: whether its decision takes the child towards
    that class, wherever the decisions above it lead.

    Attributes:
        samples: how many samples it is judged on; may be 0.
        answered: for a class, how often it is answered, correctly or not; None for an inner node.

    Example:
        >>> share = NodeAccuracy(3, "animal", samples=50, correct=48)
        >>> share.accuracy, [round(bound, 3) for bound in share.interval]
        (0.96, [0.865, 0.989])
    """

    derived = ("accuracy", "interval", "precision")
    node: int
    name: str
    samples: int
    correct: int
    answered: int | None = None

    @property
    def accuracy(self) -> float | None:
        """The share of samples on which it is right; None without samples."""
        return self.correct / self.samples if self.samples else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the accuracy, by `wilson_interval`; None without samples."""
        return wilson_interval(self.correct, self.samples) if self.samples else None

    @property
    def precision(self) -> float | None:
        """For a class, the share of its answers that are correct; None without answers."""
        return self.correct / self.answered if self.answered else None

    def to_dict(self) -> dict[str, Any]:
        """The counts and what follows from them; `answered` and `precision` for classes only."""
        document = super().to_dict()
        if self.answered is None:
            del document["answered"], document["precision"]
        return document


@dataclass(frozen=True)
class NodeAccuracies(Result):
    """The accuracy of each class, in the classifier's order, and each inner node, the root last."""

    classes: tuple[NodeAccuracy, ...]
    nodes: tuple[NodeAccuracy, ...]

    def to_dict(self) -> dict[str, Any]:
        """All accuracies as values that JSON can hold."""
        return {
            "by_class": [share.to_dict() for share in self.classes],
            "by_node": [share.to_dict() for share in self.nodes],
        }

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The least accurate nodes and classes, of those that are ever wrong."""
        for order, kind, kinds, shares, full in (
            (10, "node", "Nodes", self.nodes, False),
            (30, "class", "Classes", self.classes, True),
        ):
            wrong = sorted(
                (share for share in shares if share.correct < share.samples),
                key=lambda share: (share.correct / share.samples, share.node),
            )
            cells = [
                (
                    short(share.name),
                    f"{share.correct}/{share.samples}",
                    percent(share.accuracy),
                    percent_range(share.interval),
                )
                for share in wrong[: options.most]
            ]
            if cells:
                title = options.title(f"{kinds} that are wrong most often", len(wrong))
                table = aligned((kind, "correct", "accuracy", INTERVAL), cells)
                yield Section(order, [title, *table], full)


@measure("shares", order=1, at_top=True)
class NodeAccuracyCounter(Measure[NodeAccuracies]):
    """Counts how often each class and each inner node is right."""

    def start(self) -> None:
        """Sets all counts to zero."""
        # By node: on how many samples it is judged and right, and how often a class is answered.
        self._counts = np.zeros((3, len(self.hierarchy)), dtype=np.int64)

    def update(self, batch: Predictions) -> None:
        """Counts a batch."""
        path, labels, answers = batch.true_path, batch.labels, batch.answers
        for row, nodes in enumerate(
            (
                np.append(path.nodes, labels),
                np.append(path.nodes[path.right], labels[labels == answers]),
                answers,
            )
        ):
            self._counts[row] += np.bincount(nodes, minlength=len(self.hierarchy))

    def merge(self, other: NodeAccuracyCounter) -> None:
        """Adds the counts of another one."""
        self._counts += other._counts

    def compute(self) -> NodeAccuracies:
        """The accuracies so far."""
        tree, first = self.hierarchy, self.hierarchy.num_classes
        shares = [
            NodeAccuracy(
                node, tree.name(node), samples, correct, answered if node < first else None
            )
            for node, (samples, correct, answered) in enumerate(self._counts.T.tolist())
        ]
        return NodeAccuracies(tuple(shares[:first]), tuple(shares[first:]))
