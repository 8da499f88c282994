"""Texts and pairs of texts: as the tensors that a tokenizer makes of them, or as they are.

A model folder holds a tokenizer as data: as one file of the tokenizers library or, where it is
written in Python, as the settings of one of transformers' own classes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor

from nbdt.documents import described, shortened
from nbdt.errors import FormatError, InputError, NotFoundError, SampleWarning, missing, reason_of
from nbdt.files import error_context, is_file, is_folder, read_text, write_text
from nbdt.inputs.base import Input, Source, numbered
from nbdt.inputs.parts import Parts, Preview, Span
from nbdt.inputs.texts import KEYS, Text, several_texts, text_parts, texts_of

FOLDER, FILE = "tokenizer", "tokenizer.json"

TensorName = Literal["input_ids", "attention_mask", "token_type_ids"]
_ENCODING = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
_OF_LINES = (".txt", ".text")
_MAX_PADDING = 1_000_000


class TextInput(Input):
    """Texts, or pairs of them; a tokenizer makes tensors of them, else they stay strings.

    A string is always text, never a path. Several texts are a list or a column of a table; a pair
    is a tuple of two strings, or ``{"text": …, "text_pair": …}``. `with_tokenizer` makes an input
    that has a tokenizer.

    Args:
        tokenizer: the library of the tokenizer, "tokenizers" or "transformers".
        tensors: the tensors that the network takes by name; if none, it takes the token ids alone.
        max_length: the most tokens that the network reads; the rest is cut off with a warning.

    Example:
        >>> TextInput().samples(["a cat", "a dog"])
        ['a cat', 'a dog']
    """

    kind: ClassVar[str] = "text"
    reads: ClassVar[str] = "text"
    suffixes: ClassVar[tuple[str, ...]] = (*_OF_LINES, ".md", ".rst")

    tokenizer: Literal["tokenizers", "transformers"] | None = None
    tensors: tuple[TensorName, ...] = ()
    max_length: int | None = Field(default=None, ge=1)

    _tokenizer: Any = PrivateAttr(None)
    _whole: Any = PrivateAttr(None)  # the tokenizer without truncation, made when it is needed

    @classmethod
    def with_tokenizer(cls, tokenizer: Any, tensors: Sequence[TensorName] = ()) -> Self:
        """The input with a `tokenizers.Tokenizer`, or with one that transformers has in Python.

        The former's own padding and truncation are used; nothing else may change them.
        """
        is_fast = type(tokenizer).__module__.startswith("tokenizers")
        return cls(
            tokenizer="tokenizers" if is_fast else "transformers",
            tensors=tuple(tensors),
            max_length=(tokenizer.truncation or {}).get("max_length") if is_fast else None,
        )._with(tokenizer)

    @property
    def vocabulary_size(self) -> int:
        """How many tokens the tokenizer has."""
        is_fast = self.tokenizer == "tokenizers"
        return self._tokenizer.get_vocab_size() if is_fast else len(self._tokenizer)

    @property
    def padding_id(self) -> int | None:
        """The token that shorter texts are padded with; None if there is none."""
        if self.tokenizer == "transformers":
            return None if self._tokenizer.pad_token is None else self._tokenizer.pad_token_id
        return (self._tokenizer.padding or {}).get("pad_id")

    def fitted_to(self, forward: Callable[..., Any]) -> Self:
        """The input with just the tensors that a network's `forward` takes by name."""
        try:
            parameters = signature(forward).parameters.values()
        except (TypeError, ValueError):  # a scripted module has none
            return self
        names = {one.name for one in parameters if one.kind is not one.VAR_KEYWORD}
        kept = tuple(name for name in self.tensors if name in names)
        takes_any = len(names) < len(parameters)
        return self if takes_any and not kept else self.replace(tensors=kept)

    def limited_to(self, max_length: int) -> Self:
        """The input with at most so many tokens."""
        if self.tokenizer is None or (self.max_length or max_length + 1) <= max_length:
            return self
        limited = self.replace(max_length=max_length)
        if self.tokenizer == "tokenizers":
            limited._tokenizer = deepcopy(self._tokenizer)
            limited._tokenizer.enable_truncation(
                **(self._tokenizer.truncation or {}) | {"max_length": max_length}
            )
        return limited

    def replace(self, **changes: Any) -> Self:
        """A changed copy with the same tokenizer."""
        return super().replace(**changes)._with(self._tokenizer)

    def _with(self, tokenizer: Any) -> Self:
        self._tokenizer = tokenizer
        return self

    def json_schema(self) -> dict[str, Any]:
        """A string; with a tokenizer also two of them, as a pair."""
        text: dict[str, Any] = {"type": "string", "description": "A text."}
        pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        kinds = text if self.tokenizer is None else {"anyOf": [text, pair]}
        return kinds | {"examples": ["The quick brown fox jumps over the lazy dog."]}

    # ── reading ───────────────────────────────────────────────────────────────────────────────

    def open(self, path: str | os.PathLike[str]) -> Text:
        """The text of a whole file in UTF-8."""
        text = read_text(path)
        with error_context(path):
            return self.read(text)

    def read(self, value: Any) -> Text:
        """A text, the UTF-8 bytes of one, or a pair: two strings, or an object with their keys."""
        if isinstance(value, Mapping):
            if "text" not in value or not set(value) <= set(KEYS):
                raise InputError(
                    "a text that is an object has the key 'text', and 'text_pair' in a pair; got "
                    f"{', '.join(map(described, value)) or 'no key'}."
                )
            parts = [value[key] for key in KEYS if value.get(key) is not None]
            value = parts[0] if len(parts) == 1 else parts
        if not isinstance(value, list | tuple):
            return self._checked(value)
        if len(value) != 2:
            raise InputError(f"this model reads a text, or two as a pair; got {len(value)} values.")
        if self.tokenizer is None:
            raise InputError("this model reads single texts; got a pair.")
        return self._checked(value[0]), self._checked(value[1])

    def _checked(self, value: Any) -> str:
        if isinstance(value, bytes | bytearray):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise InputError("the text is not in UTF-8.") from None
        if not isinstance(value, str):
            self.refuse(value)
        if not value.strip():
            raise InputError("the text is empty; give at least one word.")
        if not value.isascii():
            with suppress(UnicodeEncodeError):
                value.encode()
                return value
            raise InputError("the text has half a surrogate pair; repair its encoding.")
        return value

    def sample(self, value: Any) -> Text:
        """One text; only a `pathlib.Path` is opened."""
        return self.open(value) if isinstance(value, os.PathLike) else self.read(value)

    def samples(self, value: Any) -> Sequence[Text]:
        """The texts in a list, an array, the column "text" of a table, or a `pathlib.Path`."""
        if isinstance(value, os.PathLike):
            return [source.open() for source in self._of_file(Path(value))]
        texts = several_texts(value)
        if texts is None:
            return [self.read(value)]
        if not texts:
            raise InputError("there is no text: the list is empty.")
        return numbered(self.sample, texts)

    def sources(self, argument: str, *, text: bool = False) -> list[Source]:
        """The lines of a .txt file, another text file, the files of a folder, or the text itself.

        A file is read only if it ends in one of `suffixes`; `text` forces the text itself.
        """
        path = Path(argument)
        is_known = path.suffix.lower() in self.suffixes
        if not text and is_folder(path):
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in self.suffixes)
            if not files:
                raise NotFoundError(
                    f"{argument}: no file in this folder ends in {', '.join(self.suffixes)}; "
                    "--text takes the argument itself as the text."
                )
            return [Source(str(file), partial(self.open, file)) for file in files]
        if not text and is_known and is_file(path):
            return self._of_file(path)
        if not text and is_known and len(argument.split()) == 1:
            raise NotFoundError(
                f"{argument}: no such file; --text takes the argument itself as the text."
            )
        return [Source(shortened(argument), partial(self.read, argument))]

    def _of_file(self, path: Path) -> list[Source]:
        if path.suffix.lower() not in _OF_LINES:
            return [Source(str(path), partial(self.open, path))]
        lines = read_text(path).split("\n")
        found = [
            Source(f"{path}:{number}", partial(self.read, line.rstrip("\r")))
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
        if not found:
            raise InputError(f"{path}: the file holds no text.")
        return found

    # ── tensors ───────────────────────────────────────────────────────────────────────────────

    def prepared(self, value: Any) -> Any:
        """The batch for texts; a tensor, or what a tokenizer gave, stays as it is."""
        if isinstance(value, Mapping) and "input_ids" in value:
            return {name: _as_tensor(name, part) for name, part in value.items()}
        return super().prepared(value)

    def batch(self, samples: Sequence[Text]) -> Any:
        """The tensors for several texts, padded; without a tokenizer, a list of strings.

        A `SampleWarning` says what was cut off.
        """
        if self.tokenizer is None:
            return list(samples)
        rows = self._encoded(samples)
        if len(set(map(len, rows["input_ids"]))) > 1:
            raise InputError(
                "texts of several lengths need a tokenizer with a padding token; set one, as by "
                "tokenizer.pad_token = tokenizer.eos_token, or give one text at a time."
            )
        tensors = {name: torch.from_numpy(np.array(part)) for name, part in rows.items()}
        lengths = tensors["attention_mask"].sum(1)
        if not bool(lengths.all()):
            index = int(lengths.argmin())
            raise InputError(
                f"sample {index}: the tokenizer finds no token in {described(samples[index])}."
            )
        if self.max_length is not None and int(lengths.max()) >= self.max_length:
            self._warn(samples, (lengths >= self.max_length).nonzero()[:, 0].tolist())
        return {name: tensors[name] for name in self.tensors} or tensors["input_ids"]

    def notes(self, sample: Text) -> list[str]:
        """How much of the text is cut off, if anything is."""
        size = sum(len(text.encode()) for text in texts_of(sample))
        if self.max_length is None or size < self.max_length - 3:  # of what marks the ends
            return []
        count = self.cut(sample)
        return [f"{self._too_long('the text', count)}."] if count else []

    def _too_long(self, name: str, count: int) -> str:
        return (
            f"{name} is longer than the {self.max_length} tokens that the model reads; the rest, "
            f"{count} tokens, was cut off"
        )

    def cut(self, sample: Text) -> int:
        """How many of a text's tokens `batch` cuts off."""
        if self.tokenizer is None or self.max_length is None:
            return 0
        parts = texts_of(sample)
        if self.tokenizer == "transformers":
            return max(0, len(self._tokenizer(*parts, verbose=False).input_ids) - self.max_length)
        if self._whole is None:
            whole = deepcopy(self._tokenizer)
            whole.no_truncation()
            whole.no_padding()
            self._whole = whole
        return max(0, len(self._whole.encode(*parts).ids) - self.max_length)

    def _warn(self, samples: Sequence[Text], full: Iterable[int]) -> None:
        cut = {index: count for index in full if (count := self.cut(samples[index]))}
        if not cut:
            return
        index, count = next(iter(cut.items()))
        name = "the text" if len(samples) == 1 else f"sample {index}"
        others = f", and so was the rest of {len(cut) - 1} other texts" if len(cut) > 1 else ""
        warnings.warn(
            f"{self._too_long(name, count)}{others}.",
            SampleWarning,
            stacklevel=2,
        )

    def _encoded(self, samples: Sequence[Text]) -> Mapping[str, Sequence[Sequence[int]]]:
        """By tensor, a row a text; all of one length if the tokenizer can pad."""
        names = dict.fromkeys(("input_ids", "attention_mask", *self.tensors))
        if self.tokenizer == "tokenizers":
            encodings = self._tokenizer.encode_batch_fast(list(samples))
            return {name: [getattr(one, _ENCODING[name]) for one in encodings] for name in names}
        options = {
            "truncation": self.max_length is not None,
            "max_length": self.max_length,
            "return_attention_mask": True,
            "return_token_type_ids": "token_type_ids" in names,
            "verbose": False,
        }
        pairs = map(texts_of, samples)
        rows = [self._tokenizer(*pair, **options) for pair in pairs]
        if self._tokenizer.pad_token is None:
            return {name: [row[name] for row in rows] for name in names}
        padded: Mapping[str, list[list[int]]] = self._tokenizer.pad(rows, verbose=False)
        return padded

    # ── what people see of a text ─────────────────────────────────────────────────────────────

    def preview(self, sample: Text) -> Preview:
        """The text, or the two of a pair."""
        return Preview(texts=texts_of(sample))

    def parts(self, sample: Text, *, baseline: Any = None, by: str | int | None = None) -> Parts:
        """The words of a text or pair, its characters or, by a number, its n-grams."""
        return text_parts(sample, by, baseline)

    def token_spans(self, sample: Text) -> list[Span | None] | None:
        """Where each token of `batch` stands, None for special ones; None if it is not known."""
        if self.tokenizer != "tokenizers":
            return None
        found = self._tokenizer.encode(*texts_of(sample))
        triples = zip(found.sequence_ids, found.offsets, found.special_tokens_mask, strict=True)
        return [
            None if place is None or special else (place, *span) for place, span, special in triples
        ]

    # ── stored in a model folder ──────────────────────────────────────────────────────────────

    def save(self, folder: Path) -> None:
        """Writes the tokenizer into a sub-folder."""
        if self.tokenizer is None:
            return
        place = folder / FOLDER
        place.mkdir()
        if self.tokenizer == "tokenizers":
            write_text(place / FILE, self._tokenizer.to_str())
        else:
            self._tokenizer.save_pretrained(place)

    def load(self, folder: Path) -> Self:
        """The input with the tokenizer that `save` wrote; runs no code that a file names."""
        if self.tokenizer is None:
            return self
        read = _read if self.tokenizer == "tokenizers" else _read_in_python
        with error_context(folder / FOLDER):
            return self.replace()._with(read(folder / FOLDER))


def _read(folder: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise missing("tokenizers", "transformers", "this model's tokenizer") from None
    text = read_text(folder / FILE)
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more specific
        raise FormatError(f"{FILE} holds no tokenizer: {reason_of(error)}.") from None
    sizes = (tokenizer.padding or {}).values()
    if any(isinstance(size, int) and size > _MAX_PADDING for size in sizes):
        raise FormatError(f"{FILE} pads texts to more than {_MAX_PADDING:,} tokens.")
    return tokenizer


def _read_in_python(folder: Path) -> Any:
    try:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ImportError:
        raise missing("transformers", "transformers", "this model's tokenizer") from None
    except Exception as error:  # whatever a tokenizer's settings lead to
        raise FormatError(f"it holds no tokenizer of transformers: {reason_of(error)}.") from None


def _as_tensor(name: Any, values: Any) -> Any:
    if values is None or isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"{name} must be numbers, a row of one length for each text; call the tokenizer with "
            "padding=True, or give the texts themselves."
        )
    tensor = torch.from_numpy(array)
    return tensor[None] if tensor.ndim == 1 else tensor
