"""The interface to a kind of input, and the list of kinds.

A kind is one module of this package with a subclass of `Input`; other distributions add theirs with
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
_DEFAULT = "image"  # folders omit this kind


class Input(CompleteDocument):
    """How samples of one kind become a classifier's input: a record stored in a model folder."""

    kind: ClassVar[str]

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of a sample, with None for sizes that vary; None if it is unknown."""
        return None

    def open(self, path: str | os.PathLike[str]) -> Any:
        """The sample in a file; an InputError if samples of this kind are not files."""
        raise InputError(f"{os.fspath(path)}: samples of the kind {self.kind} are not files.")

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The sample in an object or in the bytes of a file; never opens a path or a URL."""

    @abstractmethod
    def batch(self, samples: Iterable[Any]) -> Tensor:
        """The network's input for several samples, stacked."""

    def to_config(self) -> dict[str, Any]:
        """The record as stored in a model folder, with its kind."""
        named = {} if self.kind == _DEFAULT else {KIND: self.kind}
        return named | self.to_dict()

    @staticmethod
    def from_config(document: object) -> Input:
        """The input that `to_config` wrote; a FormatError if it is invalid."""
        options = dict(document) if isinstance(document, Mapping) else document
        kind = options.pop(KIND, _DEFAULT) if isinstance(options, dict) else _DEFAULT
        known = {cls.kind: cls for cls in registered_classes("nbdt.inputs", Input)}
        if not isinstance(kind, str) or kind not in known:
            raise FormatError(f"{KIND} must be one of {', '.join(known)}; got {described(kind)}.")
        cls: type[Input] = known[kind]
        return cls.from_dict(options)
