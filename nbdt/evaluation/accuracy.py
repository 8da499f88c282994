"""How accurate the network is, and the tree by each rule and score.

Both scores are always measured, side by side: which of them suits a network is not known before
(`logsumexp` keeps an untuned network's accuracy, `mean` needs a network tuned to its tree).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbdt.errors import InputError
from nbdt.evaluation.intervals import wilson_interval
from nbdt.evaluation.measure import Measure, Result, Section, TextOptions, measure
from nbdt.evaluation.tables import INTERVAL, Record, aligned, percent, percent_range, short
from nbdt.hierarchy import Hierarchy
from nbdt.rules import (
    RULE_SCORES,
    RULES,
    SCORES,
    Predictions,
    RuleName,
    ScoreName,
    TreeLayout,
    get_rule,
)

TOP = 5


@dataclass(frozen=True)
class AccuracyRow(Record):
    """The accuracy of the tree under one rule and score, or of the network, which has neither.

    Attributes:
        agreeing: how many answers are the network's, right or wrong.
        top5_correct: for how many samples the true class is among the five likeliest; None with at
            most five classes, and for a rule that does not rank the classes.
    """

    derived = ("accuracy", "interval", "top5_accuracy", "agreement")
    rule: RuleName | None
    score: ScoreName | None
    samples: int
    correct: int
    agreeing: int
    top5_correct: int | None = None

    @property
    def accuracy(self) -> float:
        """The share of correct answers."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by `wilson_interval`."""
        return wilson_interval(self.correct, self.samples)

    @property
    def top5_accuracy(self) -> float | None:
        """The share of samples whose true class is among the five likeliest, where defined."""
        return None if self.top5_correct is None else self.top5_correct / self.samples

    @property
    def agreement(self) -> float:
        """The share of answers that are the network's."""
        return self.agreeing / self.samples

    def _cells(self) -> tuple[str, ...]:
        return (
            self.rule or "network",
            self.score or "",
            f"{self.correct}/{self.samples}",
            percent(self.accuracy),
            percent_range(self.interval),
            "" if self.top5_accuracy is None else percent(self.top5_accuracy),
            "" if self.rule is None else percent(self.agreement),
        )


