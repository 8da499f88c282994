"""Arrays of numbers as the network's own input."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nbdt.errors import InputError, NBDTError, NotFoundError
from nbdt.inputs.base import Input, Source, array_shape, numbered
from nbdt.inputs.parts import Parts, Preview, refuse_division, shown

_MOST_SHOWN = 100
_MOST_PARTS = 256  # attribution speaks of blocks of larger arrays

FloatArray = npt.NDArray[np.float32]
NumberArray = npt.NDArray[Any]
_Real = Literal["float32", "float64", "float16"]
_Whole = Literal["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]
DType = _Real | _Whole


class ArrayInput(Input):
    """Arrays as they are; `row` is a sample's shape, with None for any length.

    `dtype` is the type of the numbers that the network takes.
    """

    optional: ClassVar[frozenset[str]] = frozenset({"dtype"})

    kind: ClassVar[str] = "array"
    reads: ClassVar[str] = "an array of numbers"
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)

    row: tuple[int | None, ...] | None = None
    dtype: DType = "float32"

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """`row`."""
        return self.row

    def open(self, path: str | os.PathLike[str]) -> NumberArray:
        """The array in a .npy file that holds one sample."""
        found: NumberArray = self._in_file(path, self.read)
        return found

    def sources(self, argument: str, *, text: bool = False) -> list[Source]:
        """The samples in .npy files, each of one sample, or of several along the first axis."""
        found = super().sources(argument, text=text)
        if len(found) != 1 or Path(argument).suffix.lower() not in self.suffixes:
            return found
        try:
            samples = self._in_file(argument, self.samples)
        except NBDTError:
            return found  # whose `open` says why
        if len(samples) < 2:
            return found
        return [Source(f"{argument}:{i}", partial(self.read, one)) for i, one in enumerate(samples)]

    def _in_file(self, path: str | os.PathLike[str], read: Callable[[Any], Any]) -> Any:
        try:
            return read(np.load(path, allow_pickle=False))
        except FileNotFoundError:
            raise NotFoundError(f"{os.fspath(path)}: no such file.") from None
        except InputError as error:
            raise InputError(f"{os.fspath(path)}: {error}") from None
        except (OSError, ValueError, EOFError):
            raise InputError(
                f"{os.fspath(path)}: not an array of numbers in numpy's .npy format; if it is a "
                "picture, give the model a preprocessing."
            ) from None

    def read(self, value: Any) -> NumberArray:
        """Numbers in nested lists, or an array of another type, as an array of `dtype`.

        An InputError if it is not an array of finite numbers of this type, or of another shape.
        """
        array = as_array(value, dtype=self.dtype)
        check_shape(array.shape, self.row)
        return array

    def samples(self, value: Any) -> Sequence[NumberArray]:
        """The rows of an array or of nested lists; one sample if it has a sample's shape."""
        if isinstance(value, str | os.PathLike):
            found: Sequence[NumberArray] = self._in_file(value, self.samples)
            return found
        alone = (str, os.PathLike, np.ndarray, Tensor)
        if isinstance(value, list | tuple) and any(isinstance(one, alone) for one in value):
            return numbered(self.sample, value)
        array = as_array(value, dtype=self.dtype)
        if array.ndim == (1 if self.row is None else len(self.row)):
            return [self.read(array)]
        return numbered(self.read, array)

    def batch(self, samples: Sequence[Any]) -> Tensor:
        """The samples, stacked."""
        arrays = [self.read(sample) for sample in samples]
        if len({array.shape for array in arrays}) != 1:
            raise InputError("a batch needs one array or more, all of one shape.")
        return torch.from_numpy(np.stack(arrays))

    def preview(self, sample: NumberArray) -> Preview:
        """The values of a short row, by place."""
        if sample.ndim != 1 or sample.size > _MOST_SHOWN:
            return Preview()
        return Preview(columns=tuple((str(i), shown(v)) for i, v in enumerate(sample.tolist())))

    def parts(self, sample: Any, *, baseline: Any = None, by: str | int | None = None) -> Parts:
        """The values, of a large array in blocks; 0 or the baseline stands in their place."""
        refuse_division(by, self.reads)
        row = self.read(sample)
        other = (
            np.zeros_like(row)
            if baseline is None
            else as_array(baseline, "the baseline", self.dtype)
        )
        if other.shape not in ((), row.shape):
            raise InputError(f"the baseline has the shape {other.shape}; expected {row.shape}.")
        in_place = "0" if baseline is None else "the baseline"
        if row.size > _MOST_PARTS:
            groups, names = _blocks(row.shape)

            def without(left_out: npt.NDArray[np.bool_]) -> list[Any]:
                return list(np.where(left_out[:, groups], other, row))

            return Parts("value", names, without, in_place, groups=groups.ravel())
        places = [", ".join(map(str, place)) for place in np.ndindex(row.shape)]
        return Parts(
            "value",
            tuple(f"value {place}" for place in places),
            lambda left_out: list(np.where(left_out.reshape(-1, *row.shape), other, row)),
            in_place,
            values=tuple(map(shown, row.ravel().tolist())),
        )


