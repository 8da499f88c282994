"""`nbdt explain`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor

from nbdt.attribution import Attribution, attribute_path
from nbdt.cli.models import (
    DeviceOption,
    ModelArgument,
    NetworkOption,
    RuleOption,
    batch_size,
    device_of,
    load_model,
)
from nbdt.cli.options import JsonOption, argument, option
from nbdt.cli.output import check_folder, complain, note, progress, say, say_drawing, say_json
from nbdt.cli.samples import ColumnOption, IgnoreOption, Samples, TextOption
from nbdt.errors import InputError
from nbdt.explain import Explanation, Sites, explain_predictions
from nbdt.files import write_text
from nbdt.hierarchy import Hierarchy
from nbdt.inputs import Preview
from nbdt.model import NBDT
from nbdt.rules import Predictions, RuleName, get_rule, is_map
from nbdt.rules.sites import logits_at, site_of, size_text
from nbdt.run import answers, forward
from nbdt.selective import SelectiveNBDT, read_calibration
from nbdt.selective.conformal import checked_guarantee
from nbdt.view import attribution_rich, attribution_text, to_html, to_rich, to_text
from nbdt.view.evidence import evidence_of
from nbdt.view.html.page import IMAGE_SIZE
from nbdt.view.svg import data_uri

Explaining = Callable[[Predictions], list[Explanation]]

app = typer.Typer(add_completion=False)


class Answer(NamedTuple):
    """An explanation, the likeliest classes with their probabilities, and what spoke for it."""

    explanation: Explanation
    likeliest: list[tuple[int, float]]
    attributions: Sequence[Attribution] = ()


@app.command(
    epilog="Examples: nbdt explain my-model cat.jpg photos --top 3\n\n"
    "cat cat.jpg | nbdt explain my-model - --json\n\n"
    """nbdt explain my-texts "a text"; nbdt explain my-table adult.csv --ignore income"""
)
def explain(
    model: ModelArgument,
    samples: Annotated[
        list[str],
        argument(
            "SAMPLE",
            "What the model reads: image files; texts, or files of them; tables (.csv, .parquet, "
            "…), or a row as JSON; arrays (.npy, .npz); folders of these; or - for standard input.",
        ),
    ],
    text: TextOption = False,
    column: ColumnOption = None,
    ignore: IgnoreOption = None,
    rule: RuleOption = None,
    top: Annotated[int, option("--top N", "Also name the N likeliest classes.", min=0)] = 0,
    full: Annotated[bool, option("--full", "Show every decision of a long path.")] = False,
    guarantee: Annotated[
        float | None,
        option(
            "--guarantee SHARE",
            "Stop where the model is unsure, so that this share of answers, such as 0.95, holds "
            "the true class; needs nbdt calibrate first.",
        ),
    ] = None,
    per_superclass: Annotated[
        bool,
        option(
            "--per-superclass",
            "Make the guarantee hold separately under each child of the root.",
        ),
    ] = False,
    draw: Annotated[bool, option("--draw", "Also draw each path with its siblings.")] = False,
    attribution: Annotated[
        bool,
        option(
            "--attribution",
            "Also say what in each sample spoke for each decision: words, columns or pixels.",
        ),
    ] = False,
    at: Annotated[
        str | None,
        option("--at ROW,COLUMN", "The site to explain, where the model gives a map of classes."),
    ] = None,
    html: Annotated[
        str | None,
        option(
            "--html FILE", "Also write a page with the samples, their paths and the whole tree."
        ),
    ] = None,
    device: DeviceOption = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Explain a model's predictions, decision by decision.

    With --json, prints one line per sample, with its name and its explanation or error.
    """
    if html is not None:
        check_folder(html)
    if per_superclass and guarantee is None:
        raise InputError("--per-superclass narrows a guarantee; add --guarantee.")
    site = None if at is None else site_of(at)
    place = device_of(device)
    network, reader = load_model(model, network_from, samples)
    network.to(place)
    # As in Python, explanations of maps have no distances.
    geometry = network.geometry() if site is None else None
    explaining: Explaining = partial(explain_predictions, geometry=geometry)
    if guarantee is not None:
        explaining = _stopping(network, rule, guarantee, per_superclass, model)
    sources = Samples(samples, reader, text=text, column=column, ignore=ignore or ())
    run = answers(
        network,
        sources,
        batch_size=batch_size(network),
        labels="none",
        on_failure="keep",
        rows=1,
        forward=partial(_forward, site),
    )
    shown = _Shown(network.hierarchy, sources)
    unattributed = False
    with progress("Explaining", len(sources), between_results=True) as run.progress:
        for block in run:
            told = _answered(network.predictions(block.logits, rule), explaining, top)
            if site is not None and block.others:
                told = list(map(partial(_placed, site), told, block.others[0].tolist()))
            found = dict(zip(block.indices.tolist(), told, strict=True))
            for index in sorted({*found, *block.failures}):
                name = sources.names[index]
                if index in block.failures:
                    message = block.failures[index].removeprefix(f"{name}: ")
                    message = message.removeprefix("the image: ")  # on standard input
                    complain(f"{name}: {message}")
                    if json:
                        say_json({reader.noun: name, "error": message})
                    continue
                answer = found[index]
                if attribution:
                    try:
                        spoke = attribute_path(network, sources.sample(index), answer.explanation)
                        answer = answer._replace(attributions=spoke)
                    except InputError as error:
                        unattributed = True
                        complain(f"{name}: {error}")
                if json:
                    say_json({reader.noun: name, **_document(answer, network.classes, top)})
                else:
                    _tell(name if len(sources) > 1 else "", answer, network.classes, full, draw)
                if html is not None:
                    shown.add(index, answer)
    if html is not None and shown.explanations:
        write_text(html, shown.page())
        note(f"wrote {html}.")
    if run.failures or unattributed:
        raise typer.Exit(1)


