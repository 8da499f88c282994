"""What is done with a batch, and the engine that does it in this process, one after the other.

An engine is a function like `local`: it calls `work` with every batch, wherever and however many
at a time, and gives the results in the order of the batches. `Work` can be sent to other processes
as far as the model and the data can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from nbdt.classifiers import eval_mode, moved, weights_device
from nbdt.data.samples import collated, labelled
from nbdt.errors import InputError, NBDTError, reason_of
from nbdt.model import NBDT
from nbdt.rules.checks import usable_rows

Forward = Callable[[NBDT, Any], Tensor | tuple[Tensor, ...]]
"""From a model and a batch to its logits, or to them and other tensors with a row a sample."""


@dataclass(slots=True)
class Part:
    """What became of one batch, whose samples are counted from 0.

    Attributes:
        size: how many samples it had.
        rows: those that were answered.
        outputs: their logits, and what else the forward function gave.
        labels: their labels; -1 where there are none.
        inputs: what the network was given, if it is kept.
        failures: the other samples, and why they have no answer.
    """

    size: int
    rows: list[int] = field(default_factory=list)
    outputs: list[tuple[Tensor, ...]] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with a batch: read the samples, put them to the model, sort out failures.

    Attributes:
        data: what indices refer to.
        is_labelled: whether samples are pairs (input, label).
        keeps_failures: whether a sample without an answer is a result; else its error is raised.
        keeps_inputs: whether the inputs are part of the result.
    """

    model: NBDT
    data: Any
    forward: Forward
    is_labelled: bool
    keeps_failures: bool
    keeps_inputs: bool

    def __call__(self, batch: Any) -> Part:
        """The result for a batch: a range of indices into the data, or inputs with labels."""
        if not isinstance(batch, range):
            inputs, labels = self._pair(batch)
            part = Part(len(labels) if labels.ndim else 1)
            self._answer(part, list(range(part.size)), inputs, labels)
            return part
        part = Part(len(batch))
        if not self.keeps_failures:
            read_all = getattr(self.data, "__getitems__", None)
            read = read_all(list(batch)) if read_all else map(self.data.__getitem__, batch)
            self._answer(part, list(range(part.size)), *self._pair(collated(list(read))))
            return part
        samples: dict[int, Any] = {}
        for row, index in enumerate(batch):
            try:
                samples[row] = self.data[index]
            except NBDTError as error:
                part.failures[row] = str(error)
        # Neighbors of one shape share a batch.
        for _, neighbors in groupby(samples, key=lambda row: _shape(samples[row])):
            rows = list(neighbors)
            self._answer(part, rows, *self._pair(collated([samples[row] for row in rows])))
        return part

    def _pair(self, batch: Any) -> tuple[Any, Tensor]:
        if self.is_labelled:
            return labelled(batch)
        # A list may also hold raw samples; tensors would have been stacked.
        is_pair = isinstance(batch, list) and any(isinstance(one, Tensor) for one in batch)
        inputs = batch[0] if is_pair or isinstance(batch, tuple) else batch
        return inputs, torch.full((_length(inputs),), -1)

    def _answer(self, part: Part, rows: list[int], inputs: Any, labels: Tensor) -> None:
        """Adds the answers for some rows, or halves them until the culprits are found."""
        try:
            outputs = self.forward(self.model, inputs)
        # A network raises RuntimeError for nearly everything it cannot take: other sizes, …
        except (NBDTError, RuntimeError) as error:
            if not self.keeps_failures:
                raise
            if len(rows) > 1:
                for half in (slice(0, len(rows) // 2), slice(len(rows) // 2, None)):
                    self._answer(part, rows[half], _sliced(inputs, half), labels[half])
                return
            is_own = isinstance(error, NBDTError)
            reason = str(error) if is_own else f"the network cannot take it: {reason_of(error)}"
            part.failures[rows[0]] = reason
            return
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(outputs[0]) != len(rows):
            raise InputError(f"{len(rows)} labels were given for {len(outputs[0])} samples.")
        if self.keeps_failures:
            usable = usable_rows(outputs[0])
            if not usable.all():
                kept = usable.nonzero()[:, 0]
                for place in (~usable).nonzero()[:, 0].tolist():
                    part.failures[rows[place]] = "the network's answer to it holds NaN or infinity."
                outputs = tuple(output[kept] for output in outputs)
                rows = [rows[place] for place in kept.tolist()]
                inputs, labels = _sliced(inputs, kept.cpu()), labels[kept.cpu()]
        part.rows += rows
        part.outputs.append(outputs)
        part.labels.append(labels)
        if self.keeps_inputs:
            part.inputs.append(inputs)


def local(work: Work, batches: Iterable[Any]) -> Iterator[Part]:
    """Works in this process, on one batch at a time."""
    return map(work, batches)


def _shape(sample: Any) -> Any:
    inputs = sample[0] if isinstance(sample, tuple | list) and sample else sample
    if isinstance(inputs, Mapping):
        return [(key, getattr(inputs[key], "shape", None)) for key in sorted(inputs)]
    return getattr(inputs, "shape", None)


def _length(inputs: Any) -> int:
    if isinstance(inputs, Mapping):
        return next(len(one) for one in inputs.values() if isinstance(one, Tensor))
    return len(inputs)


def _sliced(inputs: Any, rows: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {key: _sliced(value, rows) for key, value in inputs.items()}
    if isinstance(inputs, list) and isinstance(rows, Tensor):
        return [inputs[row] for row in rows.tolist()]
    return inputs[rows]


def forward(model: NBDT, inputs: Any) -> Tensor:
    """The network's logits for one batch, whatever mode the model is in."""
    with eval_mode(model) as still:
        return still.logits(moved(inputs, weights_device(model)))


def forward_with_inputs_of(
    layer: nn.Module, model: NBDT, inputs: Any
) -> tuple[Tensor, list[Tensor]]:
    """The logits for one batch, and what a layer of the network was given, once for each call."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        return forward(model, inputs), seen
    finally:
        hook.remove()
