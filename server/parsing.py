"""From the body of a request to its question: JSON read as documents, and forms with files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, WithJsonSchema
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nbdt.documents import Document, checked, decoded, described, parsed_json
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy.text import join_names
from nbdt.inputs.array import as_array
from nbdt.rules import RuleName

from .errors import TooLargeError
from .rows import Source, decode_base64

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class ParsedRequest:
    """What a client asks.

    Attributes:
        sources: the rows as received.
        rule: how decisions become an answer; None for the model's default.
        explain: whether to return the paths along with the predicted classes.
        saliency: whether to compute which pixels made each decision as well.
    """

    sources: Sequence[Source]
    rule: RuleName | None = None
    explain: bool = False
    saliency: bool = False


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────


class RequestDocument(Document):
    """A JSON body, or a part of one, that may hold more than the service reads."""

    model_config = ConfigDict(extra="ignore", title="the body")


Instance = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "object",
                    "description": "A JPEG, PNG or WebP file in base64.",
                    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
                    "required": ["b64"],
                    "additionalProperties": False,
                },
                {
                    "type": "array",
                    "description": "The network's own input, as nested lists of numbers.",
                },
            ]
        }
    ),
]
"""A row in JSON; `sources_of` reads it."""

InstanceList = Annotated[list[Instance], Field(json_schema_extra={"minItems": 1})]


class Instances(RequestDocument):
    """Rows, as most protocols have them."""

    instances: InstanceList


class OnlyInstances(Instances):
    """Rows, and no other key: it would have no effect."""

    model_config = ConfigDict(extra="forbid")


def read_document(kind: type[D], body: bytes) -> D:
    """A JSON body as a document, read strictly.

    Raises:
        InputError: it is not JSON in UTF-8, is nested too deeply, has a key twice, holds NaN,
            infinity or a number beyond 64 bits, or does not fit the document.
    """
    if not body:
        raise InputError("the body is empty; expected JSON.")
    try:
        value = parsed_json(decoded(body))
    except FormatError as error:
        raise InputError(f"the body {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"the body must be a JSON object, got {in_json(value)}.")
    try:
        return checked(kind, value)
    except FormatError as error:
        raise InputError(str(error)) from None


def in_json(value: object) -> str:
    """How an error describes a JSON value; short, whatever the value.

    Example:
        >>> in_json(None), in_json(True), in_json({"b46": "…"}), in_json([])
        ('null', 'true', "an object with the key 'b46'", 'a list')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping) and value:
        keys = join_names(map(repr, value), len(value))
        return f"an object with the key{'s' * (len(value) > 1)} {keys}"
    return "{}" if isinstance(value, Mapping) else described(value)


def sources_of(instances: Sequence[Any], limit: int) -> list[Source]:
    """The sources in JSON: each an image, {"b64": "…"}, or an array in nested lists.

    Example:
        >>> sources_of([[[1, 2]], {"b64": "R0lG"}], 64)
        [array([[1., 2.]], dtype=float32), b'GIF']
    """
    check_rows(len(instances), limit)
    return [_source(value, f"instance {index}") for index, value in enumerate(instances)]


def _source(value: Any, name: str) -> Source:
    if isinstance(value, list):
        return as_array(value, name)
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        return decode_base64(value["b64"], name)
    raise InputError(
        f'{name}: expected an image, {{"b64": "…"}}, or an array, got {in_json(value)}.'
    )


def check_rows(rows: int, limit: int) -> None:
    """Refuses a request without rows, or with too many."""
    if rows == 0:
        raise InputError("the request holds no image and no array.")
    if rows > limit:
        raise TooLargeError(f"the request has {rows} rows; the limit is {limit}.")


# ── forms ─────────────────────────────────────────────────────────────────────────────────────


def parse_files(body: bytes, content_type: str, limit: int) -> list[bytes]:
    """The contents of the files in a multipart/form-data body (RFC 7578), in order.

    `content_type` is the header, which holds the boundary; `limit` is the most files. A form that
    is not valid or truncated, or a field that is not a file, raises an `InputError`.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InputError("the Content-Type of the form names no boundary.")
    files: list[bytearray] = []
    name, value = bytearray(), bytearray()
    is_file = ended = False

    def begin_part() -> None:
        nonlocal is_file
        if len(files) == limit:
            raise TooLargeError(f"the form has more than {limit} files.")
        is_file = False
        files.append(bytearray())

    def end_header() -> None:
        nonlocal is_file
        if name.lower() == b"content-disposition":
            is_file = b"filename" in parse_options_header(bytes(value))[1]
        name.clear()
        value.clear()

    def end_headers() -> None:
        if not is_file:
            raise InputError(
                "a field of the form is not a file; options go into the address, as ?rule=hard."
            )

    def end() -> None:
        nonlocal ended
        ended = True

    callbacks: MultipartCallbacks = {
        "on_part_begin": begin_part,
        "on_header_field": lambda data, start, end: name.extend(data[start:end]),
        "on_header_value": lambda data, start, end: value.extend(data[start:end]),
        "on_header_end": end_header,
        "on_headers_finished": end_headers,
        "on_part_data": lambda data, start, end: files[-1].extend(data[start:end]),
        "on_end": end,
    }
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InputError(f"the form is not valid: {error!s:.100}.") from None
    if not ended:
        raise InputError("the form is truncated; its last boundary is missing.")
    return [bytes(one) for one in files]
