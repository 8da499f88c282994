"""Trying edits of a tree before they are made: `EditSession`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.accuracy import NodeAccuracy
from nbdt.evaluation.edits import (
    AccuracyChange,
    Edit,
    EditFunction,
    NodeChange,
    Trial,
    changed_nodes,
)
from nbdt.evaluation.intervals import PairedCounts
from nbdt.evaluation.tables import aligned, signed
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import IntArray
from nbdt.model import NBDT
from nbdt.rules import RULE_SCORES, Predictions, ScoreName, TreeLayout
from nbdt.rules.checks import checked_ids
from nbdt.run import BLOCK, answers

BoolArray = npt.NDArray[np.bool_]


class EditSession:
    """Tries edits of a model's tree on labelled samples, and keeps those that you accept.

    The network answers every sample once, when the session begins; a trial only walks the trees, in
    about the time that `evaluate` takes on logits. Memory: 4 bytes × samples × classes, and about
    20 bytes × samples × depth of the tree. The model stays as it is until `commit`.

    Edits chosen on some samples look better on them than they are: confirm them on others, in a
    session of their own. `logits` are the network's, divided by the model's temperature; a model
    whose single nodes have temperatures is refused, as they would belong to other nodes then.

    Example:
        >>> from nbdt.hierarchy import edit
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits, labels = torch.tensor([[2.0, 2.0, 2.2], [0.0, 1.0, 0.5]]), torch.tensor([2, 1])
        >>> session = EditSession(model, [(logits, labels)])
        >>> trial = session.try_edit(edit.dissolve, "animal")
        >>> print(trial)
        dissolve(node='animal')
        rule  score       before    after  change  95 % interval  gained  lost
        ────  ─────────  ───────  ───────  ──────  ─────────────  ──────  ────
        soft  logsumexp  100.0 %  100.0 %     0.0                      0     0
        hard  logsumexp   50.0 %  100.0 %   +50.0  −39.8 … +89.8       1     0
        soft  mean        50.0 %  100.0 %   +50.0  −39.8 … +89.8       1     0
        hard  mean        50.0 %  100.0 %   +50.0  −39.8 … +89.8       1     0
        <BLANKLINE>
        Nodes that decide otherwise, by logsumexp
        node    before  after  change  95 % interval  gained  lost
        ──────  ──────  ─────  ──────  ─────────────  ──────  ────
        animal     1/1   gone
        thing      1/2    2/2   +50.0  −39.8 … +89.8       1     0
        2 samples; changes in percentage points
        >>> session.accept(trial) == tree, session.undo() == tree, session.redo() == tree
        (False, True, False)
        >>> session.commit().provenance["edits"][0]["edit"]
        'dissolve'
    """

    def __init__(
        self,
        model: NBDT,
        data: Data,
        *,
        batch_size: int = 64,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if model.temperature.nodes:
            raise InputError(
                "nodes of this model have temperatures of their own, fitted to this tree; edit a "
                "model with one temperature, and fit theirs afterwards."
            )
        self.model = model
        classes = model.hierarchy.num_classes
        batches = [
            (
                model.temperature.divide(logits).float().cpu(),
                checked_ids(labels, len(logits), classes).cpu(),
            )
            for logits, labels in answers(
                model, data, batch_size=batch_size, progress=progress
            ).pairs()
        ]
        if not sum(len(labels) for _, labels in batches):
            raise InputError("there is nothing to try an edit on; give at least one sample.")
        self.logits: Tensor = torch.cat([logits for logits, _ in batches])
        self.labels: Tensor = torch.cat([labels for _, labels in batches])
        self._first = model.hierarchy
        self._earlier: list[Any] = list(model.provenance.get("edits", []))
        self._accepted: list[Trial] = []
        self._undone: list[Trial] = []
        self._judged = self._judge(self._first)

    @property
    def samples(self) -> int:
        """How many samples edits are tried on."""
        return len(self.labels)

    @property
    def tree(self) -> Hierarchy:
        """The model's tree with all accepted edits."""
        return self._accepted[-1].after if self._accepted else self._first

    @property
    def accepted(self) -> tuple[Trial, ...]:
        """The trials that are accepted and not undone, the first one first."""
        return tuple(self._accepted)

    def try_edit(self, edit: Edit | EditFunction, *arguments: Any, **named: Any) -> Trial:
        """What an edit of the current tree would do; nothing changes.

        Give an `Edit`; or a function of `nbdt.hierarchy.edit` that keeps the classes, with its
        arguments after the tree.
        """
        if isinstance(edit, Edit):
            if arguments or named:
                raise InputError("an Edit has its arguments; give none beside it.")
            made = edit
        else:
            made = Edit.of(edit, *arguments, **named)
        tree = self.tree
        after, pairs = changed_nodes(tree, made)
        if self._judged.tree is not tree:
            self._judged = self._judge(tree)
        before, now = self._judged, self._judge(after)
        return Trial(
            edit=made,
            before=tree,
            after=after,
            score=self.model.score,
            accuracy=tuple(
                AccuracyChange(rule, score, PairedCounts.of(first, second))
                for (rule, score), first, second in zip(
                    RULE_SCORES, before.right, now.right, strict=True
                )
            ),
            nodes=tuple(_node_change(before, now, *pair) for pair in pairs),
        )

    def accept(self, trial: Trial) -> Hierarchy:
        """Keeps a trial of the current tree, forgets what was undone, and gives the new tree."""
        if trial.before != self.tree:
            raise InputError("this was tried on another tree; try it on the current tree.")
        self._accepted.append(trial)
        self._undone.clear()
        return self.tree

    def undo(self) -> Hierarchy:
        """Takes the last accepted edit back, and gives the tree without it."""
        if not self._accepted:
            raise InputError("there is nothing to undo.")
        self._undone.append(self._accepted.pop())
        return self.tree

    def redo(self) -> Hierarchy:
        """Brings back the edit that was undone last, and gives the tree with it."""
        if not self._undone:
            raise InputError("there is nothing to redo.")
        self._accepted.append(self._undone.pop())
        return self.tree

    def commit(self) -> NBDT:
        """Gives the model the current tree, and records the edits in its provenance.

        ``model.provenance["edits"]`` then lists each accepted edit with what it did to accuracy;
        `Edit.from_dict` reads an entry. A calibration of `nbdt.selective` belongs to the old tree
        and has to be repeated.
        """
        self.model.hierarchy = self.tree
        edits = [
            *self._earlier,
            *(
                {**trial.edit.to_dict(), "accuracy": [one.to_dict() for one in trial.accuracy]}
                for trial in self._accepted
            ),
        ]
        if edits or "edits" in self.model.provenance:
            self.model.provenance = {**self.model.provenance, "edits": edits}
        return self.model

    def _judge(self, tree: Hierarchy) -> _Judged:
        return _Judged(tree, self.model.score, self.logits, self.labels)

    def __str__(self) -> str:
        if not self._accepted:
            return f"No edits accepted; {self.samples:,} samples to try them on."
        rows = [
            (str(trial.edit), *(signed(one.counts.difference) for one in trial.accuracy))
            for trial in self._accepted
        ]
        headings = ("edit", *(f"{rule} {score}" for rule, score in RULE_SCORES))
        return "\n".join(
            [*aligned(headings, rows), f"{self.samples:,} samples; changes in percentage points"]
        )