def _blocks(shape: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The block of each value of a large array, and the blocks' names.

    A row is divided into 64 pieces, an array of more axes into 8 × 8 along the last two.
    """
    sides = shape[-2:]
    counts = [min(side, 64 if len(shape) == 1 else 8) for side in sides]
    axes = [np.arange(side) * count // side for side, count in zip(sides, counts, strict=True)]
    groups = axes[0] if len(axes) == 1 else axes[0][:, None] * counts[1] + axes[1]
    pieces = []
    for axis in axes:
        starts = np.flatnonzero(np.diff(axis, prepend=-1)).tolist()
        ends = [*starts[1:], len(axis)]
        pieces.append([f"{one}–{end - 1}" for one, end in zip(starts, ends, strict=True)])
    names = (
        [f"values {piece}" for piece in pieces[0]]
        if len(pieces) == 1
        else [f"rows {row}, columns {column}" for row in pieces[0] for column in pieces[1]]
    )
    return np.broadcast_to(groups, shape), tuple(names)


def as_array(value: Any, name: str = "the array", dtype: DType = "float32") -> NumberArray:
    """Finite numbers in nested lists or an array, as float32 or another type.

    Errors call the array `name`. Whole types take whole numbers only, and none beyond their range.
    """
    try:
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        array = np.asarray(value if isinstance(value, np.ndarray) else _numbers(value))
    except ValueError:
        array = np.asarray("ragged")
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise InputError(
            f"{name}: expected an array of numbers; its lists need equal lengths, and not 0."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # the next lines refuse overflow
        found: NumberArray = array.astype(dtype)
    if found.dtype.kind != "f" and not (found == array).all():
        raise InputError(f"{name}: the network takes whole numbers ({dtype}), not fractions.")
    if not np.isfinite(found).all():
        bits = 8 * found.dtype.itemsize
        raise InputError(f"{name}: it holds NaN or a number that {bits} bits cannot hold.")
    return found


def check_shape(
    shape: tuple[int, ...], expected: tuple[int | None, ...] | None, name: str = "the array"
) -> None:
    """Refuses a sample whose shape is known not to fit the network."""
    if expected is None:
        return
    fits = len(shape) == len(expected) and all(
        wanted in (None, got) for wanted, got in zip(expected, shape, strict=True)
    )
    if not fits:
        raise InputError(f"{name}: the network takes {array_shape(expected)} numbers, got {shape}.")


def _numbers(value: Any) -> Any:
    """The value itself if it is a number or nested lists of numbers, else a ValueError.

    numpy would pad all strings of a list to the longest: terabytes from a few megabytes.
    """
    groups = [[value]]
    while groups:
        group = groups.pop()
        kinds = set(map(type, group))
        if kinds == {list}:
            groups.extend(group)
        elif not kinds <= {int, float, bool}:
            raise ValueError
    return value
