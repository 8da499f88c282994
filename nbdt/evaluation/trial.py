"""What an edit of a tree would do to its accuracy: `Trial`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbdt.evaluation.edits import Edit
from nbdt.evaluation.paired import PairedCounts, signed, signed_range
from nbdt.evaluation.shares import NodeAccuracy
from nbdt.evaluation.text import aligned, percent, short
from nbdt.hierarchy import Hierarchy
from nbdt.rules import RuleName, ScoreName, keeps_network_answer


@dataclass(frozen=True)
class AccuracyChange:
    """What an edit does to the accuracy of one way to answer.

    Attributes:
        rule: "soft" or "hard".
        score: "logsumexp" or "mean".
        counts: how many samples are right before and after.

    Example:
        >>> change = AccuracyChange("hard", "mean", PairedCounts(200, before=180, gained=8, lost=2))
        >>> change.to_dict()["difference"]
        0.03
    """

    rule: RuleName
    score: ScoreName
    counts: PairedCounts

    def to_dict(self) -> dict[str, Any]:
        """The change as values that JSON can hold."""
        return {"rule": self.rule, "score": self.score, **self.counts.to_dict()}


@dataclass(frozen=True)
class NodeChange:
    """What an edit does to one node that decides between other groups than before.

    A node is judged as in `NodeAccuracy`, on the samples whose class lies under it, which an edit
    may change too. So the two shares can be of other samples; `counts` is of those in both.

    Attributes:
        before: how often it was right before; None for a node that is new.
        after: how often it is right after; None for one that is gone.
        counts: the same on the samples that are judged both times; None where there are none.

    Example:
        >>> before, after = NodeAccuracy(4, "pet", 50, 41), NodeAccuracy(4, "pet", 60, 55)
        >>> NodeChange(before, after, PairedCounts(50, before=41, gained=6, lost=1)).name
        'pet'
    """

    before: NodeAccuracy | None
    after: NodeAccuracy | None
    counts: PairedCounts | None

    @property
    def name(self) -> str:
        """The node's name, that after the edit where it has one."""
        share = self.after or self.before
        return share.name if share else ""

    def to_dict(self) -> dict[str, Any]:
        """The change as values that JSON can hold."""
        return {
            "before": self.before and self.before.to_dict(),
            "after": self.after and self.after.to_dict(),
            "same_samples": self.counts and self.counts.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class Trial:
    """An edit that was tried on labelled samples; nothing was changed by it.

    `str` gives it as tables.

    Attributes:
        edit: the edit.
        before: the tree.
        after: the tree with the edit.
        score: what a node is worth, in `nodes`.
        accuracy: what it does to the accuracy of each rule and score. Soft answers under
            ``logsumexp`` are the network's, so no edit changes them.
        nodes: what it does to the nodes it touches: those whose children hold other classes than
            before, new ones and those that are gone. All other nodes decide as they did.

    Example:
        >>> import torch
        >>> from nbdt.evaluation.editing import EditSession
        >>> from nbdt.hierarchy import edit
        >>> from nbdt.model import NBDT
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> logits, labels = torch.tensor([[2.0, 2.0, 2.2], [0.0, 1.0, 0.5]]), torch.tensor([2, 1])
        >>> session = EditSession(NBDT(torch.nn.Identity(), tree), [(logits, labels)])
        >>> print(session.try_edit(edit.dissolve, "animal"))
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
    """

    edit: Edit
    before: Hierarchy
    after: Hierarchy
    score: ScoreName
    accuracy: tuple[AccuracyChange, ...]
    nodes: tuple[NodeChange, ...]

    def change(self, rule: RuleName, score: ScoreName) -> PairedCounts:
        """What the edit does to the accuracy under one rule and score."""
        by_way = {(change.rule, change.score): change.counts for change in self.accuracy}
        return by_way[rule, score]

    def to_dict(self) -> dict[str, Any]:
        """The trial as values that JSON can hold, without the trees."""
        return {
            **self.edit.to_dict(),
            "accuracy": [change.to_dict() for change in self.accuracy],
            "score": self.score,
            "nodes": [change.to_dict() for change in self.nodes],
        }

    def __str__(self) -> str:
        ways = [
            (
                *(change.rule, change.score),
                percent(change.counts.before / change.counts.samples),
                percent(change.counts.after / change.counts.samples),
                *_changed(change.counts, known=_is_the_networks(change)),
            )
            for change in self.accuracy
        ]
        lines = [str(self.edit), *aligned(("rule", "score", *_CHANGE), ways, words=2)]
        if self.nodes:
            nodes = [
                (
                    short(change.name),
                    _counted(change.before, "new"),
                    _counted(change.after, "gone"),
                    *(_changed(change.counts) if change.counts else ("",) * 4),
                )
                for change in self.nodes
            ]
            lines += ["", f"Nodes that decide otherwise, by {self.score}"]
            lines += aligned(("node", *_CHANGE), nodes)
        samples = self.accuracy[0].counts.samples
        return "\n".join([*lines, f"{samples:,} samples; changes in percentage points"])


_CHANGE = ("before", "after", "change", "95 % interval", "gained", "lost")


def _is_the_networks(change: AccuracyChange) -> bool:
    """Whether the answers are those of the network, which no tree changes."""
    return keeps_network_answer(change.rule, change.score)


def _changed(counts: PairedCounts, *, known: bool = False) -> tuple[str, ...]:
    return (
        signed(counts.difference),
        "" if known else signed_range(counts.interval),
        str(counts.gained),
        str(counts.lost),
    )


def _counted(share: NodeAccuracy | None, otherwise: str) -> str:
    return otherwise if share is None else f"{share.correct}/{share.samples}"
