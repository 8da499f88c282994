"""The model that a command is given, and the device that it computes on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch

from nbdt.classifiers import Adapter, own_network
from nbdt.cli.options import argument, option, rule_option
from nbdt.cli.output import working
from nbdt.errors import InputError
from nbdt.inputs import ArrayInput, Input
from nbdt.model import NBDT
from nbdt.pretrained import own_arguments
from nbdt.rules import RuleName

# Files of arrays, which a model without an input takes as they are.
_ARRAYS = (".npy", ".npz")

ModelArgument = Annotated[str, argument("MODEL", "A model's folder, as nbdt convert makes it.")]
NetworkOption = Annotated[
    str | None,
    option(
        "--network FILE.py:FUNCTION",
        "Builds the model's network, if it is your own: the function is called without "
        "arguments. The file is run.",
        shown="as the model's folder says",
    ),
]
RuleOption = Annotated[RuleName | None, rule_option("the model's")]

DeviceOption = Annotated[
    str | None,
    option("--device NAME", "Such as cpu or cuda:1.", shown="a GPU, if any"),
]


def restored(folder: str, network: str | None = None) -> NBDT:
    """The model of a folder.

    Args:
        folder: the model's.
        network: what builds its network, where the folder does not say; see `own_network`.
    """
    built = None if network is None else own_network(network, **own_arguments(folder))
    return NBDT.from_pretrained(folder, network=built)


def load_model(
    folder: str, network: str | None = None, data: Sequence[str] = ()
) -> tuple[NBDT, Input]:
    """The model of a folder, as by `restored`, and the input that reads its samples.

    `data` are the arguments that name samples. Arrays need no preprocessing.
    """
    with working("Loading the model …"):
        model = restored(folder, network)
    if model.preprocessing is not None:
        return model, model.preprocessing
    if data and all(Path(argument).suffix.lower() in _ARRAYS for argument in data):
        return model, ArrayInput()
    raise InputError(
        f"{folder}: this model does not say how an image becomes its input; give it a "
        "preprocessing, as by nbdt convert --preprocessing, or give arrays (.npy, .npz)."
    )


def batch_size(model: NBDT) -> int:
    """How many samples to answer at a time: a call of another library costs more than a row."""
    return 512 if isinstance(model.network, Adapter) else 32


def as_given(network: str | None) -> str:
    """The option ``--network`` as it was given, for a command that is suggested."""
    return "" if network is None else f" --network {shlex.quote(network)}"


def device_of(name: str | None) -> torch.device:
    """The device of that name; without one a GPU, if there is any.

    Raises:
        InputError: this machine has no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device is such as cpu, cuda or cuda:1; got {name!r:.80}.") from None
    try:
        torch.empty(0, device=device)
    # torch says in many ways that a device is not there: built without it, no driver, no such GPU.
    except (AssertionError, RuntimeError, NotImplementedError):
        raise InputError(f"--device {name!s:.80}: this machine has no such device.") from None
    return device
