"""One pass over labelled data that updates every registered measure: `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.accuracy import AccuracyTable, NodeAccuracies, NodeAccuracy
from nbdt.evaluation.calibration import CalibrationErrors
from nbdt.evaluation.measure import BINS, EXAMPLES, Measure, Result, TextOptions, measures
from nbdt.evaluation.mistakes import Mistakes
from nbdt.evaluation.prototypes import Prototypes
from nbdt.evaluation.uncertainty import Uncertainty
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.rules import Predictions, RuleName, ScoreName, Temperature, TreeLayout
from nbdt.run import answers

SCHEMA = "nbdt.evaluation/1"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What all measures found on some data: `str` sums it up, `to_text` can say more.

    Attributes:
        score: the score behind everything but `accuracy`, which has all of them.
        rule: the rule whose answers are judged, likewise.
        temperature: what the logits or decisions were divided by.
        results: the result of each measure, by its name.
        failures: the samples that were left out, by index, each with the reason.
        fingerprint: the `Fingerprint` of all other samples, where it was asked for.
    """

    hierarchy: Hierarchy
    score: ScoreName
    rule: RuleName
    temperature: Temperature
    results: Mapping[str, Result]
    failures: Mapping[int, str] = field(default_factory=dict)
    fingerprint: str | None = None

    @property
    def accuracy(self) -> AccuracyTable:
        """The accuracy of the network, and of the tree by all rules and scores."""
        return cast(AccuracyTable, self.results["accuracy"])

    @property
    def classes(self) -> tuple[NodeAccuracy, ...]:
        """How often each class is answered correctly, in the classifier's order."""
        return cast(NodeAccuracies, self.results["shares"]).classes

    @property
    def nodes(self) -> tuple[NodeAccuracy, ...]:
        """How often each inner node decides correctly, the root last."""
        return cast(NodeAccuracies, self.results["shares"]).nodes

    @property
    def mistakes(self) -> Mistakes:
        """How bad mistakes are, and where they are made."""
        return cast(Mistakes, self.results["mistakes"])

    @property
    def calibration(self) -> CalibrationErrors:
        """Whether probabilities are calibrated."""
        return cast(CalibrationErrors, self.results["calibration"])

    @property
    def uncertainty(self) -> Uncertainty:
        """How certain answers are."""
        return cast(Uncertainty, self.results["uncertainty"])

    @property
    def prototypes(self) -> Prototypes:
        """The samples that show what each node decides."""
        return cast(Prototypes, self.results["prototypes"])

    @property
    def samples(self) -> int:
        """How many samples were answered."""
        return self.accuracy.samples

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as values that JSON can hold: the schema ``nbdt.evaluation/1``."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "score": self.score,
            "rule": self.rule,
            "temperature": self.temperature.to_dict(),
        }
        for name, kind in measures().items():
            if name in self.results:
                found = self.results[name].to_dict()
                document |= found if kind.at_top else {name: found}
        return document

    def examples(self) -> list[int]:
        """The indices of all samples that are named as examples, ascending."""
        return sorted({index for found in self.results.values() for index in found.examples()})

    def to_text(
        self, *, rows: int = 5, full: bool = False, sample_name: Callable[[int], str] = str
    ) -> str:
        """The evaluation as tables and a summary.

        Args:
            rows: how many nodes, confusions and samples to list; 0 for all.
            full: list classes, samples and the bins of the reliability diagram too.
            sample_name: what to call a sample, given its index.
        """
        if rows < 0:
            raise InputError(f"rows must be at least 0 (for all), got {rows}.")
        options = TextOptions(rows or None, sample_name)
        sections = [one for found in self.results.values() for one in found.sections(options)]
        parts = [
            "\n".join(section.lines)
            for section in sorted(sections, key=lambda section: section.order)
            if full or not section.full
        ]
        return "\n\n".join([*parts, self._summary()])

    def _summary(self) -> str:
        lines = [f"By {self.rule} {self.score}:"]
        lines += [line for found in self.results.values() for line in found.summary()]
        if self.temperature != Temperature():
            nodes = len(self.temperature.nodes)
            more = f", and {nodes} of nodes" if nodes else ""
            lines.append(f"Temperature  {self.temperature.value:.3f}{more}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


class Evaluator:
    """All registered measures, updated batch by batch: `evaluate` for logits from elsewhere.

    The arguments are those of `evaluate`; `score` is the model's.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> evaluator = Evaluator(tree, score="logsumexp")
        >>> evaluator.update(torch.tensor([[3.0, 2.0, 0.0]]), torch.tensor([1]))
        >>> evaluator.compute().mistakes.count
        1
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        score: ScoreName,
        rule: RuleName = "soft",
        bins: int = BINS,
        examples: int = EXAMPLES,
        temperature: Temperature | None = None,
        extra: Sequence[Measure[Any]] = (),
    ) -> None:
        self._layout = TreeLayout(hierarchy)
        self._score, self._rule = score, rule
        self._temperature = temperature or Temperature()
        # Refuses a score or a rule that does not exist before anything is counted.
        self._predictions(torch.zeros(0, hierarchy.num_classes), torch.zeros(0, dtype=torch.int64))
        self._measures = {
            name: kind(hierarchy, bins=bins, examples=examples) for name, kind in measures().items()
        }
        self._extra = extra
        self._next_index = 0

    def update(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, " batch"],
        indices: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Counts a batch; one that is refused is not counted at all.

        A logit of −inf masks a class out. `indices` are what to call the samples in examples, by
        default their places in the data.
        """
        self._layout.to(logits.device if isinstance(logits, Tensor) else None)
        if indices is None and isinstance(labels, Tensor):
            indices = torch.arange(self._next_index, self._next_index + labels.numel())
        batch = self._predictions(logits, labels, indices)
        if not len(batch):
            return
        # All that may fail is worked out first.
        batch.decisions  # noqa: B018
        self._next_index += len(batch)
        for one in (*self._measures.values(), *self._extra):
            one.update(batch)

    def merge(self, other: Evaluator) -> None:
        """Adds what another one with the same arguments counted, on later samples."""
        for name, one in self._measures.items():
            one.merge(other._measures[name])
        for mine, theirs in zip(self._extra, other._extra, strict=True):
            mine.merge(theirs)
        self._next_index += other._next_index

    def compute(
        self, *, failures: Mapping[int, str] | None = None, fingerprint: str | None = None
    ) -> Evaluation:
        """What all measures found so far, with what the loop over the data knows beside it."""
        return Evaluation(
            hierarchy=self._layout.hierarchy,
            score=self._score,
            rule=self._rule,
            temperature=self._temperature,
            results={name: one.compute() for name, one in self._measures.items()},
            failures=failures or {},
            fingerprint=fingerprint,
        )

    def _predictions(
        self, logits: Tensor, labels: Tensor, indices: Tensor | None = None
    ) -> Predictions:
        return Predictions(
            logits,
            self._layout,
            score=self._score,
            rule=self._rule,
            temperature=self._temperature,
            labels=labels,
            indices=indices,
        )


def evaluate(
    model: NBDT,
    data: Data,
    *,
    batch_size: int = 64,
    rule: RuleName | None = None,
    bins: int = BINS,
    examples: int = EXAMPLES,
    temperature: Temperature | None = None,
    on_failure: Literal["raise", "keep"] = "raise",
    fingerprint: bool = False,
    progress: Callable[[int], None] | None = None,
    extra: Sequence[Measure[Any]] = (),
) -> Evaluation:
    """Measures a model on labelled data of any size, in one pass and bounded memory.

    Args:
        data: labelled samples, (input, label) one by one, as in a torch `Dataset` or a list; or
            batches of them, (inputs, labels), as from a `DataLoader`.
        batch_size: how many single samples share a batch.
        rule: which answers are judged, "soft" or "hard"; by default the model's.
        bins: how many bins confidence is sorted into.
        examples: how many samples to name of each confusion, node and kind of prototype.
        temperature: what the logits or decisions are divided by; by default the model's own.
        on_failure: "keep" leaves out samples that cannot be read or answered, and reports them in
            `Evaluation.failures`.
        fingerprint: whether to take the samples' fingerprint.
        progress: called with the number of samples of each batch when it is done.
        extra: other measures to update with the same predictions.

    Raises:
        InputError: there is no sample; a label is not a class; or the network's answer to a sample
            is NaN or infinite.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0], [0.0, 0.5, 0.0]])
        >>> evaluation = evaluate(model, [(logits, torch.tensor([0, 0, 1]))])
        >>> evaluation.nodes[-1].name, evaluation.nodes[-1].correct
        ('thing', 2)
        >>> [prototype.index for prototype in evaluation.prototypes.of(4, "misrouted")]
        [1]
    """
    evaluator = Evaluator(
        model.hierarchy,
        score=model.score,
        rule=model.rule if rule is None else rule,
        bins=bins,
        examples=examples,
        temperature=model.temperature if temperature is None else temperature,
        extra=extra,
    )
    run = answers(
        model,
        data,
        batch_size=batch_size,
        on_failure=on_failure,
        fingerprint=fingerprint,
        progress=progress,
    )
    for block in run:
        evaluator.update(block.logits, block.labels, block.indices)
    if run.failures and not run.answered:
        raise InputError(f"none of the {len(run.failures)} samples could be used.")
    return evaluator.compute(
        failures=run.failures, fingerprint=run.fingerprint if fingerprint else None
    )
