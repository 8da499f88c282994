"""The samples that show what a node decides: the surest, the barest, and those led astray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nbdt.errors import InputError
from nbdt.evaluation.extremes import Extremes
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, node_ids
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import Predictions

Kind = Literal["surest", "barest", "astray"]
KINDS: tuple[Kind, ...] = ("surest", "barest", "astray")


@dataclass(frozen=True)
class Prototype:
    """One sample that passes a node.

    Attributes:
        index: its index in the data.
        child: the child taken there; for a class, the class answered.
        probability: the child's probability given the node; for a class, its soft probability.

    Example:
        >>> Prototype(index=17, child=3, probability=0.98).to_dict()
        {'index': 17, 'child': 3, 'probability': 0.98}
    """

    index: int
    child: int
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """The prototype as values that JSON can hold."""
        return {"index": self.index, "child": self.child, "probability": self.probability}


@dataclass(frozen=True, eq=False)
class Prototypes:
    """For every node, the samples that show what it decides.

    At an inner node these are samples whose class lies under it. *Surest* are those that take the
    child towards their class with the largest margin over its nearest sibling, *barest* those
    that take it with the smallest, and *astray* those that take another child, the surest of
    them first. At a class they are its own samples, by the margin of the closest decision on the
    path to it; astray are those answered otherwise.

    Attributes:
        hierarchy: the tree.
        samples: by kind, the indices of the samples, −1 where there are no more; (nodes, k).
        children: by kind, the children taken, or at a class the class answered; (nodes, k).
        probabilities: by kind, their probabilities, NaN where there are no more; (nodes, k).

    Example:
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog"])
        >>> PrototypeFinder(tree).result().of(2, "surest")
        ()
    """

    hierarchy: Hierarchy
    samples: dict[Kind, IntArray]
    children: dict[Kind, IntArray]
    probabilities: dict[Kind, FloatArray]

    def of(self, node: Node, kind: Kind) -> tuple[Prototype, ...]:
        """The prototypes of a node.

        Args:
            node: an inner node or a class, by id or name.
            kind: "surest", "barest" or "astray".

        Raises:
            InputError: there is no such kind.
            NotFoundError: there is no such node.
        """
        (found,) = node_ids(self.hierarchy, [node])
        if kind not in KINDS:
            raise InputError(f"prototypes are {', '.join(KINDS)}; got {kind!r:.80}.")
        return tuple(self._row(found, kind))

    def _row(self, node: int, kind: Kind) -> Iterator[Prototype]:
        for index, child, probability in zip(
            self.samples[kind][node].tolist(),
            self.children[kind][node].tolist(),
            self.probabilities[kind][node].tolist(),
            strict=True,
        ):
            if index >= 0:
                yield Prototype(index, child, probability)

    def to_dict(self) -> dict[str, Any]:
        """The prototypes of the nodes that have some, by node id, as values for JSON."""
        document = {}
        for node in range(len(self.hierarchy)):
            kinds = {kind: [one.to_dict() for one in self._row(node, kind)] for kind in KINDS}
            if any(kinds.values()):
                document[str(node)] = kinds
        return document


class PrototypeFinder:
    """Finds prototypes batch by batch.

    Memory: 96 bytes × k × nodes, whatever the number of samples.

    Args:
        hierarchy: the tree.
        k: how many samples to keep of each kind for every node.

    Example:
        >>> import torch
        >>> from nbdt.rules import TreeLayout
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> finder = PrototypeFinder(tree, k=1)
        >>> logits = torch.tensor([[9.0, 2.0, 0.0], [4.0, 3.0, 0.0], [1.0, 0.0, 5.0]])
        >>> labels = torch.tensor([0, 0, 0])
        >>> finder.update(Predictions(logits, TreeLayout(tree), score="mean", labels=labels))
        >>> found = finder.result()
        >>> [found.of(4, kind)[0].index for kind in KINDS]
        [0, 1, 2]
        >>> tree.name(found.of(4, "astray")[0].child)
        'car'
    """

    def __init__(self, hierarchy: Hierarchy, *, k: int = 5) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 0:
            raise InputError(f"k is how many prototypes to keep, 0 or more; got {k!r:.80}.")
        self.hierarchy = hierarchy
        columns = {"sample": -1, "child": -1, "probability": np.nan}
        self._found = {kind: Extremes(len(hierarchy), k, columns) for kind in KINDS}

    def update(self, decided: Predictions) -> None:
        """Looks through a batch."""
        ways, labels = decided.true_path, decided.labels
        # A class is passed by its own samples, with the closest decision on the way to it.
        nodes = np.append(ways.nodes, labels)
        margins = np.append(ways.margins, ways.least_margins(len(decided)))
        right = np.append(ways.right, decided.answers == labels)
        columns = {
            "sample": decided.indices[np.append(ways.samples, np.arange(len(decided)))],
            "child": np.append(ways.taken, decided.answers),
            "probability": np.append(np.minimum(ways.confidences, 1), decided.answer_probabilities),
        }
        judged = {"surest": (right, margins), "barest": (right, -margins)}
        judged["astray"] = (~right, -margins)
        for kind, found in self._found.items():
            chosen, keys = judged[kind]
            some = {name: values[chosen] for name, values in columns.items()}
            found.update(nodes[chosen], keys[chosen], **some)

    def result(self) -> Prototypes:
        """What was found so far."""
        samples, children, probabilities = (
            {kind: found.columns[name].copy() for kind, found in self._found.items()}
            for name in ("sample", "child", "probability")
        )
        return Prototypes(self.hierarchy, samples, children, probabilities)
