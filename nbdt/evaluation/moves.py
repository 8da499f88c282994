"""Which single moves of a tree's nodes would raise its hard accuracy: `suggest_moves`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from nbdt.errors import InputError
from nbdt.evaluation.editing import EditSession
from nbdt.evaluation.edits import Edit
from nbdt.evaluation.intervals import PairedCounts
from nbdt.evaluation.tables import INTERVAL, Record, aligned, percent, signed, signed_range
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.validation import is_integer
from nbdt.rules import RuleName, ScoreName, TreeLayout, hard_predict
from nbdt.run import BLOCK

# A node moved beside another one ("regraft") or below it ("move").
_Move = tuple[str, int, int]


@dataclass(frozen=True)
class SuggestedMove(Record):
    """A move that raises the hard accuracy on the samples it was chosen on."""

    edit: Edit
    counts: PairedCounts

    def to_dict(self) -> dict[str, Any]:
        """The move as values that JSON can hold."""
        return {**self.edit.to_dict(), **self.counts.to_dict()}


@dataclass(frozen=True)
class MoveSuggestions(Record):
    """The best moves of those that were tried, and what it cost to find them; `str` is a table.

    Each move was tried on `samples`, of which the current tree answers `correct` by the hard rule;
    `promising` moves have a mistake that speaks for them, and `raising` raise the accuracy.
    """

    derived = ("rule",)
    moves: tuple[SuggestedMove, ...]
    raising: int
    tried: int
    promising: int
    samples: int
    correct: int
    score: ScoreName
    seconds: float = field(compare=False)
    rule: ClassVar[RuleName] = "hard"

    def __str__(self) -> str:
        accuracy = (
            f"the hard accuracy ({self.score}) of {percent(self.correct / self.samples)} on "
            f"{self.samples:,} samples"
        )
        tried = f"{self.tried:,} moves"
        if self.tried < self.promising:
            tried += f" (those that most mistakes speak for, of {self.promising:,})"
        if not self.moves:
            return f"None of {tried} raises {accuracy}; {self.seconds:.1f} s."
        rows = [
            (
                str(move.edit),
                percent(move.counts.after / self.samples),
                *(signed(move.counts.difference), signed_range(move.counts.interval)),
            )
            for move in self.moves
        ]
        return "\n".join(
            [
                f"{self.raising:,} of {tried} raise {accuracy}; {self.seconds:.1f} s.",
                *aligned(("move", "accuracy", "change", INTERVAL), rows),
                "Moves chosen as the best of many on these samples gain less on others: try them "
                "on others before you accept one.",
            ]
        )


def suggest_moves(session: EditSession, *, tries: int = 200, most: int = 5) -> MoveSuggestions:
    """The single moves of a node that raise the hard accuracy most, on the session's samples.

    A mistake of the hard rule speaks for every move that brings the true class, or a group that has
    it, beside or below the class that was answered, or a group with that, or up to their common
    ancestor; and the other way round. The `tries` moves that most mistakes speak for are tried:
    each makes a tree, which answers all samples once. Moves of third classes are not. This is one
    step of a greedy search; accept the best and ask again for the next.

    Under ``logsumexp`` a tree gets more accurate as it gets flatter, up to the network's own
    accuracy, and says less. A "regraft" keeps a binary tree binary; a "move" makes it flatter.

    The same session and arguments give the same suggestions. Use samples that the network was not
    trained on, and keep others to confirm what you accept.

    Example:
        >>> from nbdt.model import NBDT
        >>> names = ["cat", "car", "dog", "bus"]
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([4, 4, 5, 5, 6, 6, -1], names))
        >>> logits = torch.tensor([[3.0, 0, 2.5, 2.8], [2.8, 2.5, 0, 3]])
        >>> found = suggest_moves(EditSession(model, [(logits, torch.tensor([0, 3]))]))
        >>> print(found.correct, found.moves[0].counts.after, found.moves[0].edit)
        0 2 regraft(node='cat', beside='bus')
    """
    for name, value in (("tries", tries), ("most", most)):
        if not is_integer(value) or value < 1:
            raise InputError(f"{name} must be an integer ≥ 1; got {value!r:.60}.")
    start = time.perf_counter()
    tree, score = session.tree, session.model.score
    answers = _answers(session, tree)
    right = (answers == session.labels).numpy()
    promising = _promising(tree, session.labels[~right].numpy(), answers[~right].numpy())
    seen = {_groups(tree)}
    found = []
    tried = 0
    for move in promising:
        if tried == tries:
            break
        made = _edit(tree, move)
        changed = made(tree)
        groups = _groups(changed)
        if groups in seen:
            continue
        seen.add(groups)
        tried += 1
        now = (_answers(session, changed) == session.labels).numpy()
        counts = PairedCounts.of(right, now)
        if counts.gained > counts.lost:
            found.append(SuggestedMove(made, counts))
    # Stable: of equals, the one that more mistakes speak for.
    found.sort(key=lambda move: -move.counts.after)
    return MoveSuggestions(
        moves=tuple(found[:most]),
        raising=len(found),
        tried=tried,
        promising=len(promising),
        samples=session.samples,
        correct=int(right.sum()),
        score=score,
        seconds=time.perf_counter() - start,
    )


def _answers(session: EditSession, tree: Hierarchy) -> torch.Tensor:
    layout, score = TreeLayout(tree), session.model.score
    return torch.cat(
        [hard_predict(one, layout, score) for one in torch.split(session.logits, BLOCK)]
    )


def _promising(tree: Hierarchy, labels: Any, answers: Any) -> list[_Move]:
    """The moves that mistakes speak for, those with most mistakes first."""
    weights: Counter[_Move] = Counter()
    pairs, counts = np.unique(np.stack([labels, answers]), axis=1, return_counts=True)
    for true, taken, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        for move in _moves_between(tree, true, taken):
            weights[move] += count
    # Of equals, first what moves fewer classes to fewer.
    return sorted(weights, key=lambda move: (-weights[move], *tree.sizes[[*move[1:]]], move))


def _moves_between(tree: Hierarchy, a: int, b: int) -> Iterator[_Move]:
    """The moves that bring two classes, or groups that have them, together or level."""
    meeting = tree.lca(a, b)
    paths = [[v for v in tree.path(leaf) if tree.depth(v) > tree.depth(meeting)] for leaf in (a, b)]
    for mine, other in (paths, paths[::-1]):
        for node in mine:
            for target in (meeting, *other):
                yield "regraft", node, target
                if not tree.is_leaf(target):
                    yield "move", node, target


def _edit(tree: Hierarchy, move: _Move) -> Edit:
    """The move as an edit, which names nodes where the name belongs to that node alone."""
    kind, *nodes = move
    names = [tree.names[node] for node in nodes]
    called = [
        name if name and (node < tree.num_classes or tree.names.count(name) == 1) else node
        for node, name in zip(nodes, names, strict=True)
    ]
    return Edit.of(edit.move if kind == "move" else edit.regraft, *called)


def _groups(tree: Hierarchy) -> frozenset[frozenset[int]]:
    return frozenset(frozenset(tree.leaves(node)) for node in tree.inner)
