"""Training the demo's network, the same way on every machine, and showing how far it is."""

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

# Where there is no terminal for a bar, a line is printed once in so many epochs.
_EPOCHS_A_LINE = 5

OnEpoch = Callable[[int, int, float], None]


def train(digits: Digits, seed: int, on_epoch: OnEpoch) -> nn.Module:
    """A small network that learned from the digits: AdamW, one cycle of learning rates.

    torch's own random numbers are left as they were.

    Args:
        digits: what to learn from.
        seed: of the first weights and of the order of the samples.
        on_epoch: is called after each epoch with its number, how many there are, and its loss.

    Example:
        >>> from nbdt.data.digits import load_digits
        >>> few = load_digits().select(torch.arange(20))
        >>> train(few, 0, lambda epoch, epochs, loss: None).linear
        Linear(in_features=64, out_features=10, bias=True)
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the random numbers of GPUs too, which nobody restores.
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
    """Lets torch compute with one thread inside, so that results do not depend on the cores.

    How a sum is shared out among threads changes its last bits and so, in the end, the tree. A
    network this small is trained no faster by several.

    Example:
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def training_progress(console: Console) -> Iterator[OnEpoch]:
    """What shows the progress of training: a bar on a terminal, else a line every few epochs.

    Example:
        >>> with training_progress(Console()) as progress:
        ...     progress(1, 2, 0.5)
        ...     progress(2, 2, 0.25)
        training: epoch 2 of 2, loss 0.250
    """
    if not console.is_terminal:
        yield (
            lambda epoch, epochs, loss: (
                console.print(
                    f"training: epoch {epoch} of {epochs}, loss {loss:.3f}", highlight=False
                )
                if epoch % _EPOCHS_A_LINE == 0 or epoch == epochs
                else None
            )
        )
        return
    columns = (
        TextColumn("Training a small network"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=EPOCHS, loss="")
        yield lambda epoch, epochs, loss: bar.update(
            task, completed=epoch, total=epochs, loss=f"loss {loss:.3f}"
        )
