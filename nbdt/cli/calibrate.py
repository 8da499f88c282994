"""`nbdt calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nbdt.cli.labelled import DataArgument, PartialOption, batches, load_images
from nbdt.cli.models import ModelArgument, NetworkOption, load_model
from nbdt.cli.options import JsonOption
from nbdt.cli.output import progress, say, say_json
from nbdt.selective import Calibration, SelectiveNBDT
from nbdt.selective.folder import CALIBRATION, write_calibration

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt calibrate my-model held-out --guarantee 0.9")
def calibrate(
    model: ModelArgument,
    data: DataArgument,
    partial: PartialOption = False,
    guarantee: Annotated[
        float,
        typer.Option(
            "--guarantee", metavar="SHARE", help="What has to be possible with these images."
        ),
    ] = 0.95,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Find out when a model is unsure, so that explain can stop there.

    The images must have had no part in training. What is found is saved in the model's folder and
    serves any guarantee for which there are images enough: 1 / (1 - guarantee) - 1 of them.
    """
    network, preprocessing = load_model(model, network_from)
    network.rule = "soft"  # whatever rule the model has, this is how answers climb
    selective = SelectiveNBDT(network, guarantee)
    dataset = load_images(data, network.classes, preprocessing, partial=partial)
    with progress("Calibrating", len(dataset)) as advance:
        calibration = selective.calibrate(batches(dataset, advance)).calibration
    assert calibration is not None
    write_calibration(model, calibration)
    path = str(Path(model, CALIBRATION))
    if json:
        found = _document(calibration, selective)
        say_json({"model": model, "data": data, "output": path, **found})
        return
    say(f"Wrote {path}: {calibration.wrong:,} of {calibration.samples:,} predictions are wrong.")
    say(str(selective))
    say(f"Go on with: nbdt explain {model} IMAGE … --guarantee {guarantee:g}")


def _document(calibration: Calibration, selective: SelectiveNBDT) -> dict[str, Any]:
    (threshold,) = selective.thresholds.values()
    return {
        "samples": calibration.samples,
        "wrong": calibration.wrong,
        "fingerprint": calibration.fingerprint,
        "guarantee": selective.guarantee,
        # JSON has no −∞; every probability is above 0, too.
        "threshold": max(threshold, 0.0),
    }
