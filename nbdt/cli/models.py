"""The model that a command is given."""

from __future__ import annotations

from typing import Annotated

import typer

from nbdt.cli.output import working
from nbdt.cli.own_network import own_network
from nbdt.errors import InputError
from nbdt.model import NBDT
from nbdt.preprocessing import Preprocessing

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model's folder, as nbdt convert makes it.")
]


def load_model(folder: str, network: str | None = None) -> tuple[NBDT, Preprocessing]:
    """The model of a folder, and how an image becomes its input.

    Args:
        folder: the model's.
        network: what builds its network, where the folder does not say; see `own_network`.
    """
    with working("Loading the model …"):
        built = None if network is None else own_network(network)
        model = NBDT.from_pretrained(folder, network=built)
    if model.preprocessing is None:
        raise InputError(
            f"{folder}: this model does not say how an image becomes its input; give it a "
            "preprocessing, as by nbdt convert --preprocessing."
        )
    return model, model.preprocessing
