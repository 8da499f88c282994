"""The commands `nbdt tree support` and `nbdt tree try`, which ask a model."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nbdt.cli.inputs import is_model, node_of, read_tree
from nbdt.cli.labelled import DataArgument, LabelOption, PartialOption, load_samples
from nbdt.cli.models import (
    ModelArgument,
    NetworkOption,
    as_given,
    batch_size,
    load_model,
    restored,
)
from nbdt.cli.options import (
    BranchingOption,
    JsonOption,
    LinkageOption,
    MaxLinesOption,
    MetricOption,
    NoNormalizeOption,
    argument,
    given,
    option,
)
from nbdt.cli.output import note, progress, say, say_json, working
from nbdt.cli.samples import ColumnOption, IgnoreOption
from nbdt.cli.tree.files import keep_tree
from nbdt.errors import InputError
from nbdt.evaluation import EditSession, MoveSuggestions, Trial, suggest_moves
from nbdt.evaluation.edits import EditFunction
from nbdt.files import is_file
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.lookup import Node
from nbdt.hierarchy.support import resampled_trees, support_labels, support_of, with_support
from nbdt.selective.calibration import CALIBRATION

app = typer.Typer(add_completion=False)


COUNT = 100
# As in phylogenetics, where a group that so many trees have is called well supported.
WELL = 0.95


@app.command(epilog="Examples: nbdt tree support my-model --noise 0.1\n\n"
             "nbdt tree support seed-0 seed-1 seed-2 seed-3 --save")  # fmt: skip
def support(
    tree: Annotated[str, argument("TREE", "A model's folder; with OTHERS, any tree.")],
    others: Annotated[
        list[str] | None,
        argument(
            "OTHERS",
            "Trees over the same classes, such as trees of models trained from other seeds. "
            "Without them, trees are built from resampled weights of the model.",
        ),
    ] = None,
    count: Annotated[
        int | None, option("--count N", "The number of trees to build.", min=1, shown=str(COUNT))
    ] = None,
    noise: Annotated[
        float | None,
        option(
            "--noise SHARE",
            "Add noise to the weights, as a share of their spread, instead of resampling features.",
        ),
    ] = None,
    seed: Annotated[
        int | None, option("--seed N", "The seed of the resampling.", min=0, shown="0")
    ] = None,
    linkage: LinkageOption = None,
    metric: MetricOption = None,
    branching: BranchingOption = None,
    no_normalize: NoNormalizeOption = False,
    max_lines: MaxLinesOption = 60,
    save: Annotated[
        bool, option("--save", "Store it in the tree, so that pages and drawings show it.")
    ] = False,
    output: Annotated[
        str | None, option("--output -o FILE", "Write the tree with it to this file instead.")
    ] = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how often each group of a tree recurs when the tree is rebuilt.

    Trees are rebuilt as nbdt convert builds them; pass the same options.
    """
    mine = read_tree(tree)
    if len(mine.inner) == 1:
        raise InputError(f"{tree}: this tree has no group of classes below its root.")
    made = given(count=count, noise=noise, seed=seed)
    induction = given(linkage=linkage, metric=metric, branching=branching)
    if no_normalize:
        induction["normalize"] = False
    if others and (made or induction):
        raise InputError(
            "the other trees are used as they are; leave out either them or the options for "
            "building trees."
        )
    with working("Making trees …" if not others else "Reading trees …"):
        made_again = (
            map(read_tree, others) if others else _made_again(tree, network_from, made | induction)
        )
        known = with_support(mine, made_again)
    written = {}
    if save or output is not None:
        written = {"output": keep_tree(known, tree, output)}
    if json:
        say_json({"tree": tree, "trees": _trees(known), **made, "others": others or [],
                  "nodes": _nodes(known), **written})  # fmt: skip
        return
    say(known.to_text(max_lines or len(known), support_labels(known)))
    say(f"\n{_summary(known)}")
    if written:
        say(f"Wrote {written['output']}.")


def _made_again(folder: str, network: str | None, options: dict[str, Any]) -> Iterable[Hierarchy]:
    """Trees of a model's resampled weights."""
    if not is_model(folder):
        raise InputError(
            f"{folder}: not a model's folder, so it has no weights to build trees from; give "
            "other trees to compare with."
        )
    model = restored(folder, network)
    head = model.found_head
    if head is None:
        raise InputError(
            f"{folder}: the layer with the classes' weights is unknown; give other trees to "
            "compare with."
        )
    rows = head.rows.cpu().double().numpy()
    return resampled_trees(rows, model.classes, **{"count": COUNT, **options})


def _trees(tree: Hierarchy) -> int:
    return int(tree.attributes(tree.inner[0])["support_trees"])


