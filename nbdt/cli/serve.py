"""`nbdt serve`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nbdt.cli.options import given
from nbdt.cli.output import note, say
from nbdt.errors import MissingDependencyError

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt serve my-model --port 8080")
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL…",
            help="Folders of models, as nbdt convert makes them, or folders of such folders.",
            show_default="NBDT_MODELS",
        ),
    ] = None,
    network_from: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="FILE.py:FUNCTION",
            help="What builds networks of your own; for one of several models, "
            "MODEL=FILE.py:FUNCTION. The file is run.",
            show_default="as the models' folders say",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Where to listen; 0.0.0.0 is everywhere.",
            show_default="127.0.0.1",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="NUMBER", help="The port; 0 is a free one.", show_default="8000"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="How many processes; each holds all models.",
            show_default="1",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            help="How many threads a process computes with.",
            show_default="the cores, shared",
        ),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            metavar="FILE",
            help="Let in only who has a key of this file.",
            show_default="everybody",
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option("--new-key", metavar="NAME", help="Only make a key, and its line in FILE."),
    ] = None,
) -> None:
    """Serve models over HTTP: a page at /, and decision paths for programs.

    Every limit has a setting NBDT_… in the environment; docs/service.md lists them.
    """
    try:
        from nbdt.server import logs
        from nbdt.server.keys import new_key as make_key
        from nbdt.server.settings import read_settings
        from nbdt.server.supervisor import Supervisor
    except ImportError as error:
        raise MissingDependencyError(
            f"nbdt serve needs {error.name}: pip install 'nbdt-toolkit[serve]'."
        ) from None
    if new_key is not None:
        secret, entry = make_key(new_key)
        say(secret)
        note(f"this key is shown once; into the file of keys goes {json.dumps(entry)}")
        return
    settings = read_settings(
        **given(
            models=models or None,
            networks=network_from or None,
            host=host,
            port=port,
            workers=workers,
            threads=threads,
            keys=keys,
        )
    )
    supervisor = Supervisor(
        settings, on_ready=lambda address: say(f"Serving at {address} (Ctrl+C stops)")
    )
    logs.configure(settings.log_level)
    supervisor.run()
