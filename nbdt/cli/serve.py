"""`nbdt serve`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nbdt.cli.options import argument, given, option
from nbdt.cli.output import note, say
from nbdt.errors import missing

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt serve my-model --port 8080")
def serve(
    models: Annotated[
        list[str] | None,
        argument(
            "MODEL",
            "Folders of models, as nbdt convert makes them, or folders of such folders.",
            shown="NBDT_MODELS",
        ),
    ] = None,
    network_from: Annotated[
        list[str] | None,
        option(
            "--network FILE.py:FUNCTION",
            "Builds your own networks; for one of several models, MODEL=FILE.py:FUNCTION. The "
            "file is run.",
            shown="as the models' folders say",
        ),
    ] = None,
    host: Annotated[
        str | None,
        option(
            "--host ADDRESS",
            "Where to listen; 0.0.0.0 listens on all addresses.",
            shown="127.0.0.1",
        ),
    ] = None,
    port: Annotated[
        int | None, option("--port NUMBER", "The port; 0 is a free one.", shown="8000")
    ] = None,
    workers: Annotated[
        int | None,
        option("--workers N", "The number of processes; each loads all models.", shown="1"),
    ] = None,
    threads: Annotated[
        int | None,
        option(
            "--threads N",
            "The number of threads that a process computes with.",
            shown="the cores, shared",
        ),
    ] = None,
    keys: Annotated[
        str | None,
        option("--keys FILE", "Only accept clients with a key from this file.", shown="everybody"),
    ] = None,
    strict: Annotated[
        bool,
        option(
            "--strict",
            "Stop if one of several models cannot be loaded; else it is listed with the reason.",
        ),
    ] = False,
    new_key: Annotated[
        str | None, option("--new-key NAME", "Only make a key and its entry for FILE.")
    ] = None,
) -> None:
    """Serve models over HTTP: a page at /, and decision paths for programs.

    Every limit has a setting NBDT_… in the environment; see docs/service.md.
    """
    try:
        from nbdt.server import logs
        from nbdt.server.keys import new_key as make_key
        from nbdt.server.settings import read_settings
        from nbdt.server.supervisor import Supervisor
    except ImportError as error:
        raise missing(str(error.name), "serve", "nbdt serve") from None
    if new_key is not None:
        secret, entry = make_key(new_key)
        say(secret)
        note(
            f"this key is shown only once; add this entry to the file of keys: {json.dumps(entry)}"
        )
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
            strict=strict or None,
        )
    )
    supervisor = Supervisor(
        settings, on_ready=lambda address: say(f"Serving at {address} (Ctrl+C stops)")
    )
    logs.configure(settings.log_level)
    supervisor.run()
