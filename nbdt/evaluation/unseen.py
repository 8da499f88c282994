"""Classes that the network never saw: does each node still send them the right way?

A node called "animal" should be passed by an animal of a class that was not trained on. Samples of
unseen classes are judged at the nodes above the one that their class belongs under, as in the
paper's zero-shot experiment (Wan et al., arXiv 2004.00221: animals and vehicles).
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
from nbdt.evaluation.tables import INTERVAL, Record, aligned, percent, percent_range, short
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.model import NBDT
from nbdt.rules import Predictions
from nbdt.rules.checks import checked_ids
from nbdt.run import answers


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
    """How often nodes send the samples of unseen classes the right way; `str` draws it.

    Attributes:
        rows: by class and then by node, the root first.
    """

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
    """Counts how nodes decide on samples of unseen classes.

    Args:
        nodes: the node that each unseen class belongs under, by id or name; None for classes to
            leave out. A class that belongs under a leaf is most like the leaf's class.
        classes: the names of the unseen classes; by default their numbers.

    Example:
        >>> import torch
        >>> from nbdt.rules import TreeLayout
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> counted = UnseenCounter(tree, ["animal", "car"], ["lion", "lorry"])
        >>> logits = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 3.0]])
        >>> batch = Predictions(logits, TreeLayout(tree), score="logsumexp")
        >>> counted.update(batch, torch.tensor([0, 0, 1]))
        >>> print(counted.compute())
        unseen class  at node  belongs to  correct  accuracy   95 % interval
        ────────────  ───────  ──────────  ───────  ────────  ──────────────
        lion          thing    animal          1/2    50.0 %   9.5 – 90.5 %
        lorry         thing    car             1/1   100.0 %  20.7 – 100.0 %
    """

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
        rows = []
        for (label, child), (samples, correct) in sorted(
            self._counts.items(), key=lambda entry: (entry[0][0], tree.depth(entry[0][1]))
        ):
            node = tree.parent(child)
            names = self.classes[label], tree.name(node), tree.name(child)
            rows.append(
                UnseenRow(label, names[0], node, names[1], child, names[2], samples, correct)
            )
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
        nodes: the node that each of the data's classes belongs under, by id or name, None to
            leave a class out; `nodes_of_unseen` finds them in a taxonomy.
        classes: the names of the data's classes; by default the data's own, where it has them.

    Example:
        >>> import torch
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> lions = [(torch.tensor([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0]]), torch.tensor([0, 0]))]
        >>> evaluate_unseen(model, lions, ["animal"], ["lion"]).at(tree.root)
        (2, 2)
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
    ancestor in the tree, or under no node (None) where that is the root.

    Args:
        taxonomy: a tree over the classes of both, by name; it may have more.

    Raises:
        InputError: the taxonomy has none of the tree's classes, or an unseen class is one of them.
        NotFoundError: the taxonomy lacks an unseen class.

    Example:
        >>> names = ["cat", "dog", "car", "lion", "animal", "thing"]
        >>> taxonomy = Hierarchy([4, 4, 5, 4, 5, -1], names)
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> nodes_of_unseen(tree, taxonomy, ["lion"])
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
