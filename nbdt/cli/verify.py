"""`nbdt verify`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from nbdt.cli.options import JsonOption, argument, option
from nbdt.cli.output import note, say, say_json
from nbdt.errors import FormatError, InputError

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt verify my-model --expect 1f0c…")
def verify(
    model: Annotated[str, argument("MODEL", "A model's folder, as nbdt convert makes it.")],
    expect: Annotated[
        str | None,
        option("--expect SHA256", "The root hash, or its first 12 digits or more, from elsewhere."),
    ] = None,
    reseal: Annotated[
        bool,
        option("--reseal", "Take the folder as it is now, after edits by hand."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check every byte of a model's folder, and show its root hash.

    The root hash covers all files of the model. Hashes in the folder find accidents; against
    attackers compare the root hash with one that you got from elsewhere: --expect.
    """
    from nbdt.pretrained import read_model
    from nbdt.pretrained import reseal as reseal_folder

    if expect is not None and not re.fullmatch("[0-9a-fA-F]{12,64}", expect):
        raise InputError(f"--expect takes 12 to 64 hexadecimal digits; got {expect!r:.80}.")
    if reseal:
        changed = reseal_folder(model)
        note(f"took {', '.join(changed)} as they are now." if changed else "nothing had changed.")
    saved = read_model(model)
    if expect is not None and not saved.root_hash.startswith(expect.lower()):
        raise FormatError(
            f"{model}: the root hash is {saved.root_hash}, not {expect}; this is not the model "
            "that was expected."
        )
    if json:
        files = {name: record.sha256 for name, record in saved.config.files.items()}
        say_json({"model": model, "root_hash": saved.root_hash, "files": files})
    else:
        say(f"{model}: all {len(saved.config.files) + 1} files are as they were saved.")
        say(f"Root hash: {saved.root_hash}")
