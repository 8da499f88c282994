"""Classes that the network never saw: does each node still send them the right way?

A node called "animal" ought to be passed by an animal of a class that was not trained on. Samples
of unseen classes are judged at the nodes above the one that their class belongs under, as in the
paper's zero-shot experiment on superclasses (Wan et al., arXiv 2004.00221: animals and vehicles).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.interval import wilson_interval
from nbdt.evaluation.text import aligned, percent, percent_range, short
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.model import NBDT
from nbdt.rules import Predictions, ScoreName, TreeLayout
from nbdt.rules.checks import checked_ids
from nbdt.run import answers


@dataclass(frozen=True)
class SuperclassShare:
    """How often one node sends the samples of one unseen class the right way.

    Attributes:
        label: the unseen class, as the data labels it.
        name: its name.
        node: the node that decides.
        node_name: its name.
        child: the child that the class belongs under.
        child_name: its name.
        samples: how many samples were decided on.
        correct: how many of them went to that child.

    Example:
        >>> share = SuperclassShare(0, "lion", 4, "thing", 3, "animal", samples=50, correct=48)
        >>> share.accuracy
        0.96
    """

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
        """The share of samples that went the right way."""
        return self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, by `wilson_interval`."""
        return wilson_interval(self.correct, self.samples)

    def to_dict(self) -> dict[str, Any]:
        """The share as values that JSON can hold."""
        return asdict(self) | {"accuracy": self.accuracy, "interval": list(self.interval)}


@dataclass(frozen=True)
class SuperclassTable:
    """How often nodes send the samples of unseen classes the right way; `str` draws it.

    Attributes:
        rows: by class and then by node, the root first.

    Example:
        >>> lions = SuperclassShare(0, "lion", 4, "thing", 3, "animal", samples=50, correct=48)
        >>> pumas = SuperclassShare(1, "puma", 4, "thing", 3, "animal", samples=10, correct=9)
        >>> SuperclassTable((lions, pumas)).at(4)
        (57, 60)
    """

    rows: tuple[SuperclassShare, ...]

    def at(self, node: int) -> tuple[int, int]:
        """Over all unseen classes: how many went the right way at a node, of how many."""
        rows = [row for row in self.rows if row.node == node]
        return sum(row.correct for row in rows), sum(row.samples for row in rows)

    def to_dict(self) -> dict[str, Any]:
        """The table as values that JSON can hold."""
        return {"rows": [row.to_dict() for row in self.rows]}

    def __str__(self) -> str:
        headings = ("unseen class", "at node", "belongs to", "right", "accuracy", "95 % interval")
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


