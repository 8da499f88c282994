"""`nbdt evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from nbdt.cli.models import ModelArgument, load_model
from nbdt.cli.options import JsonOption, Rule, rule_option
from nbdt.cli.output import complain, progress, say, say_json
from nbdt.data import ImageFolder, open_image
from nbdt.data.batches import answer_in_batches
from nbdt.errors import InputError, NBDTError
from nbdt.evaluation import Evaluator
from nbdt.hierarchy.library import list_datasets, load_classes
from nbdt.model import NBDT

# How many answers are counted at a time.
COUNTED = 512

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt evaluate my-model held-out")
def evaluate(
    model: ModelArgument,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A folder with a subfolder of images a class, named after it."
        ),
    ],
    partial: Annotated[
        bool, typer.Option("--partial", metavar="", help="Classes may have no subfolder.")
    ] = False,
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
    json: JsonOption = False,
) -> None:
    """Measure a model's accuracy: the network's own, and the tree's by each rule and score.

    And which nodes and mistakes cost most, and whether probabilities mean what they say. Images
    that cannot be read are named, and left out.
    """
    network, preprocessing = load_model(model)
    classes = network.classes
    folder = ImageFolder(
        data, preprocessing, classes=classes, wnids=_wnids(classes), partial=partial
    )
    samples = list(enumerate(folder.samples))
    answers = answer_in_batches(
        samples,
        lambda sample: preprocessing(open_image(sample[1][0], preprocessing.mode)),
        lambda batch: _logits(network, batch),
    )
    measures = Evaluator(
        network.hierarchy, score=network.score, rule=network.rule if rule is None else rule.value
    )
    failed: dict[str, str] = {}
    with progress("Evaluating", len(samples)) as advance:
        while batch := list(islice(answers, COUNTED)):
            logits, labels, places = [], [], []
            for (place, (path, label)), answer in batch:
                if isinstance(answer, NBDTError):
                    failed[str(path)] = message = str(answer).removeprefix(f"{path}: ")
                    complain(f"{path}: {message}")
                else:
                    logits.append(answer)
                    labels.append(label)
                    places.append(place)
                advance()
            if logits:
                measures.update(torch.stack(logits), torch.tensor(labels), torch.tensor(places))
    if len(failed) == len(samples):
        raise InputError(f"{data}: none of its {len(samples)} images could be used.")
    found = measures.result()
    paths = [path for path, _ in folder.samples]
    if json:
        images = {str(place): str(paths[place]) for place in found.examples()}
        document = {"model": model, "data": data, **found.to_dict()}
        say_json(document | {"images": images, "failed": failed})
    else:
        names = [str(path.relative_to(Path(data))) for path in paths]
        say(found.to_text(rows=rows, full=full, sample_name=names.__getitem__))
    if failed:
        raise typer.Exit(1)


def _wnids(classes: Sequence[str]) -> list[str]:
    """The wnids of the classes, where they are those of a bundled data set."""
    for dataset in list_datasets():
        known = load_classes(dataset)
        if [info.name for info in known] == list(classes):
            return [info.wnid for info in known]
    return []


def _logits(model: NBDT, batch: Tensor) -> list[Tensor]:
    """The network's logits, a row an image."""
    with torch.no_grad():
        logits = model.logits(batch)
    if not logits.amax(dim=-1).isfinite().all():
        raise InputError("the network's answer to it holds NaN or infinity.")
    return list(logits)
