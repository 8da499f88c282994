"""How good maps of classes are, site by site: intersection over union by rule, class and node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.measure import Measure, Result, Section, TextOptions
from nbdt.evaluation.tables import Record, aligned, percent, short
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.model import NBDT
from nbdt.rules import RULE_SCORES, Predictions, RuleName, ScoreName, is_map
from nbdt.rules.sites import chunks
from nbdt.run import answers


@dataclass(frozen=True)
class IoURow(Record):
    """Intersection over union of the tree under one rule and score, or of the network.

    A node stands for all classes under it: its intersection are the sites whose class and answer
    are both under it, its union those where one of them is.

    Attributes:
        nodes: the IoU of every node by id, classes first and the root last; None where no site has
            it as class or answer.
    """

    derived = ("mean_iou", "accuracy")
    rule: RuleName | None
    score: ScoreName | None
    num_classes: int
    sites: int
    correct: int
    nodes: tuple[float | None, ...]

    @property
    def classes(self) -> tuple[float | None, ...]:
        """The IoU of every class."""
        return self.nodes[: self.num_classes]

    @property
    def mean_iou(self) -> float:
        """The mean IoU of the classes that some site has as its class or answer."""
        known = [share for share in self.classes if share is not None]
        return sum(known) / len(known)

    @property
    def accuracy(self) -> float:
        """The share of sites that are answered correctly."""
        return self.correct / self.sites


@dataclass(frozen=True)
class IoUTable(Result):
    """The network beside the tree under each rule and score; `names` are those of the nodes."""

    rows: tuple[IoURow, ...]
    names: tuple[str, ...]

    @property
    def network(self) -> IoURow:
        """The network's own row."""
        return self.rows[0]

    def row(self, rule: RuleName, score: ScoreName) -> IoURow:
        """The tree's row under one rule and score."""
        for row in self.rows:
            if (row.rule, row.score) == (rule, score):
                return row
        raise InputError(f"no row is of rule {rule!r:.80} and score {score!r:.80}.")

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The rules, then the groups, and the classes in the full text; the worst first."""
        cells = [
            (row.rule or "network", row.score or "", percent(row.mean_iou), percent(row.accuracy))
            for row in self.rows
        ]
        head = aligned(("rule", "score", "mean IoU", "sites correct"), cells, words=2)
        first = self.network
        yield Section(0, [*head, f"{first.sites:,} sites, {first.num_classes:,} classes"])
        # Every site is under the root.
        inner = range(first.num_classes, len(self.names) - 1)
        yield from self._table("group", "IoU of groups", inner, options, 10, False)
        yield from self._table(
            "class", "IoU of classes", range(first.num_classes), options, 20, True
        )

    def _table(
        self, kind: str, title: str, nodes: range, options: TextOptions, order: int, full: bool
    ) -> Iterator[Section]:
        known = [node for node in nodes if self.network.nodes[node] is not None]
        worst = sorted(known, key=lambda node: (self.rows[1].nodes[node] or 0.0, node))
        headings = [f"{row.rule or 'network'} {row.score or ''}".strip() for row in self.rows]
        cells = [
            (short(self.names[node]), *(percent(row.nodes[node]) for row in self.rows))
            for node in worst[: options.most]
        ]
        if cells:
            table = aligned((kind, *headings), cells)
            title = f"IoU by {kind}, the worst first"
            yield Section(20 if full else 10, [options.title(title, len(worst)), *table], full)

    def to_text(self, *, rows: int = 5, full: bool = False) -> str:
        """The tables: `rows` groups and, if `full`, classes in each (0 for all)."""
        options = TextOptions(rows or None)
        parts = [one for one in self.sections(options) if full or not one.full]
        return "\n\n".join("\n".join(part.lines) for part in parts)

    def __str__(self) -> str:
        return self.to_text()


class IoUCounter(Measure[IoUTable]):
    """Counts for each way to answer how many sites of each class get each answer."""

    name = "iou"

    def start(self) -> None:
        """Sets all counts to zero."""
        size = self.hierarchy.num_classes
        self._counts: IntArray = np.zeros((1 + len(RULE_SCORES), size, size), dtype=np.int64)

    def update(self, batch: Predictions) -> None:
        """Counts a batch, each of whose samples is a site."""
        size = self.hierarchy.num_classes
        ways = [batch.network_answers, *(batch.answers_by(*way) for way in RULE_SCORES)]
        own = torch.from_numpy(batch.labels).to(ways[0].device) * size
        for counts, found in zip(self._counts, ways, strict=True):
            counts += torch.bincount(own + found, minlength=size**2).view(size, size).cpu().numpy()

    def merge(self, other: IoUCounter) -> None:
        """Adds the counts of another one."""
        self._counts += other._counts

    def compute(self) -> IoUTable:
        """The shares so far."""
        sites = int(self._counts[0].sum())
        if not sites:
            raise InputError("intersection over union needs at least one site with a label.")
        tree = self.hierarchy
        rows = (
            IoURow(
                rule=rule,
                score=score,
                num_classes=tree.num_classes,
                sites=sites,
                correct=int(np.trace(counts)),
                nodes=tuple(None if np.isnan(one) else one for one in self._shares(counts)),
            )
            for (rule, score), counts in zip(
                ((None, None), *RULE_SCORES), self._counts, strict=True
            )
        )
        return IoUTable(tuple(rows), tuple(map(tree.name, range(len(tree)))))

    def _shares(self, counts: IntArray) -> list[float]:
        """The IoU of every node, NaN where its union is empty."""
        tree = self.hierarchy
        order, start = tree.leaf_order, tree.leaf_start
        stop = start + tree.sizes
        # Classes under a node are adjacent in leaf order, so running sums give every node's block.
        sums = np.zeros((len(order) + 1, len(order) + 1), dtype=np.int64)
        sums[1:, 1:] = counts[np.ix_(order, order)].cumsum(0).cumsum(1)
        both = sums[stop, stop] - sums[start, stop] - sums[stop, start] + sums[start, start]
        labels, found = sums[:, -1], sums[-1]
        union = labels[stop] - labels[start] + found[stop] - found[start] - both
        shares: FloatArray = np.full(len(union), np.nan)
        np.divide(both, union, out=shares, where=union > 0)
        listed: list[float] = shares.tolist()
        return listed


def evaluate_maps(
    model: NBDT,
    data: Data,
    *,
    ignore_index: int | None = 255,
    batch_size: int = 1,
    on_failure: Literal["raise", "keep"] = "raise",
    progress: Callable[[int], None] | None = None,
    extra: Sequence[Measure[Any]] = (),
) -> IoUTable:
    """Measures a model of maps site by site, in one pass and bounded memory.

    Where a label map is larger or smaller than the network's map, the logits are resized to it
    first, linearly, as is usual.

    Args:
        data: samples (input, label map) of a torch `Dataset`, or batches of them. A label map holds
            the class of each site, whole numbers of shape (height, width).
        ignore_index: the label of sites that are left out; None if there is none.
        batch_size: how many single samples share a batch.
        on_failure: "keep" leaves out samples that cannot be read or answered.
        progress: called with the number of samples of each batch when it is done.
        extra: other measures to update with the same predictions, such as `NodeAccuracyCounter`;
            their samples are the sites.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> logits = torch.tensor([[2.0, 0, 0, 0], [0, 2, 2, 0], [0, 0, 0, 2]]).view(1, 3, 2, 2)
        >>> found = evaluate_maps(
        ...     NBDT(torch.nn.Identity(), tree), [(logits, torch.tensor([[[0, 0], [1, 255]]]))]
        ... )
        >>> found.network.classes, found.network.nodes[3]
        ((0.5, 0.5, None), 1.0)
    """
    size = model.hierarchy.num_classes
    if ignore_index is not None and 0 <= ignore_index < size:
        raise InputError(
            f"ignore_index {ignore_index} is one of the model's {size} classes; give the label of "
            "sites to leave out, or None."
        )
    counter = IoUCounter(model.hierarchy)
    run = answers(
        model, data, batch_size=batch_size, on_failure=on_failure, rows=1, progress=progress
    )
    for block in run:
        for logits, labels, index in zip(block.logits, block.labels, block.indices, strict=True):
            for part in _site_predictions(model, logits[None], labels, ignore_index, index):
                for measure in (counter, *extra):
                    measure.update(part)
    return counter.compute()


def _site_predictions(
    model: NBDT, logits: Tensor, labels: Tensor, ignore_index: int | None, index: Tensor
) -> Iterator[Predictions]:
    """What is decided at the sites of one map that have a label, chunk by chunk."""
    if not is_map(logits):
        raise InputError("this network gives one answer a sample, not a map; call evaluate.")
    if labels.ndim != logits.ndim - 2:
        raise InputError(
            f"a label map needs a class for each site, {logits.ndim - 2} axes without the batch's; "
            f"got the shape {tuple(labels.shape)}."
        )
    if labels.shape != logits.shape[2:]:
        if labels.ndim != 2:
            raise InputError(
                f"a label map has the shape {tuple(labels.shape)}, the network's map "
                f"{tuple(logits.shape[2:])}; give them one shape."
            )
        logits = interpolate(logits.float(), tuple(labels.shape), mode="bilinear")
    flat = labels.reshape(-1)
    for _, place, rows in chunks(logits, model.layout.num_nodes):
        own = flat[place].to(rows.device)
        if ignore_index is not None and bool((ignored := own == ignore_index).any()):
            rows, own = rows[~ignored], own[~ignored]
        if len(own):
            yield model.predictions(rows, labels=own, indices=index.expand(len(own)))
