"""The highest few of many, group by group, in one pass and bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nbdt.hierarchy.validation import FloatArray, IntArray


class Extremes:
    """Keeps, for every group, the k entries with the highest key, and what belongs to them.

    Of equal keys, what came first stays. Memory: that of k entries a group.

    Args:
        groups: how many groups there are.
        k: how many entries to keep of each.
        columns: what is kept of an entry beside its key, by name, with the value that stands
            where a group has fewer than k entries.

    Example:
        >>> best = Extremes(2, 2, {"sample": -1})
        >>> best.update(np.array([0, 0, 0, 1]), np.array([0.1, 0.9, 0.5, 0.3]),
        ...             sample=np.array([10, 11, 12, 13]))
        >>> best.columns["sample"]
        array([[11, 12],
               [13, -1]])
    """

    def __init__(self, groups: int, k: int, columns: dict[str, Any]) -> None:
        self.k = k
        self.keys: FloatArray = np.full((groups, k), -np.inf)
        self._empty = columns
        self.columns = {name: np.full((groups, k), empty) for name, empty in columns.items()}
        self._counts = np.zeros(groups, dtype=np.int64)

    def update(self, groups: IntArray, keys: FloatArray, **columns: npt.NDArray[Any]) -> None:
        """Offers entries: the group and key of each, and its columns.

        Args:
            groups: the group of each entry; shape (entries,).
            keys: what they are judged by.
            columns: what is kept of them, each of shape (entries,).
        """
        if not self.k:
            return
        # What is no better than a full group's last is most of a long run, and sorting costs most.
        able = np.flatnonzero((keys > self.keys[groups, -1]) | (self._counts[groups] < self.k))
        if not len(able):
            return
        groups, keys = groups[able], keys[able]
        columns = {name: column[able] for name, column in columns.items()}
        order = np.lexsort((-keys, groups))  # stable, so that what came first stays first
        touched, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
        ranks = np.arange(len(order)) - np.repeat(starts, counts)
        offered = order[ranks < self.k]
        rows = np.repeat(np.arange(len(touched)), counts)
        places = rows[ranks < self.k], ranks[ranks < self.k]

        # Side by side the entries kept so far and those offered; an empty place is behind all.
        is_empty = np.ones((len(touched), 2 * self.k), dtype=bool)
        is_empty[:, : self.k] = np.arange(self.k) >= self._counts[touched, None]
        is_empty[places[0], places[1] + self.k] = False

        def beside(kept: npt.NDArray[Any], empty: Any, new: npt.NDArray[Any]) -> npt.NDArray[Any]:
            both = np.full(is_empty.shape, empty, dtype=kept.dtype)
            both[:, : self.k] = kept[touched]
            both[places[0], places[1] + self.k] = new[offered]
            return both

        all_keys = beside(self.keys, -np.inf, keys)
        ranking = np.lexsort((-all_keys, is_empty), axis=-1)[:, : self.k]
        self.keys[touched] = np.take_along_axis(all_keys, ranking, axis=1)
        for name, kept in self.columns.items():
            both = beside(kept, self._empty[name], columns[name])
            kept[touched] = np.take_along_axis(both, ranking, axis=1)
        self._counts[touched] = np.minimum(self._counts[touched] + counts, self.k)