def _forward(
    site: tuple[int, ...] | None, model: NBDT, inputs: Any
) -> Tensor | tuple[Tensor, Tensor]:
    """The logits of a batch; those of a site of maps with the shape of each map."""
    logits = forward(model, inputs)
    if site is not None:
        rows, _ = logits_at(logits, site)
        return rows, torch.tensor([logits.shape[2:]] * len(logits))
    if is_map(logits):
        raise InputError(
            f"this model answers {size_text(logits.shape[2:])} sites a sample; name one: "
            "--at ROW,COLUMN."
        )
    return logits


def _placed(site: tuple[int, ...], answer: Answer, shape: list[int]) -> Answer:
    where = Sites.one(tuple(shape), site)
    return answer._replace(explanation=replace(answer.explanation, sites=where))


class _Shown:
    """The explanations of a page, and the samples; their pictures in the size that it shows."""

    def __init__(self, tree: Hierarchy, samples: Samples) -> None:
        self.tree, self.samples = tree, samples
        self.names: list[str] = []
        self.explanations: list[Explanation] = []
        self.previews: list[Preview] = []
        self.pictures: list[str | None] = []
        self.attributions: list[Sequence[Attribution]] = []

    def add(self, index: int, answer: Answer) -> None:
        preview = self.samples.reader.preview(self.samples.sample(index))
        picture = preview.picture
        self.names.append(self.samples.names[index])
        self.explanations.append(answer.explanation)
        self.previews.append(replace(preview, picture=None))
        self.pictures.append(None if picture is None else data_uri(picture, IMAGE_SIZE))
        self.attributions.append(answer.attributions)

    def page(self) -> str:
        return to_html(
            self.tree,
            self.explanations,
            images=self.pictures,
            captions=self.names,
            samples=self.previews,
            attributions=self.attributions,
        )


def _stopping(
    model: NBDT, rule: RuleName | None, guarantee: float, per_superclass: bool, folder: str
) -> Explaining:
    """Explains with answers that stop when unsure, as the folder's calibration allows."""
    if not get_rule(rule or model.rule).ranks_classes:
        raise InputError(
            "--guarantee climbs from the likeliest class, which is what the soft rule predicts; "
            "say --rule soft."
        )
    model.rule = "soft"
    checked_guarantee(guarantee)  # before a guarantee of 90 is reported as a missing calibration
    selective = SelectiveNBDT(
        model, guarantee, per_superclass=per_superclass, calibration=read_calibration(folder)
    )
    note(str(selective))
    return selective.explain_predictions


def _answered(predictions: Predictions, explaining: Explaining, top: int) -> list[Answer]:
    explanations = explaining(predictions)
    if not top:
        return [Answer(explanation, []) for explanation in explanations]
    most = predictions.log_probs.exp().topk(min(top, predictions.layout.num_classes))
    likeliest = (
        list(zip(*row, strict=True))
        for row in zip(most.indices.tolist(), most.values.tolist(), strict=True)
    )
    return list(map(Answer, explanations, likeliest))


def _document(answer: Answer, classes: Sequence[str], top: int) -> dict[str, Any]:
    document: dict[str, Any] = {"explanation": answer.explanation.to_dict()}
    if top:
        document["top"] = [
            {"class": index, "name": classes[index], "probability": probability}
            for index, probability in answer.likeliest
        ]
    if answer.attributions:
        document["attribution"] = [
            one.to_dict() | ({"picture": drawn.picture} if drawn.picture else {})
            for one, drawn in zip(
                answer.attributions, evidence_of(answer.attributions), strict=True
            )
        ]
    return document


def _tell(heading: str, answer: Answer, classes: Sequence[str], full: bool, draw: bool) -> None:
    if heading:
        say(heading, bold=True)
    say(answer.explanation.to_text(full=full))
    if draw:
        say_drawing(to_rich(answer.explanation), to_text(answer.explanation))
    if answer.attributions:
        say_drawing(attribution_rich(answer.attributions), attribution_text(answer.attributions))
    if answer.likeliest:
        shown = ", ".join(f"{classes[i]} {100 * share:.1f} %" for i, share in answer.likeliest)
        say(f"Likeliest: {shown}.")
    if heading:
        say("")