def _nodes(tree: Hierarchy) -> list[dict[str, Any]]:
    return [
        {"node": node, "name": tree.name(node), "classes": int(tree.sizes[node]), "support": share}
        for node, share in support_of(tree).items()
    ]


def _summary(tree: Hierarchy) -> str:
    shares = list(support_of(tree).values())
    well = sum(share >= WELL for share in shares)
    trees = f"{_trees(tree):,} tree{'s' * (_trees(tree) != 1)}"
    return (
        f"Support in {trees}: {100 * sum(shares) / len(shares):.0f} % on average; "
        f"{well:,} of {len(shares):,} groups are in at least {100 * WELL:.0f} % of them."
    )


TRIES = 200
# What `suggest_moves` suggests.
OPTIONS = {edit.move.__name__: "--move", edit.regraft.__name__: "--beside"}


@app.command("try", epilog="Examples: nbdt tree try my-model choose --suggest\n\n"
             "nbdt tree try my-model confirm --beside cat=dog --save edited")  # fmt: skip
def trial(
    model: ModelArgument,
    data: DataArgument,
    move: Annotated[
        list[str] | None, option("--move NODE=PARENT", "Move a node below an inner node.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        option("--beside NODE=OTHER", "Put two nodes below a new node."),
    ] = None,
    dissolve: Annotated[
        list[str] | None,
        option("--dissolve NODE", "Remove a node; its children go to its parent."),
    ] = None,
    suggest: Annotated[
        bool, option("--suggest", "Look for moves that raise the hard rule's accuracy.")
    ] = False,
    tries: Annotated[
        int | None,
        option(
            "--tries N",
            "How many moves --suggest tries; each answers all samples once.",
            min=1,
            shown=str(TRIES),
        ),
    ] = None,
    label: LabelOption = None,
    column: ColumnOption = None,
    ignore: IgnoreOption = None,
    partial: PartialOption = False,
    save: Annotated[
        str | None, option("--save FOLDER", "Save the model with the edited tree in this folder.")
    ] = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Try edits of a model's tree on labeled samples, and see how they change its accuracy.

    Only --save changes anything. Options for edits are repeatable: moves come first, in order,
    then nodes put beside another, then dissolved ones. Name nodes by name or id.
    """
    edits: list[tuple[EditFunction, tuple[str, ...]]] = [
        *((edit.move, _pair("--move", text)) for text in move or ()),
        *((edit.regraft, _pair("--beside", text)) for text in beside or ()),
        *((edit.dissolve, (node,)) for node in dissolve or ()),
    ]
    _check(bool(edits), suggest, tries is not None, save is not None)
    network, reader = load_model(model, network_from, [data])
    samples = load_samples(
        data, network.classes, reader, label=label, column=column, ignore=ignore, partial=partial
    )
    with progress("Answering", len(samples)) as advance:
        session = EditSession(network, samples, batch_size=batch_size(network), progress=advance)
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
        say(
            _suggested(found, model, made, reader.noun)
            + (as_given(network_from) if found.moves else "")
        )
    if save is not None:
        edits_made = f"{len(trials)} edit{'s' * (len(trials) != 1)}"
        say(f"Wrote {save}: the model with {edits_made} of its tree.")
        if is_file(Path(save) / CALIBRATION):
            note(f"{save} was calibrated with another tree; run nbdt calibrate again.")


def _check(edits: bool, suggest: bool, tries: bool, save: bool) -> None:
    if not edits and not suggest:
        raise InputError("nothing to try: give --move, --beside, --dissolve or --suggest.")
    if tries and not suggest:
        raise InputError("--tries limits --suggest; add --suggest.")
    if save and not edits:
        raise InputError("nothing to save: make a suggested move with --move or --beside.")


def _pair(option: str, text: str) -> tuple[str, str]:
    node, _, other = text.partition("=")
    if not node or not other:
        raise InputError(f"{option} takes two nodes, such as {option} cat=dog; got {text!r:.80}.")
    return node, other


def _node(tree: Hierarchy, name: str) -> Node:
    """The node as an edit notes it: by name where it has one, since ids change."""
    return name if name in tree.names else node_of(tree, name)


def _suggested(found: MoveSuggestions, model: str, made: Sequence[str], noun: str) -> str:
    """What was found, and how to try the best of it after the edits that were made."""
    above = "On top of these edits:\n" if made else ""
    if not found.moves:
        return f"{above}{found}"
    best = found.moves[0].edit
    nodes = "=".join(map(str, best.arguments.values()))
    edits = [*made, OPTIONS[best.name], nodes]
    command = shlex.join(["nbdt", "tree", "try", model, "OTHERS", *edits])
    return f"{above}{found}\nNext, on other {noun}s: {command}"


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
