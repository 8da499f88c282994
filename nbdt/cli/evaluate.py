"""`nbdt evaluate`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from nbdt.cli.labelled import (
    Answered,
    DataArgument,
    PartialOption,
    PartOption,
    load_images,
)
from nbdt.cli.leakage import check_untrained, is_trained_on
from nbdt.cli.models import (
    DeviceOption,
    ModelArgument,
    NetworkOption,
    RuleOption,
    as_given,
    device_of,
    load_model,
)
from nbdt.cli.options import JsonOption
from nbdt.cli.other_classes import Unknown, Unseen
from nbdt.cli.output import note, say, say_json, working
from nbdt.errors import InputError
from nbdt.evaluation import (
    Evaluation,
    Evaluator,
    OutlierCounter,
    TemperatureFit,
    fit_temperature_to_logits,
)
from nbdt.evaluation.faithfulness import evaluate_faithfulness
from nbdt.evaluation.text import percent
from nbdt.files import is_file
from nbdt.model import NBDT
from nbdt.rules import RuleName
from nbdt.run import Block
from nbdt.selective.calibration import CALIBRATION

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt evaluate my-model held-out")
def evaluate(
    model: ModelArgument,
    data: DataArgument,
    partial: PartialOption = False,
    part: PartOption = None,
    rule: RuleOption = None,
    rows: Annotated[
        int,
        typer.Option(
            "--rows", min=0, metavar="N", help="How many nodes and mistakes to list; 0 for all."
        ),
    ] = 5,
    full: Annotated[
        bool,
        typer.Option("--full", metavar="", help="List classes, unsure images and reliability too."),
    ] = False,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit-temperature",
            metavar="",
            help="Find the temperature at which probabilities fit these images best, and save it "
            "in the model's folder.",
        ),
    ] = False,
    per_node: Annotated[
        bool,
        typer.Option(
            "--per-node",
            metavar="",
            help="Find one for every node. The probabilities of classes are then no longer the "
            "network's.",
        ),
    ] = False,
    faithfulness: Annotated[
        bool,
        typer.Option(
            "--faithfulness", metavar="", help="Check whether the explanations are the model, too."
        ),
    ] = False,
    unknown: Annotated[
        str | None,
        typer.Option(
            "--unknown",
            metavar="DATA",
            help="Images of none of the model's classes, any folder of them: how well are they "
            "told from the others?",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        typer.Option(
            "--unseen",
            metavar="DATA",
            help="Images of classes that the network never saw: do nodes send them the right way?",
        ),
    ] = None,
    taxonomy: Annotated[
        str | None,
        typer.Option(
            "--taxonomy",
            metavar="TREE",
            help="Where unseen classes belong: a tree over them and the model's.",
        ),
    ] = None,
    device: DeviceOption = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a model's accuracy: the network's own, and the tree's by each rule and score.

    And which nodes and mistakes cost most, and whether probabilities mean what they say. Images
    that cannot be read are named, and left out.
    """
    if per_node and not fit:
        raise InputError("--per-node says how to fit a temperature; add --fit-temperature.")
    if (unseen is None) != (taxonomy is None):
        raise InputError("--unseen and --taxonomy go together: the images, and where they belong.")
    place = device_of(device)
    network, preprocessing = load_model(model, network_from)
    network.to(place)
    judged = network.rule if rule is None else rule
    if fit:
        check_untrained(network, data)
    elif is_trained_on(network, data):
        note(f"{data}: the model was trained on these images, so all of this flatters it.")
    images = load_images(data, network.classes, preprocessing, partial=partial, part=part)
    unknowns = None if unknown is None else Unknown(network, preprocessing, unknown)
    newcomers = None
    if unseen is not None and taxonomy is not None:
        newcomers = Unseen(network, preprocessing, unseen, taxonomy)
    answered = Answered(network, images, data, "Evaluating")
    batches: Iterable[Block] = list(answered) if fit else answered
    outliers = None if unknown is None else OutlierCounter(network)
    found = _measured(network, batches, judged, outliers)
    fitted = None
    if fit:
        fitted = _Fitted.of(network, batches, per_node, before=found)
        outliers = None if unknown is None else OutlierCounter(network)
        found = _measured(network, batches, judged, outliers)
        fitted.save(network, model, data, part, answered.run.fingerprint)
    failed, names = answered.failures(), answered.names
    checked = told_apart = superclasses = None
    if faithfulness:
        usable = [index for index in range(len(images)) if index not in answered.run.failures]
        with working("Checking whether the explanations are the model …"):
            checked = evaluate_faithfulness(network, images.select(usable))
    if newcomers is not None:
        superclasses, unusable = newcomers.judge()
        failed |= unusable
    if unknowns is not None and outliers is not None:
        told_apart, unusable = unknowns.judge(outliers)
        failed |= unusable
    if json:
        shown = {str(index): names[index] for index in found.examples()}
        document = {"model": model, "data": data, **found.to_dict(), "images": shown}
        if fitted is not None:
            document["fitted"] = fitted.to_dict(found)
        if checked is not None:
            document["faithfulness"] = checked.to_dict()
        if told_apart is not None:
            document["outliers"] = {"data": unknown, **told_apart.to_dict()}
        if superclasses is not None:
            document["superclasses"] = {
                "data": unseen,
                "taxonomy": taxonomy,
                **superclasses.to_dict(),
            }
        say_json(document | {"failed": failed})
    else:
        within = f"{Path(data)}{os.sep}"
        short = [name.removeprefix(within) for name in names]
        say(found.to_text(rows=rows, full=full, sample_name=short.__getitem__))
        if superclasses is not None:
            say(f"\nClasses that the network never saw\n{superclasses}")
        if told_apart is not None:
            say(f"\nImages of no class told from those of known ones\n{told_apart}")
        if checked is not None:
            say(f"\n{checked}")
        if fitted is not None:
            say(f"\n{fitted.text(found, model, network_from)}")
    if failed:
        raise typer.Exit(1)


