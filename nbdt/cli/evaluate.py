"""`nbdt evaluate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from nbdt.cli.inputs import read_tree
from nbdt.cli.labelled import (
    DataArgument,
    LabelOption,
    PartialOption,
    PartOption,
    Watcher,
    load_samples,
    load_unlabelled,
)
from nbdt.cli.models import (
    DeviceOption,
    ModelArgument,
    NetworkOption,
    RuleOption,
    as_given,
    batch_size,
    device_of,
    load_model,
)
from nbdt.cli.options import JsonOption, option
from nbdt.cli.output import note, say, say_json
from nbdt.cli.samples import ColumnOption, IgnoreOption
from nbdt.errors import InputError
from nbdt.evaluation.jobs import Source, assess
from nbdt.files import is_file
from nbdt.selective.calibration import CALIBRATION

# "samples" is their number.
_EXAMPLES = {"image": "images", "sample": "examples"}

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples: nbdt evaluate my-model held-out\n\n"
    "nbdt evaluate my-model adult.csv --label income"
)
def evaluate(
    model: ModelArgument,
    data: DataArgument,
    label: LabelOption = None,
    column: ColumnOption = None,
    ignore: IgnoreOption = None,
    partial: PartialOption = False,
    part: PartOption = None,
    rule: RuleOption = None,
    rows: Annotated[
        int, option("--rows N", "How many nodes and mistakes to list; 0 for all.", min=0)
    ] = 5,
    full: Annotated[
        bool, option("--full", "Also list classes, unsure samples and reliability.")
    ] = False,
    fit: Annotated[
        bool,
        option(
            "--fit-temperature",
            "Fit the temperature that makes probabilities match these samples best, and save it "
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
            "Samples of none of the model's classes, in any folder or file: how well do scores "
            "separate them from known classes?",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        option(
            "--unseen DATA",
            "Samples of classes that the network never saw: do nodes route them correctly?",
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
    Unreadable samples are named and left out.
    """
    if per_node and not fit:
        raise InputError("--per-node changes how a temperature is fitted; add --fit-temperature.")
    if (unseen is None) != (taxonomy is None):
        raise InputError(
            "use --unseen and --taxonomy together: the samples, and where they belong."
        )
    place = device_of(device)
    network, reader = load_model(model, network_from, [data])
    network.to(place)
    table: dict[str, Any] = {"column": column, "ignore": ignore}
    samples = load_samples(
        data, network.classes, reader, label=label, partial=partial, part=part, **table
    )
    unknown_samples = None if unknown is None else load_unlabelled(unknown, reader, **table)
    unseen_samples = None if unseen is None else load_samples(unseen, None, reader, **table)
    watcher = Watcher(
        data=("Evaluating", data),
        faithfulness=("Checking whether the explanations are the model", data),
        unseen=("Unseen classes", str(unseen)),
        unknown=(f"Unknown {reader.noun}s", str(unknown)),
    )
    found = assess(
        network,
        samples,
        source=Source(data, part),
        rule=rule,
        fit_temperature=fit,
        per_node=per_node,
        faithfulness=faithfulness,
        unknown=unknown_samples,
        unseen=unseen_samples,
        taxonomy=None if taxonomy is None else read_tree(taxonomy),
        batch_size=batch_size(network),
        watch=watcher,
    )
    if found.is_trained_on:
        note(f"{data}: the model was trained on these {reader.noun}s, so these results flatter it.")
    if fit:
        network.save_pretrained(model)
        if is_file(Path(model, CALIBRATION)):
            note(
                f"{model} was calibrated at another temperature; calibrate it again: nbdt "
                f"calibrate {model} DATA, with {reader.noun}s that had no part in this."
            )
    names = samples.names()
    if json:
        document = {"model": model, "data": data, **found.to_dict()}
        for key, more in (
            ("outliers", {"data": unknown}),
            ("superclasses", {"data": unseen, "taxonomy": taxonomy}),
        ):
            if key in document:
                document[key] = {**more, **document[key]}
        examples = found.evaluation.examples()
        document[_EXAMPLES[reader.noun]] = {str(index): names[index] for index in examples}
        say_json(document | {"failed": watcher.failed})
    else:
        within = f"{Path(data)}{', ' if is_file(data) else os.sep}"
        short = [name.removeprefix(within) for name in names]
        say(found.to_text(rows=rows, full=full, sample_name=short.__getitem__))
        if fit:
            own = as_given(network_from)
            say(f"Saved in {model}. Next: nbdt evaluate {model} OTHERS{own}")
    if watcher.failed:
        raise typer.Exit(1)
