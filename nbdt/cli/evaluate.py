"""`nbdt evaluate`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from torch import Tensor

from nbdt.cli.device import DeviceOption, device_of
from nbdt.cli.labelled import DataArgument, PartialOption, image_names, load_images
from nbdt.cli.models import ModelArgument, NetworkOption, load_model
from nbdt.cli.options import JsonOption, Rule, rule_option
from nbdt.cli.output import complain, note, progress, say, say_json, working
from nbdt.data import LabelledImages
from nbdt.data.batches import answer_in_batches
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation import Evaluation, Evaluator, TemperatureFit, fit_temperature
from nbdt.evaluation.answers import BLOCK, logits_of
from nbdt.evaluation.faithfulness import evaluate_faithfulness
from nbdt.evaluation.text import percent
from nbdt.files import is_file
from nbdt.model import NBDT
from nbdt.rules import Rule as RuleName
from nbdt.selective.folder import CALIBRATION

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt evaluate my-model held-out")
def evaluate(
    model: ModelArgument,
    data: DataArgument,
    partial: PartialOption = False,
    rule: Annotated[Rule | None, rule_option("the model's")] = None,
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
    place = device_of(device)
    network, preprocessing = load_model(model, network_from)
    network.to(place)
    judged = network.rule if rule is None else rule.value
    images = load_images(data, network.classes, preprocessing, partial=partial)
    names = image_names(images)
    failed: dict[int, str] = {}
    batches: Iterable[Batch] = _answered(network, images, names, data, failed)
    if fit:
        batches = list(batches)
    found = _measured(network, batches, judged)
    fitted = None
    if fit:
        fitted = _Fitted.of(network, batches, per_node, before=found)
        found = _measured(network, batches, judged)
        fitted.save(network, model, data)
    checked = None
    if faithfulness:
        usable = [index for index in range(len(images)) if index not in failed]
        with working("Checking whether the explanations are the model …"):
            checked = evaluate_faithfulness(network, images.select(usable))
    if json:
        shown = {str(index): names[index] for index in found.examples()}
        document = {"model": model, "data": data, **found.to_dict(), "images": shown}
        if fitted is not None:
            document["fitted"] = fitted.to_dict(found)
        if checked is not None:
            document["faithfulness"] = checked.to_dict()
        say_json(document | {"failed": {names[index]: why for index, why in failed.items()}})
    else:
        within = f"{Path(data)}{os.sep}"
        short = [name.removeprefix(within) for name in names]
        say(found.to_text(rows=rows, full=full, sample_name=short.__getitem__))
        if checked is not None:
            say(f"\n{checked}")
        if fitted is not None:
            say(f"\n{fitted.text(found, model)}")
    if failed:
        raise typer.Exit(1)


class Batch(NamedTuple):
    """Logits, the true classes, and the places of the images in the data."""

    logits: Tensor
    labels: Tensor
    places: Tensor


class _Fitted(NamedTuple):
    """A temperature that was fitted to the images, and what was measured before."""

    fit: TemperatureFit
    before: Evaluation

    @classmethod
    def of(
        cls, network: NBDT, batches: Iterable[Batch], per_node: bool, before: Evaluation
    ) -> _Fitted:
        """Fits a temperature to the images and gives it to the model."""
        pairs = ((batch.logits, batch.labels) for batch in batches)
        fit = fit_temperature(pairs, network.hierarchy, score=network.score, per_node=per_node)
        network.temperature = fit.temperature
        return cls(fit, before)

    def save(self, network: NBDT, folder: str, data: str) -> None:
        """Saves the model with its temperature, and what that was fitted to."""
        network.provenance["temperature"] = {"data": data, **self.fit.to_dict()}
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

    def text(self, after: Evaluation, folder: str) -> str:
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
        )


def _answered(
    network: NBDT,
    images: LabelledImages,
    names: Sequence[str],
    data: str,
    failed: dict[int, str],
) -> Iterator[Batch]:
    """The network's answers to the images; those that cannot be used are put into `failed`."""
    answers = answer_in_batches(
        range(len(images)),
        lambda place: images[place][0],
        lambda batch: _logits(network, batch),
    )
    with progress("Evaluating", len(images)) as advance:
        while some := list(islice(answers, BLOCK)):
            logits, places = [], []
            for place, answer in some:
                if isinstance(answer, NBDTError):
                    failed[place] = message = str(answer).removeprefix(f"{names[place]}: ")
                    complain(f"{names[place]}: {message}")
                else:
                    logits.append(answer)
                    places.append(place)
                advance()
            if logits:
                labels = torch.from_numpy(images.targets[places])
                yield Batch(torch.stack(logits), labels, torch.tensor(places))
    if len(failed) == len(images):
        raise InputError(f"{data}: none of its {len(images)} images could be used.")


def _measured(network: NBDT, batches: Iterable[Batch], rule: RuleName) -> Evaluation:
    """All that is measured of a model."""
    measures = Evaluator(
        network.hierarchy, score=network.score, rule=rule, temperature=network.temperature
    )
    for batch in batches:
        measures.update(*batch)
    return measures.result()


def _logits(model: NBDT, batch: Tensor) -> list[Tensor]:
    """The network's logits, a row an image."""
    logits = logits_of(model, batch).cpu()
    if not logits.amax(dim=-1).isfinite().all():
        raise InputError("the network's answer to it holds NaN or infinity.")
    return list(logits)
