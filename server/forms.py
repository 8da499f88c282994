"""The files of a multipart/form-data body (RFC 7578), taken from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nbdt.errors import InputError

from .errors import TooLargeError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


def parse_files(body: bytes, content_type: str, limit: int) -> list[bytes]:
    r"""The contents of the files in a form, in order; names are not kept.

    Args:
        body: the form.
        content_type: the header, which holds the boundary.
        limit: how many files there may be.

    Raises:
        InputError: the form is not valid, is cut short, or has a field that is no file.
        TooLargeError: it has too many files.

    Example:
        >>> head = b'Content-Disposition: form-data; name="image"; filename="cat.gif"'
        >>> form = b"--x\r\n" + head + b"\r\n\r\nGIF\r\n--x--"
        >>> parse_files(form, "multipart/form-data; boundary=x", 64)
        [b'GIF']
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InputError("the Content-Type of the form names no boundary.")
    files = _Files(limit)
    try:
        parser = MultipartParser(boundary, files.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InputError(f"the form is not valid: {error!s:.100}.") from None
    if not files.ended:
        raise InputError("the form is cut short; its last boundary is missing.")
    return [bytes(one) for one in files.found]


class _Files:
    """What the parser tells of the parts as it comes to them."""

    def __init__(self, limit: int) -> None:
        self.found: list[bytearray] = []
        self.ended = False
        self._limit = limit
        self._name, self._value = b"", b""
        self._is_file = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) == self._limit:
            raise TooLargeError(f"the form has more than {self._limit} files.")
        self._is_file = False
        self.found.append(bytearray())

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._is_file = b"filename" in options
        self._name, self._value = b"", b""

    def _headers_end(self) -> None:
        if not self._is_file:
            raise InputError(
                "a field of the form is no file; options go into the address, as in ?rule=hard."
            )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1] += data[start:end]

    def _end(self) -> None:
        self.ended = True
