"""The program `nbdt`: its commands, and the one place where errors become sentences."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Annotated, Any, ClassVar

import typer

from nbdt.cli.groups import LazyGroup, show_help
from nbdt.cli.output import complain, note, say
from nbdt.errors import NBDTError, Note

PROGRAM = "nbdt"
DEBUG = "--debug"

# Typer has no public name for what its own errors of usage have in common.
UsageError: Any = typer.BadParameter.__mro__[1]


class Application(LazyGroup):
    """All commands, and the place where their errors end."""

    modules: ClassVar[Mapping[str, tuple[str, str]]] = {
        "demo": (
            "nbdt.cli.demo",
            "Train a small network on real data and turn it into a tree that explains itself.",
        ),
        "convert": (
            "nbdt.cli.convert",
            "Make a model folder from a trained classifier and a tree of its classes.",
        ),
        "train": (
            "nbdt.cli.train",
            "Tune a network to its tree, so that the tree decides as well as the network.",
        ),
        "explain": (
            "nbdt.cli.explain",
            "Explain a model's predictions, decision by decision.",
        ),
        "evaluate": (
            "nbdt.cli.evaluate",
            "Measure a model's accuracy: the network's own, and the tree's by each rule and score.",
        ),
        "report": (
            "nbdt.cli.report",
            "Write a report on a model, in one page, for a colleague or an auditor.",
        ),
        "calibrate": (
            "nbdt.cli.calibrate",
            "Find out when a model is unsure, so that explain can stop there.",
        ),
        "serve": (
            "nbdt.cli.serve",
            "Serve models over HTTP: a page at /, and decision paths for programs.",
        ),
        "verify": (
            "nbdt.cli.verify",
            "Check every byte of a model's folder, and show its root hash.",
        ),
        "tree": (
            "nbdt.cli.tree",
            "Show, draw, build, name, compare, try and convert trees of classes.",
        ),
    }

    def main(self, args: Any = None, *_: Any, **__: Any) -> Any:
        """Runs one command line (default: the program's own arguments) and exits.

        Typer's own way would draw a box around each error.
        """
        given = sys.argv[1:] if args is None else list(args)
        try:
            with _notes_printed():
                outcome = super().main(args, prog_name=PROGRAM, standalone_mode=False)
            sys.stdout.flush()
        except Exception as error:
            if given[:1] == [DEBUG]:
                traceback.print_exception(error)
            sys.exit(_reported(error))
        sys.exit(outcome if isinstance(outcome, int) else 0)


app = typer.Typer(
    cls=Application,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The program `nbdt`, as installed."""
    if not sys.warnoptions:
        # Users can't act on warnings that libraries address to programmers.
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe with another encoding gets escapes instead of an error.
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app()


@contextmanager
def _notes_printed() -> Iterator[None]:
    """Prints every `Note` once, as one line, rather than as a warning of Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        show, seen = warnings.showwarning, set[str]()

        def printed(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, Note):
                show(message, category, *place, **more)
            elif str(message) not in seen:
                seen.add(str(message))
                note(str(message))

        warnings.showwarning = printed
        yield


def _show_version(asked: bool) -> None:
    if asked:
        say(f"{PROGRAM} {metadata.version('nbdt-toolkit')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Also show the traceback of an error.")
    ] = False,
) -> None:
    """Turn a trained classifier into a decision tree whose every decision can be read."""
    show_help(ctx)


def _reported(error: Exception) -> int:
    """Prints the error on standard error and returns the exit code."""
    if isinstance(error, NBDTError):
        complain(str(error))
        return 2
    if isinstance(error, UsageError):
        where: Any = error
        # Typer leaves pydantic's words in some messages.
        message = where.format_message().rstrip(".").replace(": Value error, ", ": ")
        complain(f"{message} (see '{where.ctx.command_path if where.ctx else PROGRAM} --help').")
        return 2
    if isinstance(error, BrokenPipeError):
        # The reader is gone, as after `| head`; Python must not flush to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    complain(
        f"unexpected {type(error).__name__}: {error} ('{PROGRAM} {DEBUG} …' shows where it arose)"
    )
    return 1
