"""What the network never saw: unseen classes, and samples of no class.

Does each node still send unseen classes the right way? A node called "animal" should be passed by
an animal of a class that was not trained on. Samples of unseen classes are judged at the nodes
above the one that their class belongs under, as in the paper's zero-shot experiment (Wan et al.,
arXiv 2004.00221: animals and vehicles).

Can out-of-distribution (OOD) samples be separated from known ones? Each score is high for samples
like those of the known classes:

- ``max probability``: the largest softmax probability of the network (Hendrycks and Gimpel, "A
  baseline for detecting misclassified and out-of-distribution examples", ICLR 2017);
- ``path entropy``: the path entropy of the tree's answer (see `nbdt.evaluation.uncertainty`),
  negated;
- ``stop depth``: how far down the path to the answer the probability of the node reached stays
  above a half, as a share of the path's decisions. A tree that stops when it is less than half
  sure stops there.

A score is judged by the area under its ROC curve, which is the probability that a known sample
scores higher than an unknown one (ties count half), and by the share of unknown samples that pass
when 95 % of the known ones do (FPR95; lower is better).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.intervals import wilson_interval
from nbdt.evaluation.measure import Measure
from nbdt.evaluation.tables import INTERVAL, Record, aligned, percent, percent_range, short
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.hierarchy.validation import FloatArray
from nbdt.model import NBDT
from nbdt.rules import Predictions
from nbdt.rules.checks import checked_ids
from nbdt.run import answers

THRESHOLD = 0.5
SCORES = ("max probability", "path entropy", "stop depth")


@dataclass(frozen=True)
class UnseenRow(Record):
    """How often one node sends the samples of one unseen class to the child it belongs under."""

    derived = ("accuracy", "interval")
    label: int
    name: str
    node: int
    node_name: str
    child: int
    child_name: str
    samples: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The share of samples that go the right way."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by `wilson_interval`."""
        return wilson_interval(self.correct, self.samples)


@dataclass(frozen=True)
class UnseenTable(Record):
    """How often nodes send samples of unseen classes the right way: by class, then by node."""

    rows: tuple[UnseenRow, ...]

    def at(self, node: int) -> tuple[int, int]:
        """Over all unseen classes: how many samples go the right way at a node, of how many."""
        rows = [row for row in self.rows if row.node == node]
        return sum(row.correct for row in rows), sum(row.samples for row in rows)

    def __str__(self) -> str:
        headings = ("unseen class", "at node", "belongs to", "correct", "accuracy", INTERVAL)
        cells = [
            (
                short(row.name),
                short(row.node_name),
                short(row.child_name),
                f"{row.correct}/{row.samples}",
                percent(row.accuracy),
                percent_range(row.interval),
            )
            for row in self.rows
        ]
        return "\n".join(aligned(headings, cells, words=3))


class UnseenCounter:
    """Counts how nodes decide on samples of unseen classes; see `evaluate_unseen`."""

    def __init__(
        self,
        hierarchy: Hierarchy,
        nodes: Sequence[Node | None],
        classes: Sequence[str] | None = None,
    ) -> None:
        given = iter(node_ids(hierarchy, [node for node in nodes if node is not None]))
        self._targets = np.array([-1 if node is None else next(given) for node in nodes])
        self.classes = tuple(map(str, range(len(nodes))) if classes is None else classes)
        if len(self.classes) != len(nodes):
            raise InputError(
                f"each of {len(self.classes)} classes needs a node or None; got {len(nodes)}."
            )
        if not ((self._targets >= 0) & (self._targets != hierarchy.root)).any():
            raise InputError("no class belongs under a node below the root, so nothing is decided.")
        self.hierarchy = hierarchy
        # By class and the child it belongs under: how many samples, and how many of them right.
        self._counts: dict[tuple[int, int], list[int]] = {}

    def update(self, batch: Predictions, labels: Int[Tensor, " batch"]) -> None:
        """Counts a batch, with the unseen classes as numbered in `nodes`."""
        checked = checked_ids(labels, len(batch), len(self.classes), of="unseen classes")
        array = checked.cpu().numpy()
        targets = self._targets[array]
        path = batch.path_to(np.where(targets < 0, self.hierarchy.root, targets))
        for label, child, right in zip(
            array[path.samples].tolist(), path.towards.tolist(), path.right.tolist(), strict=True
        ):
            counts = self._counts.setdefault((label, child), [0, 0])
            counts[0] += 1
            counts[1] += right

    def merge(self, other: UnseenCounter) -> None:
        """Adds the counts of another one."""
        for key, counts in other._counts.items():
            mine = self._counts.setdefault(key, [0, 0])
            mine[:] = [one + more for one, more in zip(mine, counts, strict=True)]

    def compute(self) -> UnseenTable:
        """The table so far."""
        if not self._counts:
            raise InputError("there was no sample of a class that belongs under a node.")
        tree = self.hierarchy
        ordered = sorted(self._counts.items(), key=lambda one: (one[0][0], tree.depth(one[0][1])))
        rows = []
        for (label, child), counts in ordered:
            node = tree.parent(child)
            names = self.classes[label], tree.name(node), tree.name(child)
            rows.append(UnseenRow(label, names[0], node, names[1], child, names[2], *counts))
        return UnseenTable(tuple(rows))


