"""What is sent to be answered: images and arrays, made into rows for the network.

A *source* is one row as it came: an image file, or an array of the network's own input. In JSON,
an image is ``{"b64": "…"}`` (the file in base64) and an array is nested lists.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from nbdt.documents import decoded, described, parsed_json
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.text import join_names
from nbdt.inputs.image import Preprocessing
from nbdt.rules import RULES, RuleName
from nbdt.view.svg.pictures import data_uri

from .errors import TooLargeError
from .images import read_image
from .settings import Settings

FloatArray = npt.NDArray[np.float32]


@dataclass(eq=False)
class ShownFile:
    """An image file that is to be shown beside its answer.

    Attributes:
        data: the file.
        side: how wide and high it is shown at most, in pixels.
        picture: it as a small ``data:`` address. `RowReader` makes it with the row, one image at a
            time and while capacity, deadline and the length of bodies hold; until then it is "".
    """

    data: bytes
    side: int
    picture: str = ""


Source = bytes | ShownFile | FloatArray


@dataclass(frozen=True)
class ParsedRequest:
    """What a client asks.

    Attributes:
        sources: the rows as they came.
        rule: how decisions become an answer; None for the model's own way.
        explain: whether the paths are wanted, beside the predicted classes.
        saliency: whether it is wanted, too, which pixels made each decision.
    """

    sources: Sequence[Source]
    rule: RuleName | None = None
    explain: bool = False
    saliency: bool = False


def parse_json(body: bytes) -> Any:
    """The value of a JSON body, read strictly.

    Raises:
        InputError: it is not JSON in UTF-8, is nested too deeply, has a key twice, or holds NaN,
            infinity or a number beyond 64 bits.

    Example:
        >>> parse_json(b'{"instances": [NaN]}')
        Traceback (most recent call last):
        nbdt.errors.InputError: the body has the number NaN, which is no valid JSON.
    """
    if not body:
        raise InputError("the body is empty; expected JSON.")
    try:
        return parsed_json(decoded(body))
    except FormatError as error:
        raise InputError(f"the body {error}") from None


def parse_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object that a body holds.

    Raises:
        InputError: as `parse_json`; or it is no object.
    """
    value = parse_json(body)
    if not isinstance(value, Mapping):
        raise InputError(f"the body has to be a JSON object, got {in_json(value)}.")
    return value


def in_json(value: object) -> str:
    """What an error says of a value that came as JSON; short, whatever the value.

    Example:
        >>> in_json(None), in_json(True), in_json({"b46": "…"}), in_json([])
        ('null', 'true', "an object with the key 'b46'", 'a list')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping):
        keys = join_names(map(repr, value), len(value))
        return f"an object with the key{'s' * (len(value) > 1)} {keys}" if value else "{}"
    return described(value)


def parse_instances(document: Mapping[str, Any], limit: int) -> list[Source]:
    """The sources under the key ``instances``.

    Args:
        document: the body.
        limit: how many there may be.

    Raises:
        TooLargeError: there are more.
        InputError: there is none, or one is neither an image nor an array.

    Example:
        >>> parse_instances({"instances": [[[1, 2]], {"b64": "R0lG"}]}, 64)
        [array([[1., 2.]], dtype=float32), b'GIF']
    """
    instances = document.get("instances")
    if not isinstance(instances, list):
        raise InputError('the body has to be {"instances": […]}, a list of images or arrays.')
    check_rows(len(instances), limit)
    return [_source(value, f"instance {index}") for index, value in enumerate(instances)]


def parse_only_instances(document: Mapping[str, Any], limit: int) -> list[Source]:
    """As `parse_instances`, where the body may hold nothing beside ``instances``.

    Raises:
        InputError: it does: what it asks for there would be passed over without a word.
    """
    others = sorted(set(document).difference({"instances"}))
    if others:
        raise InputError(
            f"the body has {in_json(dict.fromkeys(others)).removeprefix('an object with ')}, which "
            "is none of its own; rule, top and timeout go into the address, as ?rule=hard."
        )
    return parse_instances(document, limit)


def check_rows(rows: int, limit: int) -> None:
    """Refuses a request of no row, or of too many.

    Raises:
        InputError, TooLargeError: there is none; there are more than `limit`.
    """
    if rows == 0:
        raise InputError("the request holds no image and no array.")
    if rows > limit:
        raise TooLargeError(f"the request has {rows} rows; one may have {limit}.")


def checked_rule(value: object) -> RuleName | None:
    """A rule that was named, or None where none was.

    Raises:
        InputError: there is no such rule.
    """
    if value is None:
        return None
    if not isinstance(value, str) or value not in RULES:
        raise InputError(f"rule has to be {' or '.join(RULES)}, got {in_json(value)}.")
    return RULES[value].name


def decode_base64(text: str, name: str) -> bytes:
    """The bytes of a base64 text.

    Raises:
        InputError: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{name}: this is not base64.") from None


