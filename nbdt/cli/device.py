"""The device that a command computes on."""

from __future__ import annotations

from typing import Annotated

import torch

from nbdt.cli.options import option
from nbdt.errors import InputError

DeviceOption = Annotated[
    str | None,
    option("--device NAME", "Such as cpu or cuda:1.", shown="a GPU, if any"),
]


def device_of(name: str | None) -> torch.device:
    """The device of that name; without one a GPU, if there is any.

    Raises:
        InputError: there is no such device here.
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
        raise InputError(f"--device {name!s:.80}: there is no such device here.") from None
    return device