def evaluate_unseen(
    model: NBDT,
    data: Data,
    nodes: Sequence[Node | None],
    classes: Sequence[str] | None = None,
    *,
    batch_size: int = 64,
) -> UnseenTable:
    """How often a model's nodes send samples of classes it never saw the right way.

    Args:
        data: samples of other classes, as in `evaluate`.
        nodes: the node that each of the data's classes belongs under, by id or name; None leaves a
            class out. A class that belongs under a leaf is most like the leaf's class.
            `nodes_of_unseen` finds them in a taxonomy.
        classes: the names of the data's classes; by default the data's own, where it has them, or
            their numbers.

    Example:
        >>> import torch
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 3.0]])
        >>> data = [(logits, torch.tensor([0, 0, 1]))]
        >>> print(evaluate_unseen(model, data, ["animal", "car"], ["lion", "lorry"]))
        unseen class  at node  belongs to  correct  accuracy   95 % interval
        ────────────  ───────  ──────────  ───────  ────────  ──────────────
        lion          thing    animal          1/2    50.0 %   9.5 – 90.5 %
        lorry         thing    car             1/1   100.0 %  20.7 – 100.0 %
    """
    names = classes if classes is not None else getattr(data, "classes", None)
    counted = UnseenCounter(model.hierarchy, nodes, names)
    for block in answers(model, data, batch_size=batch_size, labels="other"):
        counted.update(model.predictions(block.logits), block.labels)
    return counted.compute()


def nodes_of_unseen(
    tree: Hierarchy, taxonomy: Hierarchy, unseen: Sequence[str]
) -> tuple[int | None, ...]:
    """The node of a tree that each unseen class belongs under, according to a taxonomy.

    An unseen class is most like those of the tree's classes that share its closest concept: its
    lowest ancestor in the taxonomy that has any of them. It belongs under their lowest common
    ancestor in the tree, or under no node (None) where that is the root. The taxonomy is a tree
    over the classes of both, by name; it may have more.

    Raises:
        InputError: the taxonomy has none of the tree's classes, or an unseen class is one of them.
        NotFoundError: the taxonomy lacks an unseen class.

    Example:
        >>> names = ["cat", "dog", "car", "lion", "animal", "thing"]
        >>> taxonomy = Hierarchy([4, 4, 5, 4, 5, -1], names)
        >>> nodes_of_unseen(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), taxonomy, ["lion"])
        (3,)
    """
    leaf_of = {name: leaf for leaf, name in enumerate(tree.classes)}
    if not any(name in leaf_of for name in taxonomy.classes):
        raise InputError("the taxonomy has none of the tree's classes; they are matched by name.")
    nodes: list[int | None] = []
    for name in unseen:
        if name in leaf_of:
            raise InputError(f"{name!r:.80} is a class of the tree, so it is not unseen.")
        concept = taxonomy.find(name)
        near: list[int] = []
        while not near:
            concept = taxonomy.parent(concept)
            names = (taxonomy.names[leaf] for leaf in taxonomy.leaves(concept))
            near = [leaf_of[one] for one in names if one in leaf_of]
        node = near[0]
        for leaf in near[1:]:
            node = tree.lca(node, leaf)
        nodes.append(None if node == tree.root else node)
    return tuple(nodes)


