"""`Edit`: one change of a tree as data, which can be applied, printed and kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nbdt.errors import FormatError, InputError
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.validation import is_integer

EditFunction = Callable[..., Hierarchy]

# Those that leave the classes what they are: samples and logits still fit.
_FUNCTIONS: dict[str, EditFunction] = {
    function.__name__: function
    for function in (
        *(edit.rename, edit.move, edit.regraft, edit.group, edit.dissolve, edit.merge),
        *(edit.split, edit.collapse),
    )
}


@dataclass(frozen=True)
class Edit:
    """One of the edits of `nbdt.hierarchy.edit` with its arguments.

    Attributes:
        name: what the edit is called there.
        arguments: its arguments by name, but for the tree.

    Raises:
        InputError: there is no such edit, it changes the classes, or takes no such arguments.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
        >>> one = Edit.of(edit.dissolve, "pet")
        >>> print(one, one(tree), sep=chr(10))
        dissolve(node='pet')
        thing
        ├─ cat
        ├─ dog
        └─ car
    """

    name: str
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.name not in _FUNCTIONS:
            raise _unknown(self.name)
        try:
            # None stands for the tree.
            inspect.signature(_FUNCTIONS[self.name]).bind(None, **self.arguments)
        except TypeError as error:
            raise InputError(f"{self.name}: {error}.") from None
        for value in self.arguments.values():
            _plain(value)
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))

    @classmethod
    def of(cls, function: EditFunction, *arguments: Any, **named: Any) -> Edit:
        """The edit that calling the function so, with a tree before, would make.

        Raises:
            InputError: as for `Edit`.
        """
        name = getattr(function, "__name__", str(function))
        if name not in _FUNCTIONS or _FUNCTIONS[name] is not function:
            raise _unknown(function)
        try:
            bound = inspect.signature(function).bind(None, *arguments, **named)
        except TypeError as error:
            raise InputError(f"{name}: {error}.") from None
        return cls(name, {key: bound.arguments[key] for key in [*bound.arguments][1:]})

    def __call__(self, tree: Hierarchy) -> Hierarchy:
        """The changed copy of a tree.

        Raises:
            NBDTError: as the edit does.
        """
        return _FUNCTIONS[self.name](tree, **self.arguments)

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({given})"

    def to_dict(self) -> dict[str, Any]:
        """The edit as values that JSON can hold; a mapping by node is a list of pairs."""
        return {
            "edit": self.name,
            "arguments": {key: _plain(value) for key, value in self.arguments.items()},
        }

    @classmethod
    def from_dict(cls, document: object) -> Edit:
        """The edit that `to_dict` gave; other entries are passed over.

        Raises:
            FormatError: this is no such edit.

        Example:
            >>> one = Edit.of(edit.rename, {3: "pet"})
            >>> Edit.from_dict(one.to_dict()) == one
            True
        """
        try:
            if not isinstance(document, Mapping):
                raise InputError(f"got {document!r:.80}.")
            name, arguments = document.get("edit"), document.get("arguments")
            if not isinstance(name, str) or not isinstance(arguments, Mapping):
                raise InputError("it needs the name of an edit and its arguments.")
            values = dict(arguments)
            if name == edit.rename.__name__:
                values["names"] = dict(values["names"])
            return cls(name, values)
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"this is no edit of a tree: {error}") from None


def _unknown(given: object) -> InputError:
    return InputError(
        f"an edit that can be tried is one of {', '.join(_FUNCTIONS)}, which leave the classes as "
        f"they are; got {given!r:.60}."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, str) or value is None:
        return value
    if is_integer(value):
        return int(value)
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    raise InputError(f"an edit is given nodes, names and lists of them; got {value!r:.60}.")
