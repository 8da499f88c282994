"""Registries without a list: one thing per module of a package, and what other packages add.

To add a thing, write its module; to add it from elsewhere, declare an entry point in the package's
group.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from inspect import isabstract
from typing import Any, TypeVar

from nbdt.errors import reason_of

T = TypeVar("T")


@cache
def registered(package: str, kind: type[T], group: str = "") -> tuple[T, ...]:
    """The objects of a kind that a package's modules hold at their top, then those from elsewhere.

    The others are named by entry points in `group`, by default the package's name. Each object
    comes once: the package's by their modules' names, then the others by their entry points'. An
    entry point that cannot be loaded is left out with a warning.
    """
    found = {id(value): value for value in _values(package, group) if isinstance(value, kind)}
    return tuple(found.values())


@cache
def registered_classes(package: str, base: type[T]) -> tuple[type[T], ...]:
    """As `registered`, the subclasses of `base`, but for abstract ones."""
    classes = (value for value in _values(package) if isinstance(value, type))
    found = (cls for cls in classes if issubclass(cls, base) and cls is not base)
    return tuple(dict.fromkeys(cls for cls in found if not isabstract(cls)))


def _values(package: str, group: str = "") -> Iterator[Any]:
    for info in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        yield from vars(import_module(info.name)).values()
    points = metadata.entry_points(group=group or package)
    for point in sorted(points, key=lambda point: point.name):
        try:
            yield point.load()
        except Exception as error:  # whatever a stranger's module raises when it is imported
            warnings.warn(f"{point.value} was not loaded: {reason_of(error)}", stacklevel=3)
