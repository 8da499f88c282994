"""HTTP protocols: one module each, with its `Protocol` as ``PROTOCOL``; found automatically.

To add a protocol, add its module: its requests as documents, from them a
`nbdt.server.parsing.ParsedRequest`, the schemas of its answers, its form of errors, and routes that
call `nbdt.server.exchange.respond` with functions that parse and write.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from fastapi import APIRouter

from ..errors import ErrorForm
from ..openapi import example_instances
from ..rows import RowReader


@dataclass(frozen=True)
class Protocol:
    """A way to use the service over HTTP.

    Attributes:
        name: what its users call it.
        below: the paths where it answers, for people.
        router: its routes, with their parts of the OpenAPI document.
        errors: the form of its errors, by path prefix; others are RFC 9457's.
        probes: health paths: open without a key, and not logged.
        example: an example of a body that asks a model, from what it reads.
    """

    name: str
    below: str
    router: APIRouter
    errors: Mapping[str, type[ErrorForm]] = field(default_factory=dict)
    probes: frozenset[str] = frozenset()
    example: Callable[[RowReader], Any] = example_instances


def find_protocols() -> list[Protocol]:
    """The protocols of this package's modules, by name."""
    modules = (import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    protocols: list[Protocol] = [module.PROTOCOL for module in modules]
    return sorted(protocols, key=lambda protocol: protocol.name)
