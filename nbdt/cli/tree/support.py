"""`nbdt tree support`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from nbdt.classifiers import find_head
from nbdt.cli.inputs import is_model, read_tree
from nbdt.cli.models import NetworkOption, restored
from nbdt.cli.options import (
    BranchingOption,
    JsonOption,
    LinkageOption,
    NoNormalizeOption,
    given,
    metric_option,
)
from nbdt.cli.output import say, say_json, working
from nbdt.cli.tree.keep import keep_tree
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.support import resampled_trees, support_labels, support_of, with_support

COUNT = 100
# As in phylogenetics, where a group that so many trees have is called well supported.
WELL = 0.95

app = typer.Typer(add_completion=False)


@app.command(epilog="Examples: nbdt tree support my-model --noise 0.1\n\n"
             "nbdt tree support seed-0 seed-1 seed-2 seed-3 --save")  # fmt: skip
def support(
    tree: Annotated[
        str,
        typer.Argument(
            metavar="TREE", help="A model's folder; where OTHERS are given, any tree will do."
        ),
    ],
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="OTHERS",
            help="Trees over the same classes, such as those of models trained from other seeds. "
            "Without them, trees are made of the model's weights, drawn anew.",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", min=1, metavar="N", help="How many trees to make.", show_default=str(COUNT)
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise",
            metavar="SHARE",
            help="Add noise to the weights, of this share of their spread, instead of drawing "
            "features with replacement.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, metavar="N", help="Of what is drawn.", show_default="0"),
    ] = None,
    linkage: LinkageOption = None,
    metric: Annotated[
        str | None, metric_option("How far classes are apart: euclidean or cosine.")
    ] = None,
    branching: BranchingOption = None,
    no_normalize: NoNormalizeOption = False,
    max_lines: Annotated[
        int,
        typer.Option(
            "--max-lines", min=0, metavar="N", help="How many lines to draw at most; 0 for all."
        ),
    ] = 60,
    save: Annotated[
        bool,
        typer.Option(
            "--save", metavar="", help="Keep it in the tree, so that pages and drawings show it."
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the tree with it to this file instead."
        ),
    ] = None,
    network_from: NetworkOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how often each group of a tree comes back when the tree is made again.

    Trees are made again as nbdt convert makes them; give the options that were given there.
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
            "the other trees are taken as they are; leave out either them or the options that say "
            "how trees are made."
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
    """Trees of a model's weights, drawn anew."""
    if not is_model(folder):
        raise InputError(
            f"{folder}: this is no model's folder, so there are no weights to make trees of; give "
            "other trees to compare it with."
        )
    model = restored(folder, network)
    if model.head is None:
        raise InputError(
            f"{folder}: which layer of the network holds its classes' weights is not known; give "
            "other trees to compare it with."
        )
    rows = find_head(model.network, model.head).rows.cpu().double().numpy()
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
