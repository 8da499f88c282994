"""The labeled samples that a command is given, and a model's answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from nbdt.cli.options import argument, option
from nbdt.cli.output import complain, progress
from nbdt.cli.samples import Samples
from nbdt.data import LabelledSamples, describe_datasets, load_dataset
from nbdt.data.stratify import Part
from nbdt.errors import InputError
from nbdt.inputs import Input
from nbdt.run import Block, Run

DataArgument = Annotated[
    str,
    argument(
        "DATA",
        "A folder with one subfolder of images (or texts, …) per class; a table (.csv, .parquet, "
        "…) with a column of classes, see --label; an .npz of arrays; or the name of a data set, "
        "whose test images are taken.",
    ),
]
LabelOption = Annotated[
    str | None, option("--label COLUMN", "The column of a table that has the classes.")
]
PartialOption = Annotated[
    bool,
    option("--partial", "Classes of a folder may have no subfolder."),
]
PartOption = Annotated[
    str | None,
    option(
        "--part K/N",
        "Only the Kth of N parts of the samples, such as 1/3: drawn at random, each class "
        "evenly, and the same each time.",
    ),
]


def load_samples(
    data: str,
    classes: Sequence[str] | None,
    reader: Input,
    *,
    label: str | None = None,
    column: str | None = None,
    ignore: Sequence[str] | None = None,
    partial: bool = False,
    part: str | None = None,
) -> LabelledSamples:
    """The samples to judge a model by, as `load_dataset` finds them.

    `classes` are the model's, in its order; None for samples of other classes. `part` is one of
    several disjoint parts of them, as ``K/N``; None for all.
    """
    chosen = Part(1, 1) if part is None else Part.parse(part)
    if partial and data in describe_datasets():
        raise InputError(f"{data}: --partial goes with a folder; a data set has all its classes.")
    samples = load_dataset(
        data,
        classes=classes,
        label=label,
        column=column,
        ignore=ignore or (),
        preprocessing=reader,
        partial=partial,
    )
    return samples if part is None else samples.parts(chosen.number)[chosen.place - 1]


def load_unlabelled(
    data: str, reader: Input, *, column: str | None = None, ignore: Sequence[str] | None = None
) -> LabelledSamples:
    """Samples of no class, labeled 0: all in a folder or a file, or a data set's test images."""
    if data in describe_datasets() or not Path(data).exists():
        return load_samples(data, None, reader)
    samples = Samples([data], reader, column=column, ignore=ignore or (), is_strict=True)
    return LabelledSamples(samples, [0] * len(samples), ["unknown"], reader)


class Watcher:
    """Iterates over runs with a progress bar, and names the samples that cannot be used.

    Args:
        runs: for each run by its name, what the progress bar says and what the data is called.

    Attributes:
        failed: the samples that could not be used, by name, each with the reason.
    """

    def __init__(self, **runs: tuple[str, str]) -> None:
        self._runs = runs
        self.failed: dict[str, str] = {}

    def __call__(self, what: str, run: Run) -> Iterator[Block]:
        """The blocks of one run; refuses data of which no sample can be used."""
        doing, data = self._runs[what]
        samples: LabelledSamples = run.work.data
        names = samples.names()
        with progress(doing, len(names)) as run.progress:
            for block in run:
                for index, reason in block.failures.items():
                    name = names[index]
                    if name not in self.failed:
                        self.failed[name] = reason.removeprefix(f"{name}: ")
                        complain(f"{name}: {self.failed[name]}")
                yield block
        if not run.answered:
            raise InputError(f"{data}: none of its {len(names)} {samples.noun}s could be used.")
