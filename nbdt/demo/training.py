"""Trains the demo's network, the same way on every machine, and shows its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from torch import nn
from torch.nn import functional as F

from nbdt.classifiers import build
from nbdt.data.digits import Digits

NETWORK = "nbdt:digits-cnn"

# Fixed beforehand; none was chosen by the accuracy on held-out digits.
EPOCHS = 20
BATCH_SIZE = 64
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-2

# Without a terminal for a bar, a line is printed once every few epochs.
_EPOCHS_A_LINE = 5

OnEpoch = Callable[[int, int, float], None]


def train(digits: Digits, seed: int, on_epoch: OnEpoch) -> nn.Module:
    """A small network trained on the digits with AdamW and one cycle of learning rates.

    The seed decides the first weights and the order of samples; torch's own random numbers stay as
    they were.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed GPUs, whose random numbers nobody restores.
        torch.default_generator.manual_seed(seed)
        network = build(NETWORK, num_classes=len(digits.classes), in_channels=1)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * -(-len(digits) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for batch in torch.split(torch.randperm(len(digits), generator=order), BATCH_SIZE):
            loss = F.cross_entropy(network(digits.images[batch]), digits.labels[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        on_epoch(epoch, EPOCHS, total / len(digits))
    return network.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute in one thread, so that results don't depend on the number of cores.

    Splitting a sum among threads changes its last bits and, in the end, the tree.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def training_progress(console: Console) -> Iterator[OnEpoch]:
    """Shows the progress of training: a bar on a terminal, else a line every few epochs."""
    if not console.is_terminal:

        def line(epoch: int, epochs: int, loss: float) -> None:
            if epoch % _EPOCHS_A_LINE == 0 or epoch == epochs:
                text = f"training: epoch {epoch} of {epochs}, loss {loss:.3f}"
                console.print(text, highlight=False)

        yield line
        return
    title, loss_now = TextColumn("Training a small network"), TextColumn("{task.fields[loss]}")
    columns = (title, BarColumn(), TaskProgressColumn(), loss_now)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=EPOCHS, loss="")
        yield lambda epoch, epochs, loss: bar.update(
            task, completed=epoch, total=epochs, loss=f"loss {loss:.3f}"
        )
