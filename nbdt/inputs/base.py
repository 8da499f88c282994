"""The interface to a kind of input, and the list of kinds.

A kind is one module of this package with a subclass of `Input`; other distributions add theirs with
entry points of the group ``nbdt.inputs``.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn, Self

import numpy as np
from torch import Tensor

from nbdt.documents import CompleteDocument, described
from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.inputs.parts import Parts, Preview
from nbdt.registry import registered_classes

KIND = "kind"
_DEFAULT = "image"  # folders omit this kind


class Source(NamedTuple):
    """A sample that a command names: what it is called, and how it is read."""

    name: str
    open: Callable[[], Any]


class Input(CompleteDocument):
    """How samples of one kind become a classifier's input: a record stored in a model folder.

    A *sample* is what `open` and `read` give: a picture, a text, a row. A *batch* is what the
    classifier takes: a tensor, a mapping of tensors, a frame.

    Attributes:
        kind: its name in a model folder.
        reads: one sample, in words: "an image".
        noun: what commands call one.
        suffixes: those of the files that hold samples, in lower case, as ".png".
    """

    kind: ClassVar[str]
    reads: ClassVar[str]
    noun: ClassVar[str] = "sample"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of a sample, with None for sizes that vary; None if it is unknown."""
        return None

    def open(self, path: str | os.PathLike[str]) -> Any:
        """The sample in a file; an InputError if samples of this kind are not files."""
        raise InputError(
            f"{os.fspath(path)}: this model reads {self.reads}, which is not read from a file."
        )

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The sample in an object or in the bytes of a file; never opens a path or a URL."""

    @abstractmethod
    def batch(self, samples: Sequence[Any]) -> Any:
        """The classifier's input for several samples."""

    # ── what a caller in Python gives ─────────────────────────────────────────────────────────

    def prepared(self, value: Any) -> Any:
        """The batch for whatever a caller gives: one sample, several, or a batch as it is.

        A tensor's first axis is the batch, unless the shape of a sample is known.
        """
        if isinstance(value, Tensor):
            shape = self.shape
            return value[None] if shape is not None and value.ndim == len(shape) else value
        if is_encoding(value):
            return value
        return self.batch(self.samples(value))

    def samples(self, value: Any) -> Sequence[Any]:
        """The samples in what a caller gives: a list of them, or one; paths are opened."""
        if not isinstance(value, list | tuple):
            return [self.sample(value)]
        if not value:
            raise InputError("there is no sample: the list is empty.")
        return numbered(self.sample, value)

    def sample(self, value: Any) -> Any:
        """One sample, from a path or from what `read` takes."""
        if isinstance(value, str | os.PathLike):
            return self.open(value)
        return self.read(value)

    # ── what people see of a sample ───────────────────────────────────────────────────────────

    def preview(self, sample: Any) -> Preview:
        """What a page shows of a sample; by default nothing."""
        return Preview()

    def parts(self, sample: Any, *, baseline: Any = None, by: str | int | None = None) -> Parts:
        """The parts of a sample; an InputError if it has none that can be left out.

        `baseline` takes the place of what is left out, if that is possible; `by` says how finely a
        sample is divided, if there is a choice.
        """
        raise InputError(
            f"this model reads {self.reads}, of which no parts are known that could be left out."
        )

    # ── what a service tells of it ────────────────────────────────────────────────────────────

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of what `read` takes in JSON; its ``examples`` have a sample, if known.

        Bytes of a file are ``{"b64": "…"}``, which a service decodes before `read` sees them.
        """
        shape = "" if self.shape is None else f", of shape {array_shape(self.shape)}"
        return {"type": "array", "description": f"Numbers in nested lists{shape}."}

    def notes(self, sample: Any) -> list[str]:
        """What whoever sends a sample should know, as that the end of a text is cut off."""
        return []

    # ── what the command line names ───────────────────────────────────────────────────────────

    def sources(self, argument: str, *, text: bool = False) -> list[Source]:
        """The samples that an argument of a command names: those in a file or a folder.

        `text` forces the argument itself to be the sample, for kinds that read text.
        """
        if text:
            raise InputError(f"--text is for models that read text; this one reads {self.reads}.")
        path = Path(argument)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in self.suffixes)
            if not files:
                raise NotFoundError(
                    f"{argument}: no file in this folder ends in {', '.join(self.suffixes)}."
                )
            return [source for file in files for source in self.sources(str(file))]
        return [Source(argument, lambda: self.open(path))]

    def fitted_to(self, forward: Callable[..., Any]) -> Self:
        """The input as a network with this `forward` takes it."""
        return self

    # ── stored in a model folder ──────────────────────────────────────────────────────────────

    def save(self, folder: Path) -> None:
        """Writes the files that belong to it, such as a tokenizer's, into a model folder."""

    def load(self, folder: Path) -> Self:
        """The input with the files that `save` wrote; a FormatError if they are invalid."""
        return self

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

    def refuse(self, value: object) -> NoReturn:
        """Raises the error for a value of a wrong kind."""
        raise InputError(f"this model reads {self.reads}; got {kind_of(value)}.")


def numbered(read: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    """What `read` gives for each value; an error names the sample, counted from 0."""
    samples = []
    for index, value in enumerate(values):
        try:
            samples.append(read(value))
        except NBDTError as error:
            error.args = (f"sample {index}: {error}", *error.args[1:])
            raise
    return samples


def kind_of(value: object) -> str:
    """What a value is, in the words of an error: "a PIL image", "a numpy array of shape (2, 3)"."""
    kind, library = type(value).__name__, type(value).__module__.partition(".")[0]
    if library == "PIL":
        return "a PIL image"
    if isinstance(value, Tensor | np.ndarray):
        what = "a tensor" if isinstance(value, Tensor) else "a numpy array"
        return f"{what} of {value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, str | bytes):
        return "text" if isinstance(value, str) else "bytes"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    if value is None or isinstance(value, bool):
        return str(value)
    if library in ("pandas", "polars", "pyarrow"):
        return f"a {kind} of {library}"
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"


def array_shape(shape: Sequence[int | None]) -> str:
    """A shape in words, as "3 × any × any"."""
    return " × ".join("any" if side is None else str(side) for side in shape)


def is_encoding(value: object) -> bool:
    """Whether this is a mapping of tensors, as a tokenizer gives it."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(part, Tensor) or part is None for part in value.values())
