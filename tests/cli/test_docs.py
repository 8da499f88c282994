"""docs/cli.md: what it shows is what a reader gets."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.main import get_command

from nbdt.cli import app
from tests.cli.conftest import Run
from tests.cli.test_program import COMMANDS

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"

# What needs a trained network or a database; these were copied from a terminal.
NEED_DATA = (
    "demo", "convert", "train", "explain", "evaluate", "calibrate", "report", "serve",
    "tree build wordnet", "tree try", "tree support my-model",
)  # fmt: skip


def examples() -> Iterator[tuple[str, str]]:
    """Each command in the document with the output shown below it."""
    for block in re.findall(r"```console\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL):
        for example in block.split("$ ")[1:]:
            command, _, output = example.partition("\n")
            yield command, output


def test_the_examples_that_need_no_data_are_real(run: Run) -> None:
    ran = 0
    for command, output in examples():
        program, *arguments = shlex.split(command)
        if program == "cat" and not Path(arguments[0]).exists():
            Path(arguments[0]).write_text(output, encoding="utf-8")
        elif program == "cat":
            assert Path(arguments[0]).read_text(encoding="utf-8") == output, command
        elif not " ".join(arguments).startswith(NEED_DATA):
            result = run(*arguments)
            lines = [line.rstrip() for line in (result.stdout + result.stderr).splitlines()]
            assert lines == output.splitlines(), command
            ran += 1
    assert ran >= 9


def test_the_other_examples_can_be_understood() -> None:
    for command, _ in examples():
        program, *arguments = shlex.split(command)
        if program == "nbdt" and " ".join(arguments).startswith(NEED_DATA):
            found = get_command(app)
            context = typer.Context(found)
            while hasattr(found, "resolve_command"):
                _, found, arguments = found.resolve_command(context, arguments)
            found.make_context("nbdt", list(arguments)).close()  # a usage error would raise


def test_every_command_has_an_example() -> None:
    shown = [command for command, _ in examples()]
    missing = [path for path in COMMANDS if not any(f"nbdt {path}" in one for one in shown)]
    assert not missing