class SuperclassCounter:
    """Counts, batch by batch, how nodes decide on samples of unseen classes.

    Args:
        hierarchy: the tree.
        nodes: the node that each unseen class belongs under, by id or name; None for classes to
            leave out. A class that belongs under a leaf is most like the leaf's class.
        classes: the names of the unseen classes; by default their numbers.
        score: what a node is worth: the model's, `NBDT.score`.

    Raises:
        InputError: there is not one node a class, or none is below the root, where nothing is
            decided; or a name is that of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> import torch
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> nodes, classes = ["animal", "car"], ["lion", "lorry"]
        >>> counted = SuperclassCounter(tree, nodes, classes, score="logsumexp")
        >>> logits = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 3.0]])
        >>> counted.update(logits, torch.tensor([0, 0, 1]))
        >>> print(counted.table())
        unseen class  at node  belongs to  right  accuracy   95 % interval
        ────────────  ───────  ──────────  ─────  ────────  ──────────────
        lion          thing    animal        1/2    50.0 %   9.5 – 90.5 %
        lorry         thing    car           1/1   100.0 %  20.7 – 100.0 %
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        nodes: Sequence[Node | None],
        classes: Sequence[str] | None = None,
        *,
        score: ScoreName,
    ) -> None:
        given = [node for node in nodes if node is not None]
        ids = iter(node_ids(hierarchy, given))
        self._targets = np.array([-1 if node is None else next(ids) for node in nodes])
        self.classes = tuple(map(str, range(len(nodes))) if classes is None else classes)
        if len(self.classes) != len(nodes):
            raise InputError(
                f"a node or None is needed for each of {len(self.classes)} classes, got "
                f"{len(nodes)}."
            )
        if not ((self._targets >= 0) & (self._targets != hierarchy.root)).any():
            raise InputError(
                "no class belongs under a node below the root, so no decision can be judged."
            )
        self.hierarchy = hierarchy
        self.score: ScoreName = score
        self._layout = TreeLayout(hierarchy)
        # By class and the child it belongs under: how many samples, and how many of them right.
        self._counts: dict[tuple[int, int], list[int]] = {}

    def update(self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> None:
        """Counts a batch.

        Args:
            logits: the network's logits of its own classes; a row a sample.
            labels: the unseen classes, as numbered in `nodes`.

        Raises:
            InputError: the logits are none of this tree, or a label is no unseen class.
        """
        predictions = Predictions(logits, self._layout, score=self.score)
        checked = checked_ids(labels, len(logits), len(self.classes), of="unseen classes").cpu()
        targets = self._targets[checked.numpy()]
        kept = np.flatnonzero(targets >= 0)
        path = predictions.of_rows(torch.from_numpy(kept)).path_to(targets[kept])
        labels_of = checked.numpy()[kept][path.samples]
        for label, child, right in zip(
            labels_of.tolist(), path.towards.tolist(), path.right.tolist(), strict=True
        ):
            counts = self._counts.setdefault((label, child), [0, 0])
            counts[0] += 1
            counts[1] += right

    def table(self) -> SuperclassTable:
        """What was counted so far.

        Raises:
            InputError: there was no sample to judge yet.
        """
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
                SuperclassShare(label, names[0], node, names[1], child, names[2], samples, correct)
            )
        return SuperclassTable(tuple(rows))


def evaluate_superclasses(
    model: NBDT,
    data: Data,
    nodes: Sequence[Node | None],
    classes: Sequence[str] | None = None,
    *,
    batch_size: int = 64,
) -> SuperclassTable:
    """How often a model's nodes send samples of classes it never saw the right way.

    Args:
        model: the model.
        data: samples of other classes, as in `evaluate`.
        nodes: the node that each of the data's classes belongs under, by id or name, None to
            leave a class out; `nodes_of_unseen` finds them in a taxonomy.
        classes: the names of the data's classes; by default the data's own, where it has them.
        batch_size: how many samples given one by one share a batch.

    Raises:
        InputError: as in `SuperclassCounter`, or there is no sample to judge.
        NotFoundError: there is no such node.

    Example:
        >>> import torch
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> lions = [(torch.tensor([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0]]), torch.tensor([0, 0]))]
        >>> evaluate_superclasses(model, lions, ["animal"], ["lion"]).at(tree.root)
        (2, 2)
    """
    names = classes if classes is not None else getattr(data, "classes", None)
    counted = SuperclassCounter(model.hierarchy, nodes, names, score=model.score)
    for block in answers(model, data, batch_size=batch_size, labels="other"):
        counted.update(model.temperature.divide(block.logits), block.labels)
    return counted.table()


def nodes_of_unseen(
    tree: Hierarchy, taxonomy: Hierarchy, unseen: Sequence[str]
) -> tuple[int | None, ...]:
    """The node of a tree that each unseen class belongs under, according to a taxonomy.

    An unseen class is most like those of the tree's classes that share its closest concept: its
    lowest ancestor in the taxonomy that holds any of them. It belongs under the node where these
    meet in the tree, their lowest common ancestor. Where that is the root, nothing can be judged,
    and the class has None.

    Args:
        tree: the model's tree.
        taxonomy: a tree over the classes of both, by name; it may have more.
        unseen: the names of the unseen classes.

    Raises:
        InputError: the taxonomy has none of the tree's classes, or one of them is called unseen.
        NotFoundError: it lacks an unseen class.

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
            held = (taxonomy.names[leaf] for leaf in taxonomy.leaves(concept))
            near = [leaf_of[one] for one in held if one in leaf_of]
        node = near[0]
        for leaf in near[1:]:
            node = tree.lca(node, leaf)
        nodes.append(None if node == tree.root else node)
    return tuple(nodes)
