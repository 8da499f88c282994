"""`nbdt evaluate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nbdt.cli.inputs import read_tree
from nbdt.cli.labelled import (
    BATCH,
    DataArgument,
    PartialOption,
    PartOption,
    Watcher,
    image_names,
    load_images,
    load_others,
    load_unlabelled,
)
from nbdt.cli.models import (
    DeviceOption,
    ModelArgument,
    NetworkOption,
    RuleOption,
    as_given,
    device_of,
    load_model,
)
from nbdt.cli.options import JsonOption, option
from nbdt.cli.output import note, say, say_json
from nbdt.errors import InputError
from nbdt.evaluation.jobs import Source, assess
from nbdt.files import is_file
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
        int, option("--rows N", "How many nodes and mistakes to list; 0 for all.", min=0)
    ] = 5,
    full: Annotated[
        bool, option("--full", "Also list classes, unsure images and reliability.")
    ] = False,
    fit: Annotated[
        bool,
        option(
            "--fit-temperature",
            "Fit the temperature that makes probabilities match these images best, and save it "
            "in the model's folder.",
        ),
    ] = False,
    per_node: Annotated[
        bool,
        option(
            "--per-node",
            "Fit one temperature per node. The classes' probabilities then differ from the "
            "network's.",
        ),
    ] = False,
    faithfulness: Annotated[
        bool,
        option("--faithfulness", "Also check whether the explanations are faithful to the model."),
    ] = False,
    unknown: Annotated[
        str | None,
        option(
            "--unknown DATA",
            "Images of none of the model's classes, in any folder: how well do scores separate "
            "them from known classes?",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        option(
            "--unseen DATA",
            "Images of classes that the network never saw: do nodes route them correctly?",
        ),
    ] = None,
    taxonomy: Annotated[
        str | None,
        option(
            "--taxonomy TREE",
            "Where unseen classes belong: a tree over them and the model's classes.",
        ),
    ] = None,
    device: DeviceOption = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a model's accuracy: the network's own, and the tree's by each rule and score.

    Also shows which nodes and mistakes cost most, and whether probabilities are calibrated.
    Unreadable images are named and left out.
    """
    if per_node and not fit:
        raise InputError("--per-node changes how a temperature is fitted; add --fit-temperature.")
    if (unseen is None) != (taxonomy is None):
        raise InputError("use --unseen and --taxonomy together: the images, and where they belong.")
    place = device_of(device)
    network, preprocessing = load_model(model, network_from)
    network.to(place)
    images = load_images(data, network.classes, preprocessing, partial=partial, part=part)
    unknown_images = None if unknown is None else load_unlabelled(unknown, preprocessing)
    unseen_images = None if unseen is None else load_others(unseen, preprocessing)
    watcher = Watcher(
        data=("Evaluating", data),
        faithfulness=("Checking whether the explanations are the model", data),
        unseen=("Unseen classes", str(unseen)),
        unknown=("Unknown images", str(unknown)),
    )
    found = assess(
        network,
        images,
        source=Source(data, part),
        rule=rule,
        fit_temperature=fit,
        per_node=per_node,
        faithfulness=faithfulness,
        unknown=unknown_images,
        unseen=unseen_images,
        taxonomy=None if taxonomy is None else read_tree(taxonomy),
        batch_size=BATCH,
        watch=watcher,
    )
    if found.is_trained_on:
        note(f"{data}: the model was trained on these images, so these results flatter it.")
    if fit:
        network.save_pretrained(model)
        if is_file(Path(model, CALIBRATION)):
            note(
                f"{model} was calibrated at another temperature; calibrate it again: nbdt "
                f"calibrate {model} DATA, with images that had no part in this."
            )
    names = image_names(images)
    if json:
        document = {"model": model, "data": data, **found.to_dict()}
        for key, more in (
            ("outliers", {"data": unknown}),
            ("superclasses", {"data": unseen, "taxonomy": taxonomy}),
        ):
            if key in document:
                document[key] = {**more, **document[key]}
        document["images"] = {str(index): names[index] for index in found.evaluation.examples()}
        say_json(document | {"failed": watcher.failed})
    else:
        within = f"{Path(data)}{os.sep}"
        short = [name.removeprefix(within) for name in names]
        say(found.to_text(rows=rows, full=full, sample_name=short.__getitem__))
        if fit:
            own = as_given(network_from)
            say(f"Saved in {model}. Next: nbdt evaluate {model} OTHERS{own}")
    if watcher.failed:
        raise typer.Exit(1)
