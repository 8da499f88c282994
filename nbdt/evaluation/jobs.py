"""All that `nbdt evaluate` does, as functions for the command line, notebooks and servers.

`assess` measures a model in one pass over each data set; `Source` tells whether samples had a part
in making it, as far as its provenance says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from nbdt.data import LabelledSamples
from nbdt.data.loading import place_of, training_split
from nbdt.data.samples import Data
from nbdt.data.stratify import Part
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation.evaluation import Evaluation, Evaluator
from nbdt.evaluation.faithfulness import Faithfulness, evaluate_faithfulness
from nbdt.evaluation.fitting import TemperatureFit, fit_temperature_to_logits, fitted_to
from nbdt.evaluation.tables import percent
from nbdt.evaluation.unseen import OodScorer, OodTable, UnseenCounter, UnseenTable, nodes_of_unseen
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.rules import RuleName
from nbdt.run import Block, Run, answers

Watch = Callable[[str, Run], Iterable[Block]]
"""Iterates over a run; it may show progress and failures. The first argument says over which data:
"data", "faithfulness", "unseen" or "unknown"."""


def unwatched(what: str, run: Run) -> Iterator[Block]:
    """Iterates over a run and refuses one without a single answer."""
    yield from run
    if run.failures and not run.answered:
        raise InputError(f"{what}: none of {len(run.failures)} samples could be used.")


@dataclass(frozen=True)
class Source:
    """Where samples come from: a folder or the name of a data set, and which part (``K/N``) of it.

    Its test samples are meant, as by `nbdt.data.load_dataset`.
    """

    data: str
    part: str | None = None

    def is_trained_on(self, model: NBDT) -> bool:
        """Whether the model was trained on these samples."""
        return self._is_named(model.provenance.get("data"), training=True)

    def check_untrained(self, model: NBDT) -> None:
        """Refuses samples that the model was trained on."""
        if self.is_trained_on(model):
            raise InputError(
                f"{self.data}: the model was trained on {_samples(model)} of this place, so it is "
                f"more confident of them than of others; give {_samples(model)} that had no part "
                "in training. (If these are others in the same place, rename it.)"
            )

    def check_unfitted(self, model: NBDT) -> None:
        """Refuses samples that the model's temperature was fitted to, even if only some were."""
        fitted = fitted_to(model)
        if self._is_named(fitted.get("data")) and not self._is_apart(fitted.get("part")):
            raise InputError(
                f"{self.data}: the model's temperature was fitted to these {_samples(model)}, or "
                "to some of them; give others, or divide them: nbdt evaluate --fit-temperature "
                "with --part 1/2, then nbdt calibrate with --part 2/2."
            )

    def _is_named(self, name: Any, *, training: bool = False) -> bool:
        if not isinstance(name, str):
            return False
        try:
            split = training_split(name) if training else "test"
            return place_of(name, split) == place_of(self.data)
        except NBDTError:
            # Provenance may name what does not exist here.
            return False

    def _is_apart(self, part: Any) -> bool:
        if not isinstance(part, str) or self.part is None:
            return False
        try:
            return Part.parse(part).is_apart(Part.parse(self.part))
        except InputError:
            return False


def _samples(model: NBDT) -> str:
    """What messages call the samples that a model reads."""
    return f"{'sample' if model.preprocessing is None else model.preprocessing.noun}s"


@dataclass(frozen=True, eq=False)
class Assessment:
    """A model's evaluation, and whatever else `assess` was asked for.

    Attributes:
        evaluation: all measures, at the fitted temperature if one was fitted.
        failures: the samples that were left out, for each run ("data", "unseen", "unknown") by
            index, each with the reason.
        is_trained_on: whether the model was trained on the samples, which flatters it.
        before: the evaluation before a temperature was fitted.
    """

    evaluation: Evaluation
    failures: Mapping[str, Mapping[int, str]]
    is_trained_on: bool
    fit: TemperatureFit | None = None
    before: Evaluation | None = None
    faithfulness: Faithfulness | None = None
    ood: OodTable | None = None
    unseen: UnseenTable | None = None

    def to_dict(self) -> dict[str, Any]:
        """The evaluation with everything else beside it, as values that JSON can hold."""
        document = self.evaluation.to_dict()
        if self.fit is not None:
            errors = {
                when: {"answer": answer, "node": node}
                for when, (answer, node) in self._calibration_errors().items()
            }
            document["fitted"] = {**self.fit.to_dict(), "calibration_errors": errors}
        for key, found in (
            ("faithfulness", self.faithfulness),
            ("outliers", self.ood),
            ("superclasses", self.unseen),
        ):
            if found is not None:
                document[key] = found.to_dict()
        return document

    def to_text(
        self, *, rows: int = 5, full: bool = False, sample_name: Callable[[int], str] = str
    ) -> str:
        """Everything as text; the arguments are those of `Evaluation.to_text`."""
        parts = [self.evaluation.to_text(rows=rows, full=full, sample_name=sample_name)]
        if self.unseen is not None:
            parts.append(f"Classes that the network never saw\n{self.unseen}")
        if self.ood is not None:
            parts.append(f"Samples of no class, separated from known ones\n{self.ood}")
        if self.faithfulness is not None:
            parts.append(str(self.faithfulness))
        if self.fit is not None:
            before, after = self._calibration_errors().values()
            answer, node = (
                f"{percent(old)} → {percent(new)}" for old, new in zip(before, after, strict=True)
            )
            parts.append(
                f"{self.fit}\nCalibration error of the answers {answer}, of decisions {node}: on "
                "the samples that it was fitted to, which flatters it. Judge it on others."
            )
        return "\n\n".join(parts)

    def _calibration_errors(self) -> dict[str, tuple[float, float]]:
        """The errors of answers and of decisions, before and after a temperature was fitted."""
        assert self.before is not None
        both = {"before": self.before.calibration, "after": self.evaluation.calibration}
        return {when: (found.answer.error, found.node_error) for when, found in both.items()}


