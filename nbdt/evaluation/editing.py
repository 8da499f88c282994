"""Editing a tree with its consequences in sight: `EditSession`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.changed_nodes import edited
from nbdt.evaluation.edits import Edit, EditFunction
from nbdt.evaluation.judged import Judged
from nbdt.evaluation.paired import PairedCounts, signed
from nbdt.evaluation.text import aligned
from nbdt.evaluation.trial import AccuracyChange, NodeChange, Trial
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.rules import RULE_SCORES
from nbdt.rules.checks import check_logits, checked_ids
from nbdt.run import answers


class EditSession:
    """Tries edits of a model's tree on labelled samples, and keeps those that you accept.

    The network answers every sample once, when the session begins; a trial then only walks the
    trees. Memory is that of all logits, 4 bytes × samples × classes, and about 20 bytes × samples ×
    depth of the tree; a trial takes about as long as `evaluate` takes on logits.

    The model stays as it is until `commit`.

    Args:
        model: the model.
        data: labelled samples, as for `evaluate`. What is chosen on them looks better on them than
            it is: confirm it on others, in a session of their own.
        batch_size: how many samples given one by one share a batch.
        progress: called with the number of samples of each batch when it is answered.

    Attributes:
        model: the model.
        labels: the true classes; int64, shape (samples,).
        logits: the network's logits, divided by the model's temperature; shape (samples, C).

    Raises:
        InputError: as in `evaluate`; or single nodes of the model have temperatures of their own,
            which would be those of other nodes after an edit.

    Example:
        >>> from nbdt.hierarchy import edit
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits, labels = torch.tensor([[2.0, 2.0, 2.2], [0.0, 1.0, 0.5]]), torch.tensor([2, 1])
        >>> session = EditSession(model, [(logits, labels)])
        >>> trial = session.try_edit(edit.dissolve, "animal")
        >>> trial.change("hard", "logsumexp").gained
        1
        >>> print(session.accept(trial))
        thing
        ├─ cat
        ├─ dog
        └─ car
        >>> session.undo() == tree, session.redo() == tree
        (True, False)
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
        batches = []
        run = answers(model, data, batch_size=batch_size, progress=progress)
        for logits, labels in run.pairs():
            check_logits(logits, len(model.classes))
            checked = checked_ids(labels, len(logits), len(model.classes)).cpu()
            batches.append((model.temperature.divide(logits).float().cpu(), checked))
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
        """The model's tree with all edits that are accepted."""
        return self._accepted[-1].after if self._accepted else self._first

    @property
    def accepted(self) -> tuple[Trial, ...]:
        """The trials that are accepted and not undone, the first one first."""
        return tuple(self._accepted)

    def try_edit(self, edit: Edit | EditFunction, *arguments: Any, **named: Any) -> Trial:
        """What an edit of the tree as it is now would do; nothing changes.

        Args:
            edit: a function of `nbdt.hierarchy.edit`; or an `Edit`, with all that it needs.
            *arguments: those of the function, after the tree.
            **named: likewise.

        Raises:
            InputError: this is no edit, or one that changes the classes (`restrict`, `reorder`).
            NBDTError: as the edit itself does, on a node that does not exist for instance.
        """
        if isinstance(edit, Edit):
            if arguments or named:
                raise InputError("an Edit has its arguments; none can be given beside it.")
            made = edit
        else:
            made = Edit.of(edit, *arguments, **named)
        tree = self.tree
        after, touched = edited(tree, made)
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
            nodes=tuple(_node_change(before, now, *pair) for pair in touched),
        )

    def accept(self, trial: Trial) -> Hierarchy:
        """Keeps a trial; what was undone before is forgotten.

        Returns:
            The tree as it is now.

        Raises:
            InputError: the trial is of another tree than the one as it is now.
        """
        if trial.before != self.tree:
            raise InputError("this was tried on another tree; try it on the tree as it is now.")
        self._accepted.append(trial)
        self._undone.clear()
        return self.tree

    def undo(self) -> Hierarchy:
        """Takes the last accepted edit back.

        Returns:
            The tree as it is now.

        Raises:
            InputError: there is none.
        """
        if not self._accepted:
            raise InputError("there is nothing to undo.")
        self._undone.append(self._accepted.pop())
        return self.tree

    def redo(self) -> Hierarchy:
        """Brings the last edit back that was undone.

        Returns:
            The tree as it is now.

        Raises:
            InputError: there is none.
        """
        if not self._undone:
            raise InputError("there is nothing to redo.")
        self._accepted.append(self._undone.pop())
        return self.tree

    def commit(self) -> NBDT:
        """Gives the model the tree as it is now, and notes the edits in its provenance.

        ``model.provenance["edits"]`` then lists each edit that was accepted, in order, with the
        samples it was tried on and what it did to the accuracy; `Edit.from_dict` makes an edit of
        an entry again. `save_pretrained` saves them. A calibration of `nbdt.selective` is of the
        old tree and has to be made anew.

        Returns:
            The model that the session is of.
        """
        self.model.hierarchy = self.tree
        edits = [*self._earlier, *(_record(trial) for trial in self._accepted)]
        if edits or "edits" in self.model.provenance:
            self.model.provenance = {**self.model.provenance, "edits": edits}
        return self.model

    def _judge(self, tree: Hierarchy) -> Judged:
        return Judged(tree, self.model.score, self.logits, self.labels)

    def __str__(self) -> str:
        if not self._accepted:
            return f"No edits accepted; {self.samples:,} samples to try them on."
        rows = [
            (
                str(trial.edit),
                *(signed(trial.change(rule, score).difference) for rule, score in RULE_SCORES),
            )
            for trial in self._accepted
        ]
        headings = ("edit", *(f"{rule} {score}" for rule, score in RULE_SCORES))
        return "\n".join(
            [*aligned(headings, rows), f"{self.samples:,} samples; changes in percentage points"]
        )


def _node_change(before: Judged, after: Judged, old: int | None, new: int | None) -> NodeChange:
    counts = None
    if old is not None and new is not None:
        (first, was), (second, now) = before.at(old), after.at(new)
        _, places, others = np.intersect1d(first, second, assume_unique=True, return_indices=True)
        if len(places):
            counts = PairedCounts.of(was[places], now[others])
    return NodeChange(
        None if old is None else before.share(old),
        None if new is None else after.share(new),
        counts,
    )


def _record(trial: Trial) -> dict[str, Any]:
    """What a model's provenance says of an edit."""
    return {
        **trial.edit.to_dict(),
        "accuracy": [change.to_dict() for change in trial.accuracy],
    }
