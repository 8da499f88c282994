"""Batches of samples: moved to where the network is, and answered where some cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nbdt.errors import InputError, NBDTError, reason_of

Source = TypeVar("Source")
Answer = TypeVar("Answer")


def moved(inputs: Any, device: torch.device | None, *, channels_last: bool = False) -> Any:
    """A batch on a device: a tensor, or a mapping whose tensors are moved.

    Args:
        inputs: what a network takes; what is no tensor stays as it is.
        device: where the network is; None for one without weights, which is anywhere.
        channels_last: whether images, of shape (batch, channels, height, width), are to be stored
            pixel by pixel.

    Example:
        >>> moved({"input_ids": torch.zeros(2, 3)}, torch.device("cpu"))["input_ids"].shape
        torch.Size([2, 3])
    """
    if isinstance(inputs, Mapping):
        return {
            key: moved(value, device, channels_last=channels_last) for key, value in inputs.items()
        }
    if not isinstance(inputs, Tensor) or device is None:
        return inputs
    layout = torch.channels_last if channels_last and inputs.ndim == 4 else torch.preserve_format
    # Towards the CPU, values could be read before they have arrived.
    return inputs.to(device, non_blocking=device.type != "cpu", memory_format=layout)


def weights_device(network: nn.Module) -> torch.device | None:
    """Where a network's weights are: None for one without, which is anywhere.

    Example:
        >>> weights_device(nn.Linear(2, 3)), weights_device(nn.Identity())
        (device(type='cpu'), None)
    """
    return next((parameter.device for parameter in network.parameters()), None)


def answer_in_batches(
    sources: Iterable[Source],
    load: Callable[[Source], Tensor],
    answer: Callable[[Tensor], Sequence[Answer]],
    *,
    batch_size: int = 32,
) -> Iterator[tuple[Source, Answer | NBDTError]]:
    """Loads and answers samples a batch at a time; one that fails does not take others with it.

    Memory is that of one batch, however many sources there are. Neighbours of one shape share a
    batch, and where a whole batch cannot be answered, its samples are tried one by one.

    Args:
        sources: what to load, such as paths.
        load: gives a source's sample, a tensor; raises `NBDTError` where it cannot.
        answer: gives one answer for every row of a batch, (batch, …).
        batch_size: how many samples share a batch at most.

    Yields:
        Each source with its answer, or with the error that took its place; in their order.

    Example:
        >>> def load(text):
        ...     if text == "?":
        ...         raise InputError("this is no number.")
        ...     return torch.tensor(float(text))
        >>> for source, result in answer_in_batches("1?4", load, lambda x: x.sqrt().tolist()):
        ...     print(source, repr(result))
        1 1.0
        ? InputError('this is no number.')
        4 2.0
    """
    pending = iter(sources)
    while chunk := list(islice(pending, batch_size)):
        loaded = [_loaded(source, load) for source in chunk]
        shapes = [sample.shape if isinstance(sample, Tensor) else None for sample in loaded]
        answers: list[Answer | NBDTError] = []
        for shape, places in groupby(range(len(chunk)), key=shapes.__getitem__):
            samples = [loaded[place] for place in places]
            if shape is None:
                answers += [sample for sample in samples if isinstance(sample, NBDTError)]
            else:
                answers += _answered([s for s in samples if isinstance(s, Tensor)], answer)
        yield from zip(chunk, answers, strict=True)


def _loaded(source: Source, load: Callable[[Source], Tensor]) -> Tensor | NBDTError:
    try:
        return load(source)
    except NBDTError as error:
        return error


def _answered(
    samples: Sequence[Tensor], answer: Callable[[Tensor], Sequence[Answer]]
) -> list[Answer | NBDTError]:
    """One answer a sample, or the error in its place."""
    try:
        return list(answer(torch.stack(list(samples))))
    # A network raises RuntimeError for nearly everything it cannot take: other sizes, channels, ….
    except (NBDTError, RuntimeError) as error:
        if len(samples) > 1:
            return [one for sample in samples for one in _answered([sample], answer)]
        if isinstance(error, NBDTError):
            return [error]
        return [InputError(f"the network cannot take it: {reason_of(error)}")]
