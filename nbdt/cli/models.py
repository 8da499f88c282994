"""The model that a command is given."""

from __future__ import annotations

from typing import Annotated

import typer

from nbdt.cli.output import working
from nbdt.errors import InputError
from nbdt.model import NBDT
from nbdt.preprocessing import Preprocessing

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model's folder, as nbdt convert makes it.")
]


def load_model(folder: str) -> tuple[NBDT, Preprocessing]:
    """The model of a folder, and how an image becomes its input."""
    with working("Loading the model …"):
        model = NBDT.from_pretrained(folder)
    if model.preprocessing is None:
        raise InputError(
            f"{folder}: this model does not say how an image becomes its input; give it a "
            "preprocessing, as by nbdt convert --preprocessing."
        )
    return model, model.preprocessing
