"""`nbdt calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nbdt.cli.labelled import (
    DataArgument,
    LabelOption,
    PartialOption,
    PartOption,
    Watcher,
    load_samples,
)
from nbdt.cli.models import (
    DeviceOption,
    ModelArgument,
    NetworkOption,
    as_given,
    batch_size,
    device_of,
    load_model,
)
from nbdt.cli.options import JsonOption, option
from nbdt.cli.output import say, say_json
from nbdt.cli.samples import ColumnOption, IgnoreOption
from nbdt.evaluation.jobs import Source
from nbdt.selective import SelectiveNBDT
from nbdt.selective.calibration import CALIBRATION, write_calibration
from nbdt.selective.conformal import checked_guarantee

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt calibrate my-model held-out --guarantee 0.9")
def calibrate(
    model: ModelArgument,
    data: DataArgument,
    label: LabelOption = None,
    column: ColumnOption = None,
    ignore: IgnoreOption = None,
    partial: PartialOption = False,
    part: PartOption = None,
    guarantee: Annotated[
        float, option("--guarantee SHARE", "The guarantee that these samples must allow.")
    ] = 0.95,
    per_superclass: Annotated[
        bool,
        option("--per-superclass", "Require it under each child of the root separately."),
    ] = False,
    device: DeviceOption = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Find out when a model is unsure, so that explain can stop there.

    Use samples that took no part in training or in fitting the model's temperature. The result is
    saved in the model's folder and serves any guarantee that the samples suffice for, which takes
    1 / (1 - guarantee) - 1 of them. Unreadable samples are named and left out.
    """
    checked_guarantee(guarantee)
    place = device_of(device)
    network, reader = load_model(model, network_from, [data])
    network.to(place)
    network.rule = "soft"  # stopping starts from the soft answer, whatever the model's rule
    samples = load_samples(
        data,
        network.classes,
        reader,
        label=label,
        column=column,
        ignore=ignore,
        partial=partial,
        part=part,
    )
    watcher = Watcher(data=("Calibrating", data))
    selective = SelectiveNBDT(network, guarantee, per_superclass=per_superclass).calibrate(
        samples,
        batch_size=batch_size(network),
        source=Source(data, part),
        on_failure="keep",
        watch=watcher,
    )
    calibration = selective.calibration
    assert calibration is not None
    write_calibration(model, calibration)
    path = str(Path(model, CALIBRATION))
    if json:
        found = {
            "model": model,
            "data": data,
            "output": path,
            "samples": calibration.samples,
            "wrong": calibration.wrong,
            "fingerprint": calibration.fingerprint,
            "guarantee": selective.guarantee,
            **_thresholds(selective),
        }
        say_json(found | {"failed": watcher.failed})
    else:
        wrong = f"{calibration.wrong:,} of {calibration.samples:,} predictions are wrong"
        say(f"Wrote {path}: {wrong}.")
        say(str(selective))
        options = f"--guarantee {guarantee}{' --per-superclass' if per_superclass else ''}"
        say(f"Next: nbdt explain {model} {reader.noun.upper()} … {options}{as_given(network_from)}")
    if watcher.failed:
        raise typer.Exit(1)


def _thresholds(selective: SelectiveNBDT) -> dict[str, Any]:
    """The threshold, or one for each child of the root."""
    # JSON lacks −∞; every probability is above 0, too.
    thresholds = {node: max(t, 0.0) for node, t in selective.thresholds.items()}
    if not selective.per_superclass:
        return {"threshold": thresholds[selective.model.hierarchy.root]}
    name = selective.model.hierarchy.name
    return {
        "thresholds": [
            {"node": node, "name": name(node), "samples": selective.sizes[node], "threshold": t}
            for node, t in thresholds.items()
        ]
    }
