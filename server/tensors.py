"""Tensors of the Open Inference Protocol, as JSON and as the bytes that follow it.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol and, for bytes,
Triton's binary tensor data extension: numbers are little-endian and row by row; an element of
BYTES is its length in four bytes, and then itself.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdt.errors import InputError

from .inputs import FloatArray, as_array, decode_base64, in_json

# What a network's input may come as; it is put into float32.
NUMBERS = {
    "FP32": "<f4",
    "FP64": "<f8",
    "FP16": "<f2",
    "UINT8": "|u1",
    "INT8": "|i1",
    "UINT16": "<u2",
    "INT16": "<i2",
    "UINT32": "<u4",
    "INT32": "<i4",
    "UINT64": "<u8",
    "INT64": "<i8",
}
_MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class Tensor:
    """One input as it came.

    Attributes:
        name: its name.
        datatype: "FP32", …, or "BYTES".
        shape: the lengths of its dimensions.
        data: its elements as JSON had them, or the bytes that followed the JSON.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any

    def images(self) -> list[bytes]:
        """The elements of a BYTES tensor of one dimension; in JSON they are base64.

        Raises:
            InputError: it is none, or its data do not fit its shape.
        """
        if len(self.shape) != 1 and self.shape[1:] != (1,):
            raise InputError(f"{self.name}: images come in the shape [rows], got {self._shape}.")
        if isinstance(self.data, bytes):
            return _split(self.data, self.shape[0], self.name)
        if len(self.data) != self.shape[0]:
            raise InputError(f"{self.name}: {len(self.data)} elements are not {self.shape[0]}.")
        if not all(isinstance(text, str) for text in self.data):
            raise InputError(f"{self.name}: in JSON, BYTES are texts in base64.")
        return [decode_base64(text, self.name) for text in self.data]

    def rows(self) -> list[FloatArray]:
        """The rows of a tensor of numbers, as float32.

        Raises:
            InputError: its data do not fit its shape, or are not finite.
        """
        if len(self.shape) < 2:
            raise InputError(f"{self.name}: the shape [rows, …] is needed, got {self._shape}.")
        count = math.prod(self.shape)
        if isinstance(self.data, bytes):
            kind = np.dtype(NUMBERS[self.datatype])
            if len(self.data) != count * kind.itemsize:
                raise InputError(
                    f"{self.name}: {len(self.data)} bytes are not {self._shape} of {self.datatype}."
                )
            array = as_array(np.frombuffer(self.data, kind), self.name)
        else:
            # The protocol allows lists in lists, and all numbers in one.
            array = as_array(self.data, self.name).reshape(-1)
        if array.size != count:
            raise InputError(f"{self.name}: {array.size} numbers are not {self._shape}.")
        return list(array.reshape(self.shape))

    @property
    def _shape(self) -> list[int]:
        return list(self.shape)


def read_tensor(entry: object, binary: bytes) -> tuple[Tensor, bytes]:
    """One entry of ``inputs``, and the bytes that are left for those after it.

    Raises:
        InputError: the entry is not valid, or there are too few bytes.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise InputError("an input needs a name, a datatype, a shape and data.")
    name, datatype, shape = str(entry["name"])[:80], entry.get("datatype"), entry.get("shape")
    if not isinstance(datatype, str) or datatype not in {*NUMBERS, "BYTES"}:
        known = ", ".join((*NUMBERS, "BYTES"))
        raise InputError(f"{name}: the datatype is one of {known}, got {in_json(datatype)}.")
    whole = isinstance(shape, list) and all(type(n) is int and 0 < n < 2**31 for n in shape)
    if not whole or not 1 <= len(shape) <= _MAX_DIMENSIONS:  # type: ignore[arg-type]
        raise InputError(f"{name}: the shape has to be a list of 1 to 8 positive numbers.")
    data, parameters = entry.get("data"), entry.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(binary):
            raise InputError(f"{name}: binary_data_size is not that of what follows the JSON.")
        data, binary = binary[:size], binary[size:]
    elif not isinstance(data, list):
        raise InputError(f"{name}: data has to be a list, got {in_json(data)}.")
    return Tensor(name, datatype, tuple(shape or ()), data), binary


def written(
    name: str, datatype: str, values: Sequence[bytes] | np.ndarray[Any, Any], *, binary: bool
) -> tuple[dict[str, Any], bytes]:
    r"""One entry of ``outputs``, and the bytes that follow the JSON for it.

    Args:
        name: the output's.
        datatype: "FP32", "INT64", or "BYTES" for a list of bytes, which hold UTF-8.
        values: what it holds. JSON has no −∞, the log-probability of a class that is masked, so
            there it is the lowest number of float32; bytes keep it.
        binary: whether as bytes.

    Example:
        >>> written("class", "INT64", np.array([3]), binary=False)
        ({'name': 'class', 'datatype': 'INT64', 'shape': [1], 'data': [3]}, b'')
        >>> written("path", "BYTES", [b"{}"], binary=True)[1]
        b'\x02\x00\x00\x00{}'
    """
    is_text = not isinstance(values, np.ndarray)
    shape = [len(values)] if is_text else list(np.shape(values))
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if binary:
        if is_text:
            data = b"".join(struct.pack("<I", len(one)) + one for one in values)
        else:
            data = np.asarray(values).astype(NUMBERS[datatype]).tobytes()
        return entry | {"parameters": {"binary_data_size": len(data)}}, data
    if is_text:
        return entry | {"data": [one.decode() for one in values]}, b""
    numbers = np.asarray(values)
    if datatype == "FP32":
        numbers = np.maximum(numbers, np.finfo(np.float32).min)
    return entry | {"data": numbers.ravel().tolist()}, b""


def _split(data: bytes, count: int, name: str) -> list[bytes]:
    """The elements of a BYTES tensor of so many, each after its length."""
    elements: list[bytes] = []
    start = 0
    while start < len(data) and len(elements) < count:
        end = start + 4
        if end <= len(data):
            end += int.from_bytes(data[start:end], "little")
        if end > len(data) or end < start + 4:
            raise InputError(f"{name}: the bytes end within an element.")
        elements.append(data[start + 4 : end])
        start = end
    if start < len(data) or len(elements) < count:
        found = f"more than {count}" if start < len(data) else str(len(elements))
        raise InputError(f"{name}: the bytes hold {found} elements, its shape says {count}.")
    return elements
