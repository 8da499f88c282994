"""What a measure is: counted batch by batch, merged across machines, found by a registry.

To add a measure, write one module in this package: a `Measure` with the decorator `measure`, and
the `Result` that it computes. Every `Evaluation` then holds, prints and stores it.

    @measure("entropy")
    class EntropyCounter(Measure[Entropy]):
        ...
"""

from __future__ import annotations

import pkgutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.evaluation.tables import Record
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray, is_integer
from nbdt.rules import Predictions

BINS = 15
EXAMPLES = 5


class Section(NamedTuple):
    """One part of a printed evaluation: a title and a table.

    Sections are printed in ascending `order`, `full` ones only in the full text.
    """

    order: int
    lines: list[str]
    full: bool = False


@dataclass(frozen=True)
class TextOptions:
    """How an evaluation is printed: `most` rows a table (None for all), and names of samples."""

    most: int | None = 5
    sample_name: Callable[[int], str] = str

    def title(self, text: str, total: int) -> str:
        """A table's title, which counts the rows where some are left out."""
        shown = total if self.most is None else min(self.most, total)
        return f"{text} ({shown} of {total})" if shown < total else text


class Result(Record):
    """What a measure found: a dataclass, and how an evaluation prints it, which is optional."""

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The tables to print."""
        return ()

    def summary(self) -> Iterable[str]:
        """The lines to print in the summary: a word of up to 11 letters, then numbers."""
        return ()

    def examples(self) -> Iterable[int]:
        """The indices of the samples that the result names."""
        return ()


R = TypeVar("R")
M = TypeVar("M", bound="type[Measure[Any]]")


class Measure(ABC, Generic[R]):
    """Counts something over batches of `Predictions`, in memory that samples do not fill.

    Args:
        hierarchy: the tree that the predictions are made with.
        bins: how many bins of equal width confidence is sorted into.
        examples: how many samples to name as examples of each kind.

    Attributes:
        name: the key of the result in an `Evaluation` and its JSON.
        order: results are listed in ascending order.
        at_top: whether the keys of the result stand at the top of the evaluation's JSON.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 100
    at_top: ClassVar[bool] = False

    def __init__(self, hierarchy: Hierarchy, *, bins: int = BINS, examples: int = EXAMPLES) -> None:
        for what, value, least in (("bins", bins, 2), ("examples", examples, 0)):
            if not is_integer(value) or value < least:
                raise InputError(f"{what} must be an integer ≥ {least}; got {value!r:.80}.")
        self.hierarchy, self.bins, self.examples = hierarchy, bins, examples
        self.start()

    def start(self) -> None:
        """Sets all counts to zero; called when a measure is made."""

    @abstractmethod
    def update(self, batch: Predictions) -> None:
        """Counts a batch of at least one labelled sample."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Adds what another measure with the same arguments counted, on later samples."""

    @abstractmethod
    def compute(self) -> R:
        """The result so far."""


_REGISTERED: dict[str, type[Measure[Any]]] = {}


def measure(name: str, *, order: int = 100, at_top: bool = False) -> Callable[[M], M]:
    """Registers a measure as part of every evaluation; see `Measure` for the arguments."""

    def register(kind: M) -> M:
        known = _REGISTERED.get(name)
        if known is not None and known.__qualname__ != kind.__qualname__:
            raise InputError(f"the name {name!r:.80} is taken by the measure {known.__qualname__}.")
        kind.name, kind.order, kind.at_top = name, order, at_top
        _REGISTERED[name] = kind
        return kind

    return register


def measures() -> dict[str, type[Measure[Any]]]:
    """All registered measures by name, in their order."""
    package = sys.modules[__package__]
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        import_module(module.name)
    return dict(sorted(_REGISTERED.items(), key=lambda entry: (entry[1].order, entry[0])))


class Extremes:
    """Keeps, for every group, the k entries with the highest key, and columns that belong to them.

    Of equal keys, what came first stays. `columns` maps each column's name to the value that stands
    where a group has fewer entries; the arrays have shape (groups, k).
    """

    def __init__(self, groups: int, k: int, columns: dict[str, Any]) -> None:
        self.k = k
        self.keys: FloatArray = np.full((groups, k), -np.inf)
        self._empty = columns
        self.columns = {name: np.full((groups, k), empty) for name, empty in columns.items()}
        self._counts = np.zeros(groups, dtype=np.int64)

    def update(self, groups: IntArray, keys: FloatArray, **columns: npt.NDArray[Any]) -> None:
        """Offers entries: the group, the key and the columns of each, all of shape (entries,)."""
        if not self.k:
            return
        # Most entries are no better than a full group's last one, and sorting costs most.
        able = np.flatnonzero((keys > self.keys[groups, -1]) | (self._counts[groups] < self.k))
        if not len(able):
            return
        groups, keys = groups[able], keys[able]
        columns = {name: column[able] for name, column in columns.items()}
        order = np.lexsort((-keys, groups))  # stable, so that what came first stays first
        changed, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
        ranks = np.arange(len(order)) - np.repeat(starts, counts)
        offered = order[ranks < self.k]
        rows = np.repeat(np.arange(len(changed)), counts)
        places = rows[ranks < self.k], ranks[ranks < self.k]

        # Side by side the entries kept so far and those offered; an empty place is behind all.
        is_empty = np.ones((len(changed), 2 * self.k), dtype=bool)
        is_empty[:, : self.k] = np.arange(self.k) >= self._counts[changed, None]
        is_empty[places[0], places[1] + self.k] = False

        def beside(kept: npt.NDArray[Any], empty: Any, new: npt.NDArray[Any]) -> npt.NDArray[Any]:
            both = np.full(is_empty.shape, empty, dtype=kept.dtype)
            both[:, : self.k] = kept[changed]
            both[places[0], places[1] + self.k] = new[offered]
            return both

        all_keys = beside(self.keys, -np.inf, keys)
        ranking = np.lexsort((-all_keys, is_empty), axis=-1)[:, : self.k]
        self.keys[changed] = np.take_along_axis(all_keys, ranking, axis=1)
        for name, kept in self.columns.items():
            both = beside(kept, self._empty[name], columns[name])
            kept[changed] = np.take_along_axis(both, ranking, axis=1)
        self._counts[changed] = np.minimum(self._counts[changed] + counts, self.k)

    def merge(self, other: Extremes) -> None:
        """Offers all that another one keeps, as if it came later."""
        groups, ranks = np.nonzero(np.arange(self.k) < other._counts[:, None])
        columns = {name: column[groups, ranks] for name, column in other.columns.items()}
        self.update(groups, other.keys[groups, ranks], **columns)