def assess(
    model: NBDT,
    data: Data,
    *,
    source: Source | None = None,
    rule: RuleName | None = None,
    fit_temperature: bool = False,
    per_node: bool = False,
    faithfulness: bool = False,
    unknown: Data | None = None,
    unseen: LabelledSamples | None = None,
    taxonomy: Hierarchy | None = None,
    batch_size: int = 32,
    watch: Watch = unwatched,
) -> Assessment:
    """Evaluates a model, and fits its temperature or checks more if asked to.

    Samples that cannot be read or answered are left out, and reported in `Assessment.failures`.

    Args:
        data: labelled samples, as for `evaluate`.
        source: where they come from. Samples that the model was trained on are reported; a
            temperature is not fitted to them.
        rule: the rule whose answers are judged; by default the model's.
        fit_temperature: fit the temperature to the samples, and give it to the model.
        per_node: fit one for every node, as in `nbdt.evaluation.fit_temperature`.
        faithfulness: check whether the explanations are the model.
        unknown: samples of none of the model's classes.
        unseen: samples of classes that the network never saw; classes that it knows are left out.
        taxonomy: where the unseen classes belong: a tree over them and the model's.
        watch: iterates over each run, to show progress and failures.
    """
    is_trained_on = source is not None and source.is_trained_on(model)
    if fit_temperature and source is not None:
        source.check_untrained(model)
    counter = None
    if unseen is not None:
        if taxonomy is None:
            raise InputError("unseen classes need a taxonomy, which says where they belong.")
        unseen, counter = _unseen_only(model, unseen, taxonomy)

    run = answers(model, data, batch_size=batch_size, on_failure="keep", fingerprint=True)
    blocks = watch("data", run)
    if fit_temperature:
        blocks = list(blocks)
    evaluation, known = _measured(model, blocks, rule, unknown is not None)
    before = fit = None
    if fit_temperature:
        pairs = ((block.logits, block.labels) for block in blocks)
        fit = fit_temperature_to_logits(
            pairs, model.hierarchy, score=model.score, per_node=per_node
        )
        fit = replace(fit, fingerprint=run.fingerprint)
        fit.apply_to(model, **({} if source is None else asdict(source)))
        before = evaluation
        evaluation, known = _measured(model, blocks, rule, unknown is not None)
    failures = {"data": run.failures}
    checked = None
    if faithfulness:
        checked = evaluate_faithfulness(
            model, data, on_failure="keep", watch=partial(watch, "faithfulness")
        )
    unseen_table = ood = None
    if unseen is not None and counter is not None:
        run = answers(model, unseen, batch_size=batch_size, labels="other", on_failure="keep")
        for block in watch("unseen", run):
            counter.update(model.predictions(block.logits), block.labels)
        unseen_table, failures["unseen"] = counter.compute(), run.failures
    if unknown is not None:
        run = answers(model, unknown, batch_size=batch_size, labels="none", on_failure="keep")
        others = OodScorer(model.hierarchy)
        for block in watch("unknown", run):
            others.update(model.predictions(block.logits))
        ood, failures["unknown"] = OodTable.of(known.compute(), others.compute()), run.failures
    return Assessment(evaluation, failures, is_trained_on, fit, before, checked, ood, unseen_table)


def _measured(
    model: NBDT, blocks: Iterable[Block], rule: RuleName | None, scored: bool
) -> tuple[Evaluation, OodScorer]:
    """The evaluation, and the OOD scores by the model's own rule if they are asked for."""
    scorer = OodScorer(model.hierarchy)
    evaluator = Evaluator(
        model.hierarchy, score=model.score, rule=rule or model.rule, temperature=model.temperature
    )
    for block in blocks:
        evaluator.update(block.logits, block.labels, block.indices)
        if scored:
            scorer.update(model.predictions(block.logits))
    return evaluator.compute(), scorer


def _unseen_only(
    model: NBDT, data: LabelledSamples, taxonomy: Hierarchy
) -> tuple[LabelledSamples, UnseenCounter]:
    """The samples of classes that the model lacks, and what counts them."""
    # Folders may be named after a wnid, and have "_" in place of "/".
    full = {name.replace("/", "_"): name for name in taxonomy.classes}
    for leaf, name in enumerate(taxonomy.classes):
        full[str(taxonomy.attributes(leaf).get("wnid"))] = name
    names = {name: full.get(name, name) for name in data.classes}
    unseen = [name for name in names if names[name] not in model.classes]
    if not unseen:
        raise InputError("the model has all of these classes; none of them is unseen.")
    classes = [names[name] for name in unseen]
    nodes = nodes_of_unseen(model.hierarchy, taxonomy, classes)
    return data.filter_classes(unseen), UnseenCounter(model.hierarchy, nodes, classes)