@dataclass(frozen=True)
class OodRow(Record):
    """How well one score separates known from unknown samples."""

    score: str
    auroc: float
    fpr95: float


@dataclass(frozen=True)
class OodTable(Record):
    """How well each score separates known from unknown samples; `str` draws it.

    There is one row a score, in the order of `SCORES`.
    """

    rows: tuple[OodRow, ...]
    known: int
    unknown: int

    @classmethod
    def of(cls, known: FloatArray, unknown: FloatArray) -> OodTable:
        """The table for the scores of both sides, one column a score; see `OodScorer`."""
        from sklearn.metrics import roc_auc_score, roc_curve

        if not len(known) or not len(unknown):
            raise InputError(
                f"known and unknown samples are needed; got {len(known)} and {len(unknown)}."
            )
        is_known = np.repeat([True, False], [len(known), len(unknown)])
        rows = []
        for name, scores in zip(SCORES, np.concatenate([known, unknown]).T, strict=False):
            fpr, tpr, _ = roc_curve(is_known, scores, drop_intermediate=False)
            # Rounding may leave a share of exactly 95 % a hair below it.
            fpr95 = float(fpr[np.searchsorted(tpr, 0.95 - 1e-9)])
            rows.append(OodRow(name, float(roc_auc_score(is_known, scores)), fpr95))
        return cls(tuple(rows), len(known), len(unknown))

    def __str__(self) -> str:
        cells = [(row.score, f"{row.auroc:.4f}", percent(row.fpr95)) for row in self.rows]
        lines = aligned(("score", "AUROC", "FPR at 95 %"), cells)
        return "\n".join([*lines, f"{self.known:,} known samples, {self.unknown:,} unknown"])


class OodScorer(Measure[FloatArray]):
    """Scores samples, labelled or not. Memory: 24 bytes a sample, as all are ranked together."""

    def start(self) -> None:
        """Forgets all samples."""
        self._scores = [np.empty((0, len(SCORES)))]

    def update(self, batch: Predictions) -> None:
        """Scores a batch."""
        path, size = batch.answer_path, len(batch)
        likeliest = batch.logits.cpu().double().log_softmax(-1).amax(-1).exp().numpy()
        entropies = path.totals(path.entropies, size)
        # From the root down, the log-probability of the node reached.
        own = path.own[path.root_first]
        reached = np.cumsum(own)
        lengths = self.hierarchy.depths[batch.answers]
        starts = np.cumsum(lengths) - lengths
        before = np.repeat(reached[starts] - own[starts], lengths)
        passed = (np.exp(reached - before) > THRESHOLD).astype(np.float64)
        depth = np.add.reduceat(passed, starts) / lengths if size else np.empty(0)
        self._scores.append(np.stack([likeliest, -entropies, depth], axis=1))

    def merge(self, other: OodScorer) -> None:
        """Adds the scores of another one after the own ones."""
        self._scores += other._scores

    def compute(self) -> FloatArray:
        """The scores of each sample, one column each in the order of `SCORES`."""
        return np.concatenate(self._scores)


def ood_scores(model: NBDT, data: Data, *, batch_size: int = 64) -> FloatArray:
    """The OOD scores of each sample, labels ignored; (samples, 3) in the order of `SCORES`."""
    scorer = OodScorer(model.hierarchy)
    for block in answers(model, data, batch_size=batch_size, labels="none"):
        scorer.update(model.predictions(block.logits))
    return scorer.compute()


def evaluate_ood(model: NBDT, known: Data, unknown: Data, *, batch_size: int = 64) -> OodTable:
    """How well a model separates samples of its classes from samples of none of them."""
    sides = (ood_scores(model, data, batch_size=batch_size) for data in (known, unknown))
    return OodTable.of(*sides)