class _Judged:
    """Which samples one tree answers correctly, and at which nodes it decides correctly.

    Computed on first use. Memory is about 17 bytes × samples × depth of the tree.
    """

    def __init__(self, tree: Hierarchy, score: ScoreName, logits: Tensor, labels: Tensor) -> None:
        self.tree = tree
        self._score, self._logits, self._labels = score, logits, labels

    def _batches(self) -> Iterator[Predictions]:
        layout, indices = TreeLayout(self.tree), torch.arange(len(self._labels))
        for rows in torch.split(indices, BLOCK):
            logits, labels = self._logits[rows], self._labels[rows]
            yield Predictions(logits, layout, score=self._score, labels=labels, indices=rows)

    @cached_property
    def right(self) -> tuple[BoolArray, ...]:
        """For each of `RULE_SCORES`, which samples are answered correctly."""
        blocks = [
            [batch.answers_by(*way).numpy() == batch.labels for way in RULE_SCORES]
            for batch in self._batches()
        ]
        return tuple(map(np.concatenate, zip(*blocks, strict=True)))

    @cached_property
    def _decisions(self) -> tuple[IntArray, IntArray, BoolArray]:
        """For all decisions on the paths to the true classes: node, sample, and whether right."""
        parts = [
            (batch.true_path.nodes, batch.indices[batch.true_path.samples], batch.true_path.right)
            for batch in self._batches()
        ]
        nodes, samples, right = map(np.concatenate, zip(*parts, strict=True))
        order = np.lexsort((samples, nodes))
        return nodes[order], samples[order], right[order]

    def at(self, node: int) -> tuple[IntArray, BoolArray]:
        """The samples that a node is judged on, ascending, and on which it is right."""
        nodes, samples, right = self._decisions
        run = slice(*np.searchsorted(nodes, [node, node + 1]))
        return samples[run], right[run]

    def accuracy(self, node: int) -> NodeAccuracy:
        samples, right = self.at(node)
        return NodeAccuracy(node, self.tree.name(node), len(samples), int(right.sum()))


def _node_change(before: _Judged, after: _Judged, old: int | None, new: int | None) -> NodeChange:
    counts = None
    if old is not None and new is not None:
        (first, was), (second, now) = before.at(old), after.at(new)
        _, places, others = np.intersect1d(first, second, assume_unique=True, return_indices=True)
        if len(places):
            counts = PairedCounts.of(was[places], now[others])
    return NodeChange(
        None if old is None else before.accuracy(old),
        None if new is None else after.accuracy(new),
        counts,
    )
