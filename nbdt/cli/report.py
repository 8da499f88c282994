"""`nbdt report`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nbdt.cli.labelled import (
    DataArgument,
    LabelOption,
    PartialOption,
    PartOption,
    load_samples,
)
from nbdt.cli.models import ModelArgument, NetworkOption, RuleOption, batch_size, load_model
from nbdt.cli.options import JsonOption, given, option
from nbdt.cli.output import check_folder, complain, progress, say, say_json, working
from nbdt.cli.samples import ColumnOption, IgnoreOption
from nbdt.errors import InputError
from nbdt.files import is_file, write_text
from nbdt.pretrained import read_model
from nbdt.report import Origin, measure, to_page
from nbdt.rules import get_rule
from nbdt.selective import read_calibration
from nbdt.selective.calibration import CALIBRATION
from nbdt.selective.conformal import checked_guarantee

GUARANTEE = 0.95
PICTURES = 200

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt report my-model held-out -o report.html --note Date=2026-07-01")
def report(
    model: ModelArgument,
    data: DataArgument,
    output: Annotated[str, option("--output -o FILE", "The page to write.")] = "report.html",
    label: LabelOption = None,
    column: ColumnOption = None,
    ignore: IgnoreOption = None,
    partial: PartialOption = False,
    part: PartOption = None,
    rule: RuleOption = None,
    guarantee: Annotated[
        float | None,
        option(
            "--guarantee SHARE",
            "For a calibrated model, the share of answers that should hold the true class.",
            shown=f"{GUARANTEE}",
        ),
    ] = None,
    pictures: Annotated[
        int, option("--pictures N", "The largest number of small images.", min=0)
    ] = PICTURES,
    note: Annotated[
        list[str] | None,
        option(
            "--note WHAT=TEXT",
            "A fact to add, such as a date, which the report has only if you add it; may be "
            "given again.",
        ),
    ] = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Write a report on a model, in one page, for a colleague or an auditor.

    The report is one self-contained HTML file: the accuracy of network and tree, where mistakes
    are made, calibration, the tree, and explained samples.
    """
    notes = dict(map(_note, note or ()))
    check_folder(output)
    # The output path doesn't affect the page's content.
    options = [
        *([f"--label={label}"] if label else []),
        *([f"--column={column}"] if column else []),
        *(f"--ignore={name}" for name in ignore or ()),
        *(["--partial"] if partial else []),
        *([f"--part={part}"] if part else []),
        *([f"--rule={rule}"] if rule else []),
        *([f"--guarantee={guarantee}"] if guarantee is not None else []),
        *([f"--pictures={pictures}"] if pictures != PICTURES else []),
        *(f"--note={what}={text}" for what, text in notes.items()),
        *([f"--network={network_from}"] if network_from else []),
    ]
    network, reader = load_model(model, network_from, [data])
    calibration = read_calibration(model) if is_file(Path(model) / CALIBRATION) else None
    if guarantee is not None:
        checked_guarantee(guarantee)
        if calibration is None:
            raise InputError(
                f"{model} is not calibrated; run nbdt calibrate, or leave out --guarantee."
            )
        if not get_rule(rule or network.rule).ranks_classes:
            raise InputError("--guarantee needs the soft rule; add --rule soft.")
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
    with progress("Measuring", len(samples)) as advance:
        found = measure(
            network,
            samples,
            calibration=calibration,
            batch_size=batch_size(network),
            progress=advance,
            **given(rule=rule, guarantee=guarantee),
        )
    names = samples.names()
    failed = {
        names[place]: reason.removeprefix(f"{names[place]}: ")
        for place, reason in found.left_out.items()
    }
    for name, reason in failed.items():
        complain(f"{name}: {reason}")
    saved = read_model(model).config
    origin = Origin(
        model=Path(model).resolve().name,
        data=f"{data}, part {part}" if part else data,
        files={name: record.sha256 for name, record in saved.files.items()},
        versions=saved.versions,
        command=shlex.join(["nbdt", "report", model, data, *options]),
        notes=notes,
    )
    with working("Writing the report …"):
        write_text(output, to_page(found, origin, pictures=pictures))
    measured = found.evaluation.samples
    if json:
        document = {"model": model, "data": data, "output": output, "samples": measured}
        say_json(document | {"failed": failed})
    else:
        say(f"Wrote {output}: measured {measured:,} {reader.noun}s.")
    if failed:
        raise typer.Exit(1)


def _note(text: str) -> tuple[str, str]:
    what, equals, said = text.partition("=")
    if not equals or not what.strip():
        raise InputError(f"--note takes WHAT=TEXT, such as Date=2026-07-01; got {text!r:.80}.")
    return what.strip(), said.strip()
