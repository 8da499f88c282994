"""Everything stored or sent as JSON, read strictly and within bounds: strangers may write it.

`Document` is the base of such records. Reading one checks types, refuses unknown keys, and raises a
`FormatError` that starts with the place of the offending value, as in ``path[2].probability``.
Every limit is checked before the memory that it guards is spent, and a message has at most a few
hundred characters, however long the text is.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, NoReturn, Self, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from nbdt.errors import FormatError, InputError

T = TypeVar("T")

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
    """A refused value as errors quote it; short, whatever the value."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _QUOTE else repr(value[:_QUOTE]) + "…"
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if abs(value) <= MAX_INTEGER else "a huge integer"
    kind = type(value).__name__
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def decoded(data: bytes) -> str:
    """The text that these bytes hold in UTF-8, without a byte order mark."""
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
    """Refuses a text that would take far more memory than itself once it is parsed.

    `opening` are the characters that open a group of values in its format.
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

    Unlike `json.loads` it refuses what other readers may read differently: repeated keys, NaN and
    Infinity, and numbers that 64 bits cannot hold.
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
    """A deep copy made of dict, list, str, int, float, bool and None; tuples become lists.

    `where` is what an error calls the value, `depth` how deep it is nested already.
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
            raise FormatError(f"{where} has keys that are not texts, which JSON cannot hold.")
        return {
            encodable(key, where): json_value(entry, where, depth + 1)
            for key, entry in value.items()
        }
    raise FormatError(f"{where} is {described(value)}, which JSON cannot hold.")


def encodable(text: str, where: str) -> str:
    """The text itself; half a surrogate pair, which UTF-8 cannot hold, is refused."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError(f"{where} has half a surrogate pair, which no file can hold.") from None
    return text


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise FormatError(f"has the key {described(twice)} twice in one object.")
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
    raise FormatError(f"has the number {name}, which is not valid JSON.")


class Document(BaseModel):
    """A frozen record that JSON can hold.

    Built in Python, it raises an `InputError` where a value does not fit; read with `from_dict`, a
    `FormatError`. Validators of a subclass raise `ValueError` (our errors are such) with a message
    that goes on after the name of the field: "must be …, got …".

    Example:
        >>> class Pet(Document):
        ...     name: str
        ...     ages: tuple[float, ...] = ()
        >>> Pet.from_dict({"name": "cat", "ages": [1, 2.5]}).to_dict()
        {'name': 'cat', 'ages': [1.0, 2.5]}
        >>> Pet.from_dict({"name": "cat", "ages": [1, "x"]})
        Traceback (most recent call last):
        nbdt.errors.FormatError: ages[1]: Input should be a valid number; got 'x'.
        >>> Pet(name=3)
        Traceback (most recent call last):
        nbdt.errors.InputError: name: Input should be a valid string; got 3.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_first_complaint(error)) from None

    # pydantic then knows that validation may build instances without this method.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def to_dict(self) -> dict[str, Any]:
        """The record as values that JSON can hold; tuples become lists."""
        return self.model_dump(mode="json")

    def replace(self, **changes: Any) -> Self:
        """A changed copy, checked like a new record."""
        return type(self)(**dict(self) | changes)

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """The record that `to_dict` gave; a FormatError starts with the place of a wrong value."""
        return validated(cls, document)


class CompleteDocument(Document):
    """A `Document` whose stored form has every key; only Python code may leave out defaults.

    A file that lost a key is then refused, and not understood otherwise. A field that came later
    is named in `optional`, so that older files can be read.
    """

    optional: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _check_keys(self, info: ValidationInfo) -> Self:
        given = self.model_fields_set | self.optional
        lacking = [name for name in type(self).model_fields if name not in given]
        if lacking and info.mode == "json":
            raise ValueError(f"lacks {', '.join(map(described, lacking))}.")
        return self


def validated(kind: type[T], document: object) -> T:
    """A document read as a `Document`, a dataclass or any other annotated type.

    Only lists are converted to tuples, and integers to floats. A FormatError starts with the place
    of the first value that does not fit.

    Example:
        >>> validated(dict[str, tuple[int, ...]], {"ids": [1, 2]})
        {'ids': (1, 2)}
    """
    annotation: Any = kind
    adapter: TypeAdapter[T] = _adapter(annotation)
    # As JSON, so that a list may become a tuple but a text never a number.
    text = json.dumps(json_value(document, "the document"))
    try:
        return adapter.validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise FormatError(_first_complaint(error)) from None


def checked(kind: type[T], values: object) -> T:
    """As `validated`, for values that `parsed_json` gave: long lists are not walked through.

    Nothing is converted but integers to floats, so such a kind has lists where JSON has them.
    """
    try:
        annotation: Any = kind
        value: T = _adapter(annotation).validate_python(values)
        return value
    except ValidationError as error:
        raise FormatError(_first_complaint(error)) from None


def json_schema(kind: type, identifier: str, title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `validated` accepts, for a file that is checked in."""
    schema = _untitled(_adapter(kind).json_schema(mode="serialization"))
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "$id": identifier, **schema, "title": title}


def _untitled(schema: Any) -> Any:
    """A schema without pydantic's titles, which only repeat the names of the keys."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    titles = {"title"} if isinstance(schema.get("title"), str) else set()
    return {key: _untitled(part) for key, part in schema.items() if key not in titles}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _first_complaint(error: ValidationError) -> str:
    """One sentence for the first of pydantic's complaints, with the place of the value."""
    first = error.errors(include_url=False)[0]
    *parents, last = first["loc"] or ("",)
    kind = first["type"]
    if kind.startswith(("missing", "extra_forbidden", "unexpected_keyword")):
        verb = "lacks" if kind.startswith("missing") else "has an unknown key"
        return shortened(f"{_place(parents) or error.title} {verb} {described(last)}.")
    reason = str(first.get("ctx", {}).get("error", "")).strip() if kind == "value_error" else ""
    place = _place([*parents, last])
    if reason:
        return shortened(f"{place} {reason}" if place else reason)
    said = f"{first['msg'].rstrip('.')}; got {described(first['input'])}."
    return shortened(f"{place}: {said}" if place else said)


def _place(keys: list[int | str]) -> str:
    """Keys and indices as a reader writes them: ``path[2].probability``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key:.80}" if text else f"{key:.80}"
    return text
