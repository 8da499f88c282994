"""Reading what strangers wrote: how much of it, how deep, in which encoding, how much to quote.

Every limit is checked before the memory it guards is spent, and every refusal is a `FormatError`
of a few hundred characters, however long the document is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from nbdt.errors import FormatError

MAX_BYTES = 64 * 2**20
"""The longest document that is read: about ten times a tree of 100,000 classes."""

MAX_COMMAS = 2_000_000
"""How many values a document may hold, counted by its commas."""

MAX_BRACKETS = 1_000_000
"""How many lists, objects or groups a document may open."""

MAX_DEPTH = 32
"""How deep the values of one attribute may be nested."""

MAX_INTEGER = 2**63 - 1

_MESSAGE = 300
_QUOTE = 60


def shortened(message: str) -> str:
    """The message, cut to a few hundred characters."""
    return message if len(message) <= _MESSAGE else message[: _MESSAGE - 1] + "…"


def described(value: object) -> str:
    """What an error says of a value it refuses; short, whatever the value."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _QUOTE else repr(value[:_QUOTE]) + "…"
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if abs(value) <= MAX_INTEGER else "a huge integer"
    kind = type(value).__name__
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def decoded(data: bytes) -> str:
    """The text that these bytes hold in UTF-8.

    Raises:
        FormatError: more than `MAX_BYTES`, another encoding, or a byte order mark.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"is longer than {MAX_BYTES // 2**20} MB, the most that is read.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise FormatError("is UTF-16 or UTF-32 text or binary data; save it as UTF-8.")
    if data.startswith(b"\xef\xbb\xbf"):
        raise FormatError("starts with a byte order mark; save it as UTF-8 without one.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"is not UTF-8 text (byte {error.object[error.start]:#04x} at position "
            f"{error.start}); save it as UTF-8."
        ) from None


def checked_counts(text: str, opening: str, max_commas: int = MAX_COMMAS) -> None:
    """Refuses a text that would take up far more memory than itself once it is parsed.

    Args:
        text: the document.
        opening: the characters that open a group of values in its format.
        max_commas: how many values it may hold, counted by its commas.

    Raises:
        FormatError: the text is too long or holds too many values.
    """
    if len(text) > MAX_BYTES:
        raise FormatError(f"is longer than {MAX_BYTES:,} characters, the most that is read.")
    if text.count(",") > max_commas or sum(map(text.count, opening)) > MAX_BRACKETS:
        raise FormatError(
            f"holds more than {max_commas:,} commas or {MAX_BRACKETS:,} opening brackets, the "
            "most that is read."
        )


def parsed_json(text: str) -> Any:
    """The value of a JSON text, read strictly.

    Unlike `json.loads` it refuses what has no one meaning elsewhere: keys given twice, NaN and
    Infinity, and numbers that no 64 bits hold.

    Raises:
        FormatError: this is not such a text.
    """
    checked_counts(text, "[{")
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise FormatError(
            f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise FormatError("is nested too deeply.") from None


def json_value(value: object, where: str, depth: int = 0) -> Any:
    """A deep copy made of what JSON holds: dict, list, str, int, float, bool and None.

    Tuples become lists, numpy's numbers Python's.

    Args:
        value: what to copy.
        where: what to call the value in an error.
        depth: how deep it lies already.

    Raises:
        FormatError: JSON cannot hold the value, or not exactly.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return encodable(value, where)
    if isinstance(value, int) and -MAX_INTEGER <= value <= MAX_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth == MAX_DEPTH:
        raise FormatError(f"{where} is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, list | tuple):
        return [json_value(entry, where, depth + 1) for entry in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise FormatError(f"{where} has keys that are no texts, which JSON cannot hold.")
        return {
            encodable(key, where): json_value(entry, where, depth + 1)
            for key, entry in value.items()
        }
    raise FormatError(f"{where} is {described(value)}, which JSON cannot hold.")


def encodable(text: str, where: str) -> str:
    """The text itself, if UTF-8 can hold it: it has no half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(f"{where} has half a surrogate pair, which no file can hold.") from None
    return text


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise FormatError(f"has the key {described(key)} twice in one object.")
            seen.add(key)
    return result


def _integer(digits: str) -> int:
    # Python itself takes quadratic time for long integers.
    if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
        raise FormatError("has an integer that 64 bits cannot hold.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise FormatError("has a number that 64 bits cannot hold.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise FormatError(f"has the number {name}, which is no valid JSON.")
