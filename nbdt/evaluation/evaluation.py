"""All that was measured of a model on some data, to be read, printed and stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbdt.errors import InputError
from nbdt.evaluation.calibration import CalibrationErrors
from nbdt.evaluation.mistakes import Mistakes
from nbdt.evaluation.prototypes import Prototypes
from nbdt.evaluation.shares import NodeAccuracy
from nbdt.evaluation.table import AccuracyTable
from nbdt.evaluation.text import aligned, percent, percent_range, short
from nbdt.evaluation.uncertainty import UncertainSample, Uncertainty
from nbdt.hierarchy import Hierarchy
from nbdt.rules import RuleName, ScoreName, Temperature

SCHEMA = "nbdt.evaluation/1"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's accuracy by rule, its weak nodes, mistakes, calibration and telling samples.

    `str` sums it up as plain text, `to_text` can say more, `to_dict` says everything.

    Attributes:
        hierarchy: the tree.
        score: what a node is worth; all but `accuracy` is measured by it.
        rule: the rule whose answers are judged in all but `accuracy`.
        temperature: what the logits or decisions were divided by.
        accuracy: of the network, and of the tree by both rules and scores.
        classes: how often each class is named rightly, in the classifier's order.
        nodes: how often each inner node decides rightly, the root last.
        mistakes: how bad mistakes are, and where they are made.
        calibration: whether probabilities mean what they say.
        uncertainty: how sure answers are.
        prototypes: the samples that show what each node decides.

    Example:
        >>> import torch
        >>> from nbdt.evaluation import Evaluator
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> evaluator = Evaluator(tree, score="logsumexp")
        >>> evaluator.update(torch.tensor([[3.0, 0, 0], [2.0, 1, 0]]), torch.tensor([0, 1]))
        >>> evaluation = evaluator.result()
        >>> evaluation.samples, evaluation.mistakes.confusions[0].taken_child_name
        (2, 'cat')
    """

    hierarchy: Hierarchy
    score: ScoreName
    rule: RuleName
    temperature: Temperature
    accuracy: AccuracyTable
    classes: tuple[NodeAccuracy, ...]
    nodes: tuple[NodeAccuracy, ...]
    mistakes: Mistakes
    calibration: CalibrationErrors
    uncertainty: Uncertainty
    prototypes: Prototypes

    @property
    def samples(self) -> int:
        """How many samples were answered."""
        return self.accuracy.samples

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as values that JSON can hold: the schema ``nbdt.evaluation/1``."""
        return {
            "schema": SCHEMA,
            **self.accuracy.to_dict(),
            "score": self.score,
            "rule": self.rule,
            "temperature": self.temperature.to_dict(),
            "by_class": [share.to_dict() for share in self.classes],
            "by_node": [share.to_dict() for share in self.nodes],
            "mistakes": self.mistakes.to_dict(),
            "calibration": self.calibration.to_dict(),
            "uncertainty": self.uncertainty.to_dict(),
            "prototypes": self.prototypes.to_dict(),
        }

    def __str__(self) -> str:
        return self.to_text()

    def examples(self) -> list[int]:
        """The indices of all samples that are named as an example of something, ascending."""
        found = {index for one in self.mistakes.confusions for index in one.examples}
        found.update(index for one in self.mistakes.nodes for index in one.examples)
        for samples in self.uncertainty.ends():
            found.update(sample.index for sample in samples)
        for indices in self.prototypes.samples.values():
            found.update(indices[indices >= 0].tolist())
        return sorted(found)

    def to_text(
        self, *, rows: int = 5, full: bool = False, sample_name: Callable[[int], str] = str
    ) -> str:
        """The evaluation for a reader.

        Args:
            rows: how many nodes, confusions and samples to list; 0 for all.
            full: list classes, samples and the bins of the reliability diagram too.
            sample_name: what a sample of an index is called; by default the index.

        Raises:
            InputError: `rows` is less than 0.
        """
        if rows < 0:
            raise InputError(f"rows has to be at least 0 (for all), got {rows}.")
        most = rows or None
        parts = [
            str(self.accuracy),
            self._worst("Nodes that are wrong most often", self.nodes, most),
            self._costliest(most, sample_name),
            self._summary(),
        ]
        if full:
            parts[3:3] = [
                self._worst("Classes that are wrong most often", self.classes, most),
                self._unsure(most, sample_name),
                self._reliability(),
            ]
        return "\n\n".join(filter(None, parts))

    def _worst(self, title: str, shares: tuple[NodeAccuracy, ...], most: int | None) -> str:
        """The nodes or classes with the lowest accuracy, of those that are ever wrong."""
        wrong = sorted(
            (share for share in shares if share.correct < share.samples),
            key=lambda share: (share.correct / share.samples, share.node),
        )
        if not wrong:
            return ""
        cells = [
            (
                short(share.name),
                f"{share.correct}/{share.samples}",
                percent(share.accuracy),
                percent_range(share.interval),
            )
            for share in wrong[:most]
        ]
        headings = ("class" if shares is self.classes else "node", "right", "accuracy", _INTERVAL)
        return "\n".join([_title(title, len(cells), len(wrong)), *aligned(headings, cells)])

    def _costliest(self, most: int | None, sample_name: Callable[[int], str]) -> str:
        """The ways to go wrong that are taken most often."""
        confusions = self.mistakes.confusions
        cells = [
            (
                short(confusion.node_name),
                short(confusion.true_child_name),
                short(confusion.taken_child_name),
                str(confusion.count),
                percent(confusion.count / self.mistakes.count),
                ", ".join(map(sample_name, confusion.examples[:_EXAMPLES])),
            )
            for confusion in confusions[:most]
        ]
        if not cells:
            return ""
        headings = ("at node", "it is", "taken for", "count", "of mistakes", "such as")
        title = _title("Where most mistakes are made", len(cells), len(confusions))
        return "\n".join([title, *aligned(headings, cells, words=3)])

    def _unsure(self, most: int | None, sample_name: Callable[[int], str]) -> str:
        """The samples whose paths are most uncertain."""

        def cells(sample: UncertainSample) -> tuple[str, ...]:
            name = self.hierarchy.name
            return (
                sample_name(sample.index),
                short(name(sample.label)),
                short(name(sample.answer)),
                f"{sample.entropy:.3f}",
                f"{sample.margin:.3f}",
            )

        headings = ("sample", "class", "answer", "path entropy", "margin")
        lines = aligned(
            headings, [cells(one) for one in self.uncertainty.highest_entropy[:most]], words=3
        )
        return "\n".join(["Most uncertain samples", *lines])

    def _reliability(self) -> str:
        """The bins of the answers' probabilities."""
        found = self.calibration.answer
        cells = [
            (
                percent_range((found.edges[place], found.edges[place + 1])),
                str(samples),
                percent(found.confidences[place]),
                percent(found.accuracies[place]),
            )
            for place, samples in enumerate(found.samples.tolist())
            if samples
        ]
        headings = ("probability of the answer", "samples", "mean", "right")
        return "\n".join(["Reliability of the answers", *aligned(headings, cells)])

    def _summary(self) -> str:
        """Mistakes, calibration and uncertainty in a line each."""
        mistakes, calibration = self.mistakes, self.calibration
        lines = [f"By {self.rule} {self.score}:"]
        if mistakes.count:
            lines.append(
                f"Mistakes     {mistakes.count:,} of {mistakes.samples:,}; height of the common "
                f"node {mistakes.mean_height:.2f} of {len(mistakes.by_height) - 1} on average, "
                f"distance {mistakes.mean_distance:.2f}"
            )
        lines.append(
            f"Hierarchy    precision {percent(mistakes.precision)}, recall "
            f"{percent(mistakes.recall)}, F1 {percent(mistakes.f1)}"
        )
        lines.append(
            f"Calibration  error of the answers {percent(calibration.answer.error)}, of decisions "
            f"{percent(calibration.node_error)}, of classes {percent(calibration.class_error)} "
            f"({calibration.bins} bins)"
        )
        lines.append(f"Uncertainty  path entropy {self._entropies()}")
        if self.temperature.value != 1 or self.temperature.nodes:
            at = f"{self.temperature.value:.3f}"
            nodes = len(self.temperature.nodes)
            lines.append(f"Temperature  {at}{f', and {nodes} of nodes' if nodes else ''}")
        return "\n".join(lines)

    def _entropies(self) -> str:
        found = self.uncertainty
        kinds = {"right": found.mean_entropy_right, "wrong": found.mean_entropy_wrong}
        told = [f"{mean:.3f} where {kind}" for kind, mean in kinds.items() if mean is not None]
        return f"{', '.join(told)} (nats)"


_EXAMPLES = 2
_INTERVAL = "95 % interval"


def _title(text: str, shown: int, total: int) -> str:
    return f"{text} ({shown} of {total})" if shown < total else text