def as_array(value: Any, name: str) -> FloatArray:
    """Numbers in nested lists, or an array of another type, as float32.

    Raises:
        InputError: it is no array of finite numbers.

    Example:
        >>> as_array([[1, 2], [3]], "instance 0")
        Traceback (most recent call last):
        nbdt.errors.InputError: instance 0: this is no array of numbers; are its lists of one ...
    """
    try:
        array = np.asarray(value if isinstance(value, np.ndarray) else _numbers(value))
    except ValueError:
        array = np.asarray("ragged")
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise InputError(
            f"{name}: this is no array of numbers; are its lists of one length, and not empty?"
        )
    with np.errstate(over="ignore"):  # what overflows is refused in the next line
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{name}: it holds NaN or a number that 32 bits cannot hold.")
    return array


def _numbers(value: Any) -> Any:
    """The value itself, if it is a number or lists of lists or numbers only.

    numpy would make all texts of a list as long as the longest: terabytes of a few megabytes.

    Raises:
        ValueError: it is not.
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


def _source(value: Any, name: str) -> Source:
    if isinstance(value, list):
        return as_array(value, name)
    if isinstance(value, Mapping) and set(value) == {"b64"} and isinstance(value["b64"], str):
        return decode_base64(value["b64"], name)
    raise InputError(
        f'{name}: expected an image, {{"b64": "…"}}, or an array, got {in_json(value)}.'
    )


@dataclass(frozen=True)
class RowReader:
    """From sources to a network's input, within limits.

    Args:
        preprocessing: how an image becomes the network's input; None where the model does not
            say, and then only arrays can be taken.
        settings: the limits.

    Example:
        >>> reader = RowReader(Preprocessing(mode="L", resize=(2, 2)), Settings())
        >>> reader.shape
        (1, 2, 2)
        >>> reader([np.zeros((1, 2, 2), dtype=np.float32)])[0].shape
        torch.Size([1, 2, 2])
    """

    preprocessing: Preprocessing | None
    settings: Settings

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of a row, with None where it depends on the image; None if nothing is known."""
        if self.preprocessing is None:
            return None
        crop, resize = self.preprocessing.crop, self.preprocessing.resize
        # One number as a crop means a square; as a size it is the shorter side's.
        size = (crop, crop) if isinstance(crop, int) else crop or resize
        height, width = size if isinstance(size, tuple) else (None, None)
        if self.preprocessing.rotate in (90, 270):
            height, width = width, height
        return self.preprocessing.channels, height, width

    def __call__(self, sources: Sequence[Source]) -> list[Tensor]:
        """The rows, one a source.

        Raises:
            InputError: a source is not what the network takes; the message names it.
            TooLargeError, MediaTypeError: as `nbdt.server.images.read_image`; or a row has more
                numbers than one may have.
        """
        return [self._row(source, f"row {index}") for index, source in enumerate(sources)]

    def _row(self, source: Source, name: str) -> Tensor:
        if isinstance(source, bytes):
            row = self._from_image(source, name)
        elif isinstance(source, ShownFile):
            row = self._from_image(source.data, name)
            source.picture = data_uri(self._decoded(source.data, "RGB", name), source.side)
        else:
            self._check_shape(source.shape, name)
            row = torch.from_numpy(source)
        if row.numel() > self.settings.row_values:
            raise TooLargeError(
                f"{name}: {row.numel():,} numbers are more than the "
                f"{self.settings.row_values:,} that are taken."
            )
        return row

    def _from_image(self, data: bytes, name: str) -> Tensor:
        if self.preprocessing is None:
            raise InputError(
                f"{name}: the model does not say how an image becomes its input; send arrays."
            )
        image = self._decoded(data, self.preprocessing.mode, name)
        try:
            return self.preprocessing(image)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None

    def _decoded(self, data: bytes, mode: str, name: str) -> Image.Image:
        return read_image(
            data,
            mode,
            max_bytes=self.settings.image_bytes,
            max_pixels=self.settings.image_pixels,
            name=name,
        )

    def _check_shape(self, shape: tuple[int, ...], name: str) -> None:
        expected = self.shape
        if expected is None:
            return
        fits = len(shape) == len(expected) and all(
            wanted in (None, got) for wanted, got in zip(expected, shape, strict=True)
        )
        if not fits:
            told = " × ".join("any" if side is None else str(side) for side in expected)
            raise InputError(f"{name}: the network takes {told} numbers, got {shape}.")
