"""From the body of a request to its question: JSON read as documents, and forms with files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, WithJsonSchema
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nbdt.documents import Document, checked, decoded, described, parsed_json
from nbdt.errors import FormatError, InputError
from nbdt.rules import RuleName

from .errors import TooLargeError
from .rows import RowReader, Source, in_json

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

CSV = "text/csv"
"""The media type of rows in CSV."""

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class ParsedRequest:
    """What a client asks.

    Attributes:
        sources: the rows as received.
        rule: how decisions become an answer; None for the model's default.
        explain: whether to return the paths along with the predicted classes.
        attribution: whether to compute what in the row spoke for each decision as well.
        at: the site that is asked for, of models that give maps of classes.
    """

    sources: Sequence[Source]
    rule: RuleName | None = None
    explain: bool = False
    attribution: bool = False
    at: tuple[int, ...] | None = None


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────


class RequestDocument(Document):
    """A JSON body, or a part of one, that may hold more than the service reads."""

    model_config = ConfigDict(extra="ignore", title="the body")


InstanceList = Annotated[
    list[Annotated[Any, WithJsonSchema({"description": "A row, as the model reads it."})]],
    Field(json_schema_extra={"minItems": 1}),
]


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


def sources_of(instances: Sequence[Any], limit: int) -> list[Source]:
    """The sources in JSON: each an image, {"b64": "…"}, an array, a text, or a row of columns.

    Example:
        >>> sources_of([[[1, 2]], {"b64": "R0lG"}], 64)
        [[[1, 2]], {'b64': 'R0lG'}]
    """
    check_rows(len(instances), limit)
    return list(instances)


def sources_of_csv(data: bytes, read: RowReader, limit: int) -> list[Source]:
    """The sources in a CSV file, whose first line names the columns; at most `limit` are read.

    Where the model has columns, each is the bytes of a file of one row, whose cells it reads.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the CSV is not UTF-8 text.") from None
    lines = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    sources: list[Source] = []
    try:
        header = next(lines, [])
        length = sum(map(len, header))
        if read.columns and length > sum(map(len, read.columns)) + read.settings.text_length:
            raise TooLargeError(f"the names of columns have {length:,} characters.")
        for row in lines:
            if not row:
                continue
            check_rows(len(sources) + 1, limit)
            if len(row) != len(header):
                raise InputError(
                    f"row {len(sources)} has {len(row)} cells; the first line names {len(header)} "
                    "columns."
                )
            if read.columns:
                sources.append(csv_of(header, row))
            else:
                sources.append(read.of_record(dict(zip(header, row, strict=True))))
    except csv.Error as error:
        where = f"in line {lines.line_num}"
        raise InputError(f"the CSV is not valid {where}: {error!s:.100}.") from None
    check_rows(len(sources), limit)
    return sources


def csv_of(*rows: Sequence[str]) -> bytes:
    """A CSV file of these rows."""
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def sources_of_columns(
    columns: Mapping[str, Sequence[Any]], read: RowReader, limit: int
) -> list[Source]:
    """The sources in columns of one length, by name."""
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        first, *others = lengths
        other = next(name for name in others if lengths[name] != lengths[first])
        raise InputError(
            f"columns need one length; {described(first)} has {lengths[first]} rows and "
            f"{described(other)} has {lengths[other]}."
        )
    check_rows(next(iter(lengths.values()), 0), limit)
    records = zip(*columns.values(), strict=True)
    return [read.of_record(dict(zip(columns, record, strict=True))) for record in records]


def check_rows(rows: int, limit: int) -> None:
    """Refuses a request without rows, or with too many."""
    if rows == 0:
        raise InputError("the request holds no row.")
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