class _Fitted(NamedTuple):
    """A temperature that was fitted to the images, and what was measured before."""

    fit: TemperatureFit
    before: Evaluation

    @classmethod
    def of(
        cls, network: NBDT, batches: Iterable[Block], per_node: bool, before: Evaluation
    ) -> _Fitted:
        """Fits a temperature to the images and gives it to the model."""
        pairs = ((batch.logits, batch.labels) for batch in batches)
        fit = fit_temperature_to_logits(
            pairs, network.hierarchy, score=network.score, per_node=per_node
        )
        network.temperature = fit.temperature
        return cls(fit, before)

    def save(
        self, network: NBDT, folder: str, data: str, part: str | None, fingerprint: str
    ) -> None:
        """Saves the model with its temperature, and what that was fitted to."""
        replace(self.fit, fingerprint=fingerprint).apply_to(network)
        network.provenance["temperature"] |= {"data": data, "part": part}
        network.save_pretrained(folder)
        if is_file(Path(folder, CALIBRATION)):
            note(
                f"{folder} was calibrated at another temperature; calibrate it anew: nbdt "
                f"calibrate {folder} DATA, with images that had no part in this."
            )

    def to_dict(self, after: Evaluation) -> dict[str, object]:
        """The fit and the calibration errors on the same images, for JSON."""
        errors = {
            when: {"answer": one.calibration.answer.error, "node": one.calibration.node_error}
            for when, one in (("before", self.before), ("after", after))
        }
        return {**self.fit.to_dict(), "calibration_errors": errors}

    def text(self, after: Evaluation, folder: str, own: str | None) -> str:
        """What was found, for a reader."""
        answers, decisions = (
            f"{percent(before)} → {percent(now)}"
            for before, now in (
                (self.before.calibration.answer.error, after.calibration.answer.error),
                (self.before.calibration.node_error, after.calibration.node_error),
            )
        )
        return (
            f"{self.fit} Saved in {folder}.\n"
            f"Calibration error of the answers {answers}, of decisions {decisions}: on these very "
            f"images, which flatters it. Judge it by others: nbdt evaluate {folder} OTHERS"
            f"{as_given(own)}"
        )


def _measured(
    network: NBDT, batches: Iterable[Block], rule: RuleName, outliers: OutlierCounter | None
) -> Evaluation:
    """All that is measured of a model."""
    measures = Evaluator(
        network.hierarchy, score=network.score, rule=rule, temperature=network.temperature
    )
    for batch in batches:
        measures.update(batch.logits, batch.labels, batch.indices)
        if outliers is not None:
            outliers.add_known(batch.logits)
    return measures.result()
