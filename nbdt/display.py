"""How objects display themselves in notebooks, although the rooms that draw them come later.

`Displayed` asks a function that `nbdt` itself registers, so no layer imports forward.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

Bundle = dict[str, str]
"""A representation for every media type: ``text/html``, ``image/svg+xml``, ``text/plain``."""

_renderers: list[Callable[[Any], Bundle]] = []


def display_with(renderer: Callable[[Any], Bundle]) -> None:
    """Sets the function that draws all `Displayed` objects."""
    _renderers[:] = [renderer]


class Displayed:
    """An object that draws itself as the result of a notebook's cell."""

    __slots__ = ()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> Bundle:
        """The object as HTML, SVG and text, as IPython asks for it."""
        bundle = _renderers[-1](self)
        return {
            kind: text
            for kind, text in bundle.items()
            if (include is None or kind in include) and kind not in (exclude or ())
        }
