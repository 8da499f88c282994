"""Reading the JSON document of an explanation, part by part; each complaint says where it is."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Any, NoReturn, TypeVar

from nbdt.errors import FormatError

SCHEMA = "nbdt.explanation/1"

# What two writers may differ by when they round the same number.
_TOLERANCE = 1e-6

Value = TypeVar("Value")


class Part:
    """One object of a document and where it stands, as in ``$.path[2]``.

    Args:
        value: what stands there.
        where: the place, for messages.
        keys: exactly the keys that the object has to have.

    Raises:
        FormatError: this is no object, or a key is missing or unknown.

    Example:
        >>> Part({"margin": "wide"}, "$.path[0]", ["margin"]).number("margin")
        Traceback (most recent call last):
        nbdt.errors.FormatError: $.path[0].margin has to be a finite number, got 'wide'.
    """

    def __init__(self, value: Any, where: str, keys: Collection[str]) -> None:
        self._where = where
        if not isinstance(value, dict):
            self.refuse("", f"has to be an object, got {_shown(value)}")
        self._value: dict[str, Any] = value
        for key in keys:
            if key not in value:
                self.refuse("", f"lacks {key!r}")
        for key in value:
            if key not in keys:
                self.refuse("", f"has an unknown key {_shown(key)}")

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raises the FormatError that says what is wrong with one key, or with the whole part."""
        raise FormatError(f"{self._where}{'.' if key else ''}{key} {reason}.")

    def constant(self, key: str, expected: str) -> None:
        """Refuses any text but the one expected."""
        self.choice(key, (expected,))

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of a few texts."""
        value = self._value[key]
        if not isinstance(value, str) or value not in choices:
            wanted = " or ".join(map(repr, choices))
            self.refuse(key, f"has to be {wanted}, got {_shown(value)}")
        return value

    def text(self, key: str) -> str:
        """A text that is not empty."""
        return self._checked_text(key, self._value[key])

    def node(self, key: str) -> int:
        """The id of a node: an integer, 0 or more."""
        return self._checked_node(key, self._value[key])

    def number(self, key: str) -> float:
        """A finite number."""
        return self._checked_number(key, self._value[key])

    def share(self, key: str) -> float:
        """A number from 0 to 1."""
        return self._checked_share(key, self._value[key])

    def optional(self, key: str, read: Callable[[str], Value]) -> Value | None:
        """None where the document says null, else what `read` makes of it."""
        return None if self._value[key] is None else read(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        return tuple(self._checked_text(*item) for item in self.items(key))

    def nodes(self, key: str) -> tuple[int, ...]:
        """A list of the ids of nodes, none of them twice."""
        ids = tuple(self._checked_node(*item) for item in self.items(key))
        if len(set(ids)) < len(ids):
            self.refuse(key, "names a node twice")
        return ids

    def shares(self, key: str) -> tuple[float, ...]:
        """A list of numbers from 0 to 1 that sum to 1."""
        numbers = tuple(self._checked_share(*item) for item in self.items(key))
        if abs(math.fsum(numbers) - 1) > _TOLERANCE:
            self.refuse(key, f"has to sum to 1, got {math.fsum(numbers)}")
        return numbers

    def parts(self, key: str, keys: Collection[str]) -> Iterator[Part]:
        """A list of objects with these keys."""
        for place, value in self.items(key):
            yield Part(value, f"{self._where}.{place}", keys)

    def items(self, key: str) -> list[tuple[str, Any]]:
        """The values of a list, each with its place."""
        values = self._value[key]
        if not isinstance(values, list):
            self.refuse(key, f"has to be a list, got {_shown(values)}")
        return [(f"{key}[{index}]", value) for index, value in enumerate(values)]

    def follows(self, key: str, expected: str | int | float) -> None:
        """Refuses a value that is not what the rest of the document makes it."""
        value = self._value[key]
        if isinstance(expected, float):
            same = abs(self.number(key) - expected) <= _TOLERANCE
        else:
            same = type(value) is type(expected) and value == expected
        if not same:
            wanted = f"the rest of the document makes it {_shown(expected)}"
            self.refuse(key, f"is {_shown(value)}, but {wanted}")

    def _checked_text(self, place: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            self.refuse(place, f"has to be a text that is not empty, got {_shown(value)}")
        return value

    def _checked_node(self, place: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(place, f"has to be the id of a node, 0 or more, got {_shown(value)}")
        return value

    def _checked_number(self, place: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # The comparison fails for NaN and infinities, and for integers that no float can hold.
        if not is_number or not -sys.float_info.max <= value <= sys.float_info.max:
            self.refuse(place, f"has to be a finite number, got {_shown(value)}")
        return float(value)

    def _checked_share(self, place: str, value: Any) -> float:
        number = self._checked_number(place, value)
        if not 0 <= number <= 1:
            self.refuse(place, f"has to be from 0 to 1, got {number}")
        return number


def _shown(value: Any) -> str:
    """The value as a message shows it: short, whatever it is."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and abs(value) > sys.maxsize:
        return "a huge integer"
    shown = "null" if value is None else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"
