"""`nbdt demo`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from nbdt.cli.options import JsonOption, option
from nbdt.cli.output import say, say_json
from nbdt.demo import DEFAULT_OUTPUT, run, training_progress

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt demo --output digits-tree")
def demo(
    output: Annotated[
        str, option("--output -o FOLDER", "Where to write the model.")
    ] = DEFAULT_OUTPUT,
    seed: Annotated[int, option("--seed N", "The seed of the split and the training.")] = 0,
    json: JsonOption = False,
) -> None:
    """Train a small network on real data and turn it into a tree that explains itself.

    Uses scikit-learn's handwritten digits; downloads nothing.
    """
    with training_progress(Console(stderr=True)) as progress:
        result = run(output, seed=seed, progress=progress)
    if json:
        say_json(result.to_dict())
    else:
        say(str(result))
