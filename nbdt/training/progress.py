"""What a training reports: a record of every epoch, a table of them, a bar while it runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nbdt import rules

# In the order of the rows of an `AccuracyTable`.
RULE_SCORES = ("network", *(f"{rule} {score}" for rule, score in rules.RULE_SCORES))

OnStep = Callable[[int, int, float, float], None]
"""Called after a step with its epoch (from 1), its number in it, the loss and images a second."""


@dataclass(frozen=True)
class EpochRecord:
    """What an epoch came to.

    Attributes:
        loss: the mean over its samples, in nats.
        learning_rate: at its last step; the head's is `head_multiplier` times this.
        seconds: how long its steps took, without the measuring that followed.
        accuracy: the share of correct answers on the validation data by "network", "soft mean",
            "hard logsumexp", …; empty where there is no such data.
        moved: where the tree was rebuilt for this epoch, the share of the groups of classes in
            the old and the new tree that only one of them has (0: the same tree); else None.
    """

    epoch: int
    loss: float
    learning_rate: float
    seconds: float
    images_per_second: float
    accuracy: Mapping[str, float] = field(default_factory=dict)
    moved: float | None = None

    def __str__(self) -> str:
        accuracy = "".join(f", {way} {100 * share:.2f} %" for way, share in self.accuracy.items())
        moved = "" if self.moved is None else f", tree moved by {100 * self.moved:.0f} %"
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}{accuracy}, "
            f"{self.images_per_second:.0f} images/s{moved}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The record as values that JSON can hold."""
        return asdict(self)


def as_csv(records: Sequence[EpochRecord]) -> str:
    """The records as a table with a line each, for spreadsheets; accuracies are from 0 to 1."""
    numbers = ("epoch", "loss", "learning_rate", "seconds", "images_per_second", "moved")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*numbers, *(way.replace(" ", "_") for way in RULE_SCORES)])
    for record in records:
        row = [getattr(record, name) for name in numbers]
        writer.writerow([*row, *(record.accuracy.get(way) for way in RULE_SCORES)])
    return text.getvalue()


@contextmanager
def progress_bar(epochs: int, steps_per_epoch: int, *, shown: bool) -> Iterator[OnStep]:
    """A bar over all epochs on standard error with the time left, if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("Training, epoch {task.fields[epoch]} of {task.fields[epochs]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    hidden = not shown or not (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(
            "", total=epochs * steps_per_epoch, epoch=1, epochs=epochs, speed="", visible=not hidden
        )

        def advance(epoch: int, step: int, loss: float, images_per_second: float) -> None:
            bar.update(
                task,
                completed=(epoch - 1) * steps_per_epoch + step,
                epoch=epoch,
                speed=f"loss {loss:.3f}, {images_per_second:.0f} images/s",
            )

        yield advance
