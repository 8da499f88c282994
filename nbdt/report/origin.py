"""`Origin`: what a model and its data are called, and what only their files say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a report says of a model and its data that neither of them knows by itself.

    Attributes:
        model: what the model is called.
        data: what the data are called.
        files: the SHA-256 of each file of the model, by its name.
        versions: the versions of the packages that wrote them.
        command: what makes the same report again.
        notes: anything else, as {what: text}: who asked for the report, the date, ….

    Example:
        >>> Origin(model="my-model", data="cifar10", notes={"Date": "1 July 2026"}).data
        'cifar10'
    """

    model: str = "the model"
    data: str = "the data"
    files: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