@dataclass(frozen=True)
class AccuracyTable(Result):
    """The network beside the tree under each rule and score, on the same samples.

    The network's row comes first, then the tree's in the order of `nbdt.rules.RULE_SCORES`.
    """

    rows: tuple[AccuracyRow, ...]
    num_classes: int

    @property
    def samples(self) -> int:
        """How many samples were answered."""
        return self.rows[0].samples

    @property
    def network(self) -> AccuracyRow:
        """The network's own row."""
        return self.rows[0]

    def row(self, rule: RuleName, score: ScoreName) -> AccuracyRow:
        """The tree's row under one rule and score."""
        for row in self.rows[1:]:
            if (row.rule, row.score) == (rule, score):
                return row
        raise InputError(
            f"the rules are {' and '.join(RULES)}, the scores {' and '.join(SCORES)}; got "
            f"{rule!r:.80} and {score!r:.80}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The table as values that JSON can hold."""
        rows = [row.to_dict() for row in self.rows]
        return {"samples": self.samples, "classes": self.num_classes, "rows": rows}

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The table."""
        yield Section(0, str(self).splitlines())

    def __str__(self) -> str:
        headings = ("rule", "score", "correct", "accuracy", INTERVAL, "top-5", "same as network")
        lines = aligned(headings, [row._cells() for row in self.rows], words=2)
        return "\n".join([*lines, f"{self.samples:,} samples, {self.num_classes:,} classes"])


@measure("accuracy", order=0, at_top=True)
class AccuracyByRule(Measure[AccuracyTable]):
    """Counts how often the network, and the tree under each rule and score, is correct."""

    def start(self) -> None:
        """Sets all counts to zero."""
        self._samples = 0
        # One row for each way to answer: how many are correct, agree, have the class among the top.
        self._counts = torch.zeros(1 + len(RULE_SCORES), 3, dtype=torch.int64)

    def update(self, batch: Predictions) -> None:
        """Counts a batch."""
        network = batch.network_answers
        labels = torch.from_numpy(batch.labels).to(network.device)
        ways: list[tuple[Tensor, Tensor | None]] = [(network, batch.logits)]
        for rule, score in RULE_SCORES:
            ranking = batch.log_probs_by(score) if get_rule(rule).ranks_classes else None
            ways.append((batch.answers_by(rule, score), ranking))
        counts = []
        for answers, ranking in ways:
            correct, agreeing = (answers == labels).sum(), (answers == network).sum()
            top = correct if ranking is None else _in_top(ranking, labels).sum()
            counts.append(torch.stack([correct, agreeing, top]))
        self._counts += torch.stack(counts).cpu()
        self._samples += len(labels)

    def merge(self, other: AccuracyByRule) -> None:
        """Adds the counts of another one."""
        self._counts += other._counts
        self._samples += other._samples

    def compute(self) -> AccuracyTable:
        """The accuracies so far."""
        if not self._samples:
            raise InputError("accuracy needs at least one sample.")
        has_top = self.hierarchy.num_classes > TOP
        rows = (
            AccuracyRow(
                rule=rule,
                score=score,
                samples=self._samples,
                correct=correct,
                agreeing=agreeing,
                top5_correct=top
                if has_top and (rule is None or get_rule(rule).ranks_classes)
                else None,
            )
            for (rule, score), (correct, agreeing, top) in zip(
                ((None, None), *RULE_SCORES), self._counts.tolist(), strict=True
            )
        )
        return AccuracyTable(tuple(rows), self.hierarchy.num_classes)


def accuracy_by_rule(
    batches: Iterable[tuple[Tensor, Tensor]], hierarchy: Hierarchy
) -> AccuracyTable:
    """The accuracy of the network, and of the tree by each rule and score, from (logits, labels).

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> logits = torch.tensor([[3.0, 2.0, 2.9], [0.0, 1.0, 3.0], [2.0, 2.0, 2.2]])
        >>> print(accuracy_by_rule([(logits, torch.tensor([0, 2, 2]))], tree))
        rule     score      correct  accuracy   95 % interval  same as network
        ───────  ─────────  ───────  ────────  ──────────────  ───────────────
        network                 3/3   100.0 %  43.9 – 100.0 %
        soft     logsumexp      3/3   100.0 %  43.9 – 100.0 %          100.0 %
        hard     logsumexp      2/3    66.7 %   20.8 – 93.9 %           66.7 %
        soft     mean           2/3    66.7 %   20.8 – 93.9 %           66.7 %
        hard     mean           2/3    66.7 %   20.8 – 93.9 %           66.7 %
        3 samples, 3 classes
    """
    counted, layout = AccuracyByRule(hierarchy), TreeLayout(hierarchy)
    for logits, labels in batches:
        batch = Predictions(logits, layout.to(logits.device), score="logsumexp", labels=labels)
        if len(batch):
            counted.update(batch)
    return counted.compute()


def _in_top(values: Tensor, labels: Tensor) -> Tensor:
    """Whether the true class is among the likeliest; of equals, the lower index is likelier."""
    own = values.gather(1, labels[:, None])
    last = values.topk(min(TOP, values.shape[1])).values[:, -1:]
    inside = (own > last)[:, 0]
    # Ranks cost most; they are needed only where the true class may tie for the last place.
    close = (own == last)[:, 0].nonzero()[:, 0]
    values, own = values[close], own[close]
    lower = torch.arange(values.shape[1], device=values.device) < labels[close, None]
    inside[close] = ((values > own) | ((values == own) & lower)).sum(dim=1) < TOP
    return inside


@dataclass(frozen=True)
class NodeAccuracy(Record):
    """How often one class or inner node is right.

    A class is judged on its own samples: whether the tree answers the class. An inner node is
    judged on the samples whose class lies under it: whether its decision takes the child towards
    that class, wherever the decisions above it lead. `answered` says how often a class is answered,
    correctly or not.
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
