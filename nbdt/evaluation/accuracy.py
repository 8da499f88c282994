"""How often the network, and the tree by each rule and score, name the true class.

Both scores are always measured, side by side: which of them suits a network is not known before
(`logsumexp` keeps an untuned network's accuracy, `mean` needs a network tuned to its tree).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nbdt.errors import InputError
from nbdt.evaluation.table import AccuracyRow, AccuracyTable
from nbdt.hierarchy import Hierarchy
from nbdt.rules import RULE_SCORES, Predictions, RuleName, TreeLayout, get_rule

TOP = 5


class AccuracyByRule:
    """Counts, batch by batch, how often each way to answer is right.

    Memory does not grow with the number of samples.

    Args:
        hierarchy: the tree; leaf i is class i.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> counted, layout = AccuracyByRule(tree), TreeLayout(tree)
        >>> logits = torch.tensor([[3.0, 2.0, 2.9], [0.0, 1.0, 3.0], [2.0, 2.0, 2.2]])
        >>> labels = torch.tensor([0, 2, 2])
        >>> counted.update(Predictions(logits, layout, score="mean", labels=labels))
        >>> print(counted.table())
        rule     score      correct  accuracy   95 % interval  same as network
        ───────  ─────────  ───────  ────────  ──────────────  ───────────────
        network                 3/3   100.0 %  43.9 – 100.0 %
        soft     logsumexp      3/3   100.0 %  43.9 – 100.0 %          100.0 %
        hard     logsumexp      2/3    66.7 %   20.8 – 93.9 %           66.7 %
        soft     mean           2/3    66.7 %   20.8 – 93.9 %           66.7 %
        hard     mean           2/3    66.7 %   20.8 – 93.9 %           66.7 %
        3 samples, 3 classes
    """

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._samples = 0
        # A row a way to answer: how many are correct, agree, and have the class among the top.
        self._counts = torch.zeros(1 + len(RULE_SCORES), 3, dtype=torch.int64)

    def update(self, predictions: Predictions) -> None:
        """Counts a batch; an empty one changes nothing."""
        if not len(predictions):
            return
        network = predictions.network_answers
        labels = torch.from_numpy(predictions.labels).to(network.device)
        ways: list[tuple[Tensor, Tensor | None]] = [(network, predictions.logits)]
        for rule, score in RULE_SCORES:
            ranked = get_rule(rule).ranks_classes
            ranking = predictions.log_probs_by(score) if ranked else None
            ways.append((predictions.answers_by(rule, score), ranking))
        counts = []
        for answer, ranking in ways:
            correct, agreeing = (answer == labels).sum(), (answer == network).sum()
            top = correct if ranking is None else _in_top(ranking, labels).sum()
            counts.append(torch.stack([correct, agreeing, top]))
        self._counts += torch.stack(counts).cpu()
        self._samples += len(labels)

    def table(self) -> AccuracyTable:
        """What was counted so far.

        Raises:
            InputError: there was no sample yet.
        """
        if not self._samples:
            raise InputError("there is no accuracy without a sample; give at least one.")
        has_top = self.hierarchy.num_classes > TOP
        rows = (
            AccuracyRow(
                rule=rule,
                score=score,
                samples=self._samples,
                correct=correct,
                agreeing=agreeing,
                top5_correct=top if has_top and _ranks_classes(rule) else None,
            )
            for (rule, score), (correct, agreeing, top) in zip(
                ((None, None), *RULE_SCORES), self._counts.tolist(), strict=True
            )
        )
        return AccuracyTable(tuple(rows), self.hierarchy.num_classes)


def accuracy_by_rule(
    batches: Iterable[tuple[Tensor, Tensor]], hierarchy: Hierarchy
) -> AccuracyTable:
    """The accuracy of the network, and of the tree by each rule and score, in one pass.

    Args:
        batches: (logits, labels) of each batch; −inf masks a class out.
        hierarchy: the tree; leaf i is class i.

    Raises:
        InputError: as for `Predictions`, or there is no sample.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> logits, labels = torch.tensor([[3.0, 2.0, 2.9]]), torch.tensor([0])
        >>> table = accuracy_by_rule([(logits, labels)], tree)
        >>> table.network.accuracy, table.row("soft", "mean").accuracy
        (1.0, 0.0)
    """
    counted, layout = AccuracyByRule(hierarchy), TreeLayout(hierarchy)
    for logits, labels in batches:
        counted.update(Predictions(logits, layout, score="logsumexp", labels=labels))
    return counted.table()


def _ranks_classes(rule: RuleName | None) -> bool:
    return rule is None or get_rule(rule).ranks_classes


def _in_top(values: Tensor, labels: Tensor) -> Tensor:
    """Whether the true class is among the likeliest ones."""
    own = values.gather(1, labels[:, None])[:, 0]
    last = values.topk(min(TOP, values.shape[1])).values[:, -1]
    inside = own > last
    # Only where it is the last of them are there equals to be told apart; ranks cost most.
    close = (own == last).nonzero()[:, 0]
    inside[close] = _ranks(values[close], labels[close]) < TOP
    return inside


def _ranks(values: Tensor, labels: Tensor) -> Tensor:
    """How many classes are likelier than the true one; of equals, the lower index is likelier."""
    own = values.gather(1, labels[:, None])
    lower = torch.arange(values.shape[1], device=values.device) < labels[:, None]
    return ((values > own) | ((values == own) & lower)).sum(dim=1)
