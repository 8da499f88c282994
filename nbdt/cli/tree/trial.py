"""`nbdt tree try`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nbdt.cli.inputs import node_of
from nbdt.cli.labelled import BATCH, DataArgument, PartialOption, load_images
from nbdt.cli.models import ModelArgument, NetworkOption, as_given, load_model
from nbdt.cli.options import JsonOption
from nbdt.cli.output import note, progress, say, say_json, working
from nbdt.errors import InputError
from nbdt.evaluation import EditSession, MoveSuggestions, Trial, suggest_moves
from nbdt.evaluation.edits import EditFunction
from nbdt.files import is_file
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.lookup import Node
from nbdt.selective.folder import CALIBRATION

TRIES = 200
# What `suggest_moves` suggests.
OPTIONS = {edit.move.__name__: "--move", edit.regraft.__name__: "--beside"}

app = typer.Typer(add_completion=False)


@app.command(epilog="Examples: nbdt tree try my-model choose --suggest\n\n"
             "nbdt tree try my-model confirm --beside cat=dog --save edited")  # fmt: skip
def trial(
    model: ModelArgument,
    data: DataArgument,
    move: Annotated[
        list[str] | None,
        typer.Option("--move", metavar="NODE=PARENT", help="Hang a node below an inner node."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--beside", metavar="NODE=OTHER", help="Put two nodes below a new one of their own."
        ),
    ] = None,
    dissolve: Annotated[
        list[str] | None,
        typer.Option(
            "--dissolve", metavar="NODE", help="Take a node out; what it held goes to its parent."
        ),
    ] = None,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest", metavar="", help="Look for moves that raise the hard rule's accuracy."
        ),
    ] = False,
    tries: Annotated[
        int | None,
        typer.Option(
            "--tries",
            min=1,
            metavar="N",
            help="How many moves to look at for --suggest; each answers all images once.",
            show_default=str(TRIES),
        ),
    ] = None,
    partial: PartialOption = False,
    save: Annotated[
        str | None,
        typer.Option(
            "--save", metavar="FOLDER", help="Save the model with the edited tree in this folder."
        ),
    ] = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Try edits of a model's tree on labelled images, and see what they do to its accuracy.

    Nothing is changed but by --save. Edits may be given again: first all moves are made in their
    order, then those beside another node, then what is dissolved. A node is named by name or id.
    """
    edits: list[tuple[EditFunction, tuple[str, ...]]] = [
        *((edit.move, _pair("--move", text)) for text in move or ()),
        *((edit.regraft, _pair("--beside", text)) for text in beside or ()),
        *((edit.dissolve, (node,)) for node in dissolve or ()),
    ]
    _check(bool(edits), suggest, tries is not None, save is not None)
    network, preprocessing = load_model(model, network_from)
    images = load_images(data, network.classes, preprocessing, partial=partial)
    with progress("Answering", len(images)) as advance:
        session = EditSession(network, images, batch_size=BATCH, progress=advance)
    trials: list[Trial] = []
    for function, named in edits:
        nodes = (_node(session.tree, name) for name in named)
        trials.append(session.try_edit(function, *nodes))
        session.accept(trials[-1])
        if not json:
            say(f"{trials[-1]}\n")
    found = None
    if suggest:
        with working("Trying moves …"):
            found = suggest_moves(session, tries=tries or TRIES)
    if save is not None:
        session.commit().save_pretrained(save)
    if json:
        say_json(_document(model, data, session, trials, found, save))
        return
    if len(trials) > 1:
        say(f"{session}\n")
    if found is not None:
        given = {"--move": move, "--beside": beside, "--dissolve": dissolve}
        made = [f"{option}={node}" for option, nodes in given.items() for node in nodes or ()]
        say(_suggested(found, model, made) + (as_given(network_from) if found.moves else ""))
    if save is not None:
        edits_made = f"{len(trials)} edit{'s' * (len(trials) != 1)}"
        say(f"Wrote {save}: the model with {edits_made} of its tree.")
        if is_file(Path(save) / CALIBRATION):
            note(f"{save} was calibrated with another tree; calibrate it anew: nbdt calibrate.")


def _check(edits: bool, suggest: bool, tries: bool, save: bool) -> None:
    if not edits and not suggest:
        raise InputError("say what to try by --move, --beside or --dissolve, or ask by --suggest.")
    if tries and not suggest:
        raise InputError("--tries says how many moves to look at; add --suggest.")
    if save and not edits:
        raise InputError(
            "there is no edit to save; suggested moves are made by --move or --beside."
        )


def _pair(option: str, text: str) -> tuple[str, str]:
    node, _, other = text.partition("=")
    if not node or not other:
        raise InputError(f"{option} takes two nodes, as {option} cat=dog; got {text!r:.80}.")
    return node, other


def _node(tree: Hierarchy, name: str) -> Node:
    """The node as an edit notes it: by name where it has one, since ids change."""
    return name if name in tree.names else node_of(tree, name)


def _suggested(found: MoveSuggestions, model: str, made: Sequence[str]) -> str:
    """What was found, and how to try the best of it after the edits that were made."""
    above = "On top of these edits:\n" if made else ""
    if not found.moves:
        return f"{above}{found}"
    best = found.moves[0].edit
    nodes = "=".join(map(str, best.arguments.values()))
    edits = [*made, OPTIONS[best.name], nodes]
    command = shlex.join(["nbdt", "tree", "try", model, "OTHERS", *edits])
    return f"{above}{found}\nGo on with other images: {command}"


def _document(
    model: str,
    data: str,
    session: EditSession,
    trials: list[Trial],
    found: MoveSuggestions | None,
    output: str | None,
) -> dict[str, Any]:
    return {
        "model": model,
        "data": data,
        "samples": session.samples,
        "edits": [one.to_dict() for one in trials],
        **({} if found is None else {"suggestions": found.to_dict()}),
        **({} if output is None else {"output": output}),
    }
