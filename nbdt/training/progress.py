"""How far a training is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

OnStep = Callable[[int, int, float, float], None]
"""Called after a step with its epoch (from 1), its number in it, the loss and images a second."""


@contextmanager
def progress_bar(epochs: int, steps_per_epoch: int, *, shown: bool) -> Iterator[OnStep]:
    """A bar over all epochs on standard error, with the time that is left, if that is a terminal.

    Example:
        >>> with progress_bar(1, 10, shown=True) as advance:
        ...     advance(1, 3, 0.5, 1000.0)
    """
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
