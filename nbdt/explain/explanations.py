"""The explanations of a batch: a list that shows itself in notebooks."""

from __future__ import annotations

from typing import SupportsIndex, overload

from nbdt.display import Displayed
from nbdt.explain.explanation import Explanation


class Explanations(list[Explanation], Displayed):
    """A list of explanations; in a notebook it draws them side by side, and so do its slices.

    Example:
        >>> type(Explanations()[:2]).__name__
        'Explanations'
    """

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex) -> Explanation: ...

    @overload
    def __getitem__(self, index: slice) -> Explanations: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Explanation | Explanations:
        got = super().__getitem__(index)
        return Explanations(got) if isinstance(got, list) else got
