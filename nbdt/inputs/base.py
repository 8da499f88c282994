"""What the project asks of a kind of input, and which kinds there are.

A kind is one module of this package with a subclass of `Input`; other distributions add theirs by
entry points of the group ``nbdt.inputs``.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from nbdt.documents import CompleteDocument, described
from nbdt.errors import FormatError, InputError
from nbdt.registry import registered_classes

KIND = "kind"
_DEFAULT = "image"  # folders of this kind do not name it


class Input(CompleteDocument):
    """How samples of one kind become what a classifier takes: a record that a model folder holds.

    Attributes:
        kind: the name of the kind, such as "image".
    """

    kind: ClassVar[str]

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of a sample as the network takes it, None where it varies, or None at all."""
        return None

    def open(self, path: str | os.PathLike[str]) -> Any:
        """The sample in a file.

        Raises:
            NotFoundError: no such file.
            InputError: it holds no such sample, or samples of this kind are not files.
        """
        raise InputError(f"{os.fspath(path)}: samples of the kind {self.kind} are not files.")

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The sample that an object or the bytes of a file hold; never opens a path or an address.

        Raises:
            InputError: it is not such a sample.
        """

    @abstractmethod
    def batch(self, samples: Iterable[Any]) -> Tensor:
        """The network's input for several samples, stacked.

        Raises:
            InputError: there is none, or they do not fit together.
        """

    def to_config(self) -> dict[str, Any]:
        """The record as a model folder holds it, with its kind."""
        named = {} if self.kind == _DEFAULT else {KIND: self.kind}
        return named | self.to_dict()

    @staticmethod
    def from_config(document: object) -> Input:
        """The input that `to_config` gave.

        Raises:
            FormatError: no such kind, or it is not such a record.
        """
        options = dict(document) if isinstance(document, Mapping) else document
        kind = options.pop(KIND, _DEFAULT) if isinstance(options, dict) else _DEFAULT
        known = {cls.kind: cls for cls in registered_classes("nbdt.inputs", Input)}
        if not isinstance(kind, str) or kind not in known:
            raise FormatError(f"{KIND} must be one of {', '.join(known)}; got {described(kind)}.")
        cls: type[Input] = known[kind]
        return cls.from_dict(options)
