"""One pass over labelled data that measures everything at once."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.evaluation.accuracy import AccuracyByRule
from nbdt.evaluation.calibration import BINS, CalibrationCounter
from nbdt.evaluation.evaluation import Evaluation
from nbdt.evaluation.mistakes import MistakeCounter
from nbdt.evaluation.prototypes import PrototypeFinder
from nbdt.evaluation.shares import ShareCounter
from nbdt.evaluation.uncertainty import UncertaintyCounter
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.rules import (
    Predictions,
    RuleName,
    ScoreName,
    Temperature,
    TreeLayout,
    get_rule,
    get_score,
)
from nbdt.run import answers


def evaluate(
    model: NBDT,
    data: Data,
    *,
    batch_size: int = 64,
    rule: RuleName | None = None,
    bins: int = BINS,
    examples: int = 5,
    temperature: Temperature | None = None,
) -> Evaluation:
    """Measures a model on labelled data of any size, in one pass and bounded memory.

    The accuracy is that of both rules and both scores; everything else is measured by the model's
    score and, where answers are judged, one rule.

    Args:
        model: the model.
        data: labelled samples, (input, label) one by one, as in a torch `Dataset` or a list; or
            batches of them, (inputs, labels), as from a `DataLoader`.
        batch_size: how many samples given one by one share a batch.
        rule: which answers are judged, "soft" or "hard"; by default the model's.
        bins: how many bins confidence is sorted into.
        examples: how many samples to name of each confusion, node and kind of prototype.
        temperature: what the logits or decisions are divided by; by default the model's own.

    Raises:
        InputError: there is no sample; a label is no class; the network's answer to a sample is
            NaN or infinite; or an argument is not valid.

    Example:
        >>> import torch
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0], [0.0, 0.5, 0.0]])
        >>> evaluation = evaluate(model, [(logits, torch.tensor([0, 0, 1]))])
        >>> evaluation.accuracy.network.accuracy == 2 / 3
        True
        >>> evaluation.nodes[-1].name, evaluation.nodes[-1].correct
        ('thing', 2)
        >>> [prototype.index for prototype in evaluation.prototypes.of(4, "astray")]
        [1]
    """
    measures = Evaluator(
        model.hierarchy,
        score=model.score,
        rule=model.rule if rule is None else rule,
        bins=bins,
        examples=examples,
        temperature=model.temperature if temperature is None else temperature,
    )
    for block in answers(model, data, batch_size=batch_size):
        measures.update(block.logits, block.labels, block.indices)
    return measures.result()


class Evaluator:
    """All measures, updated batch by batch; for logits that come from elsewhere than `evaluate`.

    Args:
        hierarchy: the tree; leaf i is class i.
        score: what a node is worth: the model's, `NBDT.score`.
        rule: which answers are judged.
        bins: as in `evaluate`.
        examples: as in `evaluate`.
        temperature: what the logits or decisions are divided by first, if anything.

    Raises:
        InputError: an argument is not valid.

    Example:
        >>> import torch
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> evaluator = Evaluator(tree, score="logsumexp")
        >>> evaluator.update(torch.tensor([[3.0, 2.0, 0.0]]), torch.tensor([1]))
        >>> evaluator.result().mistakes.count
        1
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        score: ScoreName,
        rule: RuleName = "soft",
        bins: int = BINS,
        examples: int = 5,
        temperature: Temperature | None = None,
    ) -> None:
        self.score, self.rule = get_score(score).name, get_rule(rule).name
        self.temperature = temperature or Temperature()
        self._layout = TreeLayout(hierarchy)
        self._next_index = 0
        self._accuracy = AccuracyByRule(hierarchy)
        self._shares = ShareCounter(hierarchy)
        self._mistakes = MistakeCounter(hierarchy, examples=examples)
        self._calibration = CalibrationCounter(hierarchy, bins=bins)
        self._uncertainty = UncertaintyCounter(hierarchy, examples=examples)
        self._prototypes = PrototypeFinder(hierarchy, k=examples)

    def update(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, " batch"],
        indices: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Counts a batch; an empty one changes nothing.

        Args:
            logits: the network's logits, a row a sample; −inf masks a class out.
            labels: the true classes, 0 … C−1.
            indices: what the samples are called in examples; by default their places in the data.

        Raises:
            InputError: as for `Predictions`; nothing of the batch is counted then.
        """
        if indices is None:
            indices = torch.arange(self._next_index, self._next_index + len(labels))
        predictions = Predictions(
            logits,
            self._layout,
            score=self.score,
            rule=self.rule,
            temperature=self.temperature,
            labels=labels,
            indices=indices,
        )
        self._next_index += len(predictions)
        if not len(predictions):
            return
        for measure in (
            self._accuracy,
            self._shares,
            self._mistakes,
            self._calibration,
            self._uncertainty,
            self._prototypes,
        ):
            measure.update(predictions)

    def result(self) -> Evaluation:
        """What was measured so far.

        Raises:
            InputError: there was no sample yet.
        """
        return Evaluation(
            hierarchy=self._layout.hierarchy,
            score=self.score,
            rule=self.rule,
            temperature=self.temperature,
            accuracy=self._accuracy.table(),
            classes=self._shares.classes(),
            nodes=self._shares.nodes(),
            mistakes=self._mistakes.result(),
            calibration=self._calibration.result(),
            uncertainty=self._uncertainty.result(),
            prototypes=self._prototypes.result(),
        )
