"""Registries without a list: one thing a module of a package, and what other packages add.

To add a thing, write its module; to add it from elsewhere, declare an entry point in the package's
group.
"""

from __future__ import annotations

import pkgutil
import warnings
from functools import cache
from importlib import import_module, metadata
from typing import TypeVar

from nbdt.errors import reason_of

T = TypeVar("T")


@cache
def registered(package: str, kind: type[T], group: str = "") -> tuple[T, ...]:
    """The objects of a kind that a package's modules hold at their top, then those from elsewhere.

    Args:
        package: the package.
        kind: the class that the objects are of.
        group: the group of entry points that name such objects; by default as the package.

    Returns:
        Each object once: the package's in the order of its modules' names, then the others in the
        order of their entry points' names. An entry point that cannot be loaded is left out with a
        warning.

    Example:
        >>> from nbdt.classifiers.base import Library
        >>> [library.name for library in registered("nbdt.classifiers", Library)][:2]
        ['nbdt', 'sklearn']
    """
    found: dict[int, T] = {}
    for info in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        values = vars(import_module(info.name)).values()
        found |= {id(value): value for value in values if isinstance(value, kind)}
    for point in sorted(
        metadata.entry_points(group=group or package), key=lambda point: point.name
    ):
        try:
            value = point.load()
        except Exception as error:  # whatever a stranger's module raises when it is imported
            problem = reason_of(error)
        else:
            problem = "" if isinstance(value, kind) else f"it is no {kind.__name__}"
        if problem:
            warnings.warn(f"{package}: {point.name} cannot be loaded: {problem}", stacklevel=2)
        else:
            found[id(value)] = value
    return tuple(found.values())
