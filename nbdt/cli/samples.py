"""The samples that the arguments of a command name: files, folders, rows, texts, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any, NoReturn

from nbdt.cli.options import option
from nbdt.data.folder import list_images
from nbdt.data.rows import is_rows, unlabelled_rows
from nbdt.errors import InputError, NBDTError
from nbdt.files import is_file, is_folder
from nbdt.inputs import Input, Source, TableInput
from nbdt.inputs.frames import as_table, parsed_table
from nbdt.inputs.image import MAX_BYTES

STANDARD_INPUT = "-"

ColumnOption = Annotated[
    str | None,
    option("--column NAME", "The column of a table that has the texts, if it has others too."),
]
IgnoreOption = Annotated[
    list[str] | None,
    option("--ignore COLUMN", "Leave out a column of a table; repeatable."),
]
TextOption = Annotated[
    bool, option("--text", "Take arguments as texts, even if files have these names.")
]


class Samples:
    """Samples in the order of the arguments; what cannot be read raises its error when asked for.

    With `is_strict`, files and folders without samples raise theirs at once.

    Attributes:
        names: what each is called.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        reader: Input,
        *,
        text: bool = False,
        column: str | None = None,
        ignore: Iterable[str] = (),
        is_strict: bool = False,
    ) -> None:
        self.reader = reader
        self._sources: list[Source] = []
        for argument in arguments:
            try:
                self._sources += _sources(argument, reader, text, column, ignore)
            except NBDTError as error:
                if is_strict:
                    raise
                self._sources.append(Source(argument, partial(_fail, error)))
        self.names = [source.name for source in self._sources]

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: int) -> Any:
        sample = self.sample(index)
        # Pictures become tensors one by one, so that neighbors of one size share a batch.
        return self.reader(sample) if callable(self.reader) else sample

    def name(self, index: int) -> str:
        """What a sample is called."""
        return self.names[index]

    def sample(self, index: int) -> Any:
        """The sample as the input reads it."""
        return self._sources[index].open()


def _sources(
    argument: str, reader: Input, text: bool, column: str | None, ignore: Iterable[str]
) -> list[Source]:
    if argument == STANDARD_INPUT:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(f"standard input is longer than {MAX_BYTES // 10**6} MB.")
        given: Any = data
        if ignore and isinstance(reader, TableInput):
            given = as_table(parsed_table(data)).without(ignore)
        samples: Sequence[Any] = reader.samples(given)
        return [
            Source(f"-, sample {place + 1}" if len(samples) > 1 else "-",
                   partial(samples.__getitem__, place))
            for place in range(len(samples))
        ]  # fmt: skip
    if not text and is_rows(argument) and is_file(argument):
        rows = unlabelled_rows(argument, reader, column=column, ignore=ignore)
        return [
            Source(rows.name(place), partial(rows.__getitem__, place)) for place in range(len(rows))
        ]
    if not text and is_folder(argument):
        files = list_images(argument, reader.suffixes)
        return [source for file in files for source in reader.sources(str(file))]
    return reader.sources(argument, text=text)


def _fail(error: NBDTError) -> NoReturn:
    raise error
