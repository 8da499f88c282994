"""From logits to explanations: the tensors of a whole batch at once, then plain data a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.errors import InputError
from nbdt.explain.decision import Decision
from nbdt.explain.explanation import Explanation
from nbdt.explain.explanations import Explanations
from nbdt.explain.geometry import FeatureGeometry
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import (
    RULES,
    Rule,
    Score,
    Temperature,
    TreeLayout,
)


def explain_logits(
    logits: Float[Tensor, "batch classes"],
    layout: TreeLayout,
    *,
    score: Score = "logsumexp",
    rule: Rule = "soft",
    geometry: FeatureGeometry | None = None,
    temperature: Temperature | None = None,
) -> Explanations:
    """What each row of logits is predicted as, and by which decisions.

    Args:
        logits: a row a sample, a column a class; shape (batch, C). −inf masks a class out.
        layout: the tree, as the rules use it.
        score: what a node is worth: ``"logsumexp"`` or ``"mean"``.
        rule: ``"soft"`` reports the path to the likeliest class, ``"hard"`` the path that takes
            the likeliest child at each node.
        geometry: the classifier's linear head on the same tree, for `Decision.feature_distance`
            under the score ``mean``; without it, or under ``logsumexp``, that is None.
        temperature: what the logits, or the scores at single nodes, are divided by, if anything.
            Margins are differences of the scores so divided; feature distances stay what they
            are, and so does the network's own prediction.

    Returns:
        One explanation a row; an empty list for an empty batch.

    Raises:
        InputError: the logits are not a floating-point (batch, C) tensor, hold NaN or +inf, or
            mask every class of a row; the message names the rows. Or the rule, the score, the
            geometry or the temperature is not one for this tree.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [0.0, 1.0, 5.0]])
        >>> first, second = explain_logits(logits, TreeLayout(tree))
        >>> print(first)
        Predicted cat (71 %); the network agrees.
        Path: thing → animal (96 %) → cat (73 %).
        Closest decision: cat (73 %) over dog (27 %) at animal.
        Runner-up: dog (26 %); the paths diverge at animal.
        >>> second.prediction_name, second.runner_up_name, second.diverges_at_name
        ('car', 'dog', 'thing')
    """
    if not isinstance(layout, TreeLayout):
        raise InputError(f"layout has to be a TreeLayout, got {type(layout).__name__}.")
    tree = layout.hierarchy
    unmasked = unmasked_rows(logits, tree.num_classes)
    if rule not in RULES:
        raise InputError(f"rule is one of {', '.join(RULES)}; got {rule!r}.")
    if geometry is not None and geometry.hierarchy != tree:
        raise InputError("the geometry belongs to another tree; make one for this tree.")

    temperature = temperature or Temperature()
    with torch.no_grad():
        soft = temperature.log_probs(logits, layout, score)
        if rule == "soft":
            predicted = soft.argmax(-1, keepdim=True)
        else:
            predicted = temperature.hard_predict(logits, layout, score)[:, None]
        rival = soft.scatter(-1, predicted, -math.inf).argmax(-1, keepdim=True)
        # Where all classes but class 0 are masked out, the first of the others is runner-up.
        rival = torch.where(rival == predicted, 1, rival)
        rival_probability = soft.gather(-1, rival).cpu().double().exp()
        classes = torch.cat([predicted, rival, logits.argmax(-1, keepdim=True)], -1)
        log_probs = temperature.decisions(logits, layout, score)
        # A mean leaves masked classes out, and then it is not that of the rows in the geometry.
        is_linear = (unmasked & (score == "mean")).cpu().numpy()

    ids = classes.tolist()
    paths = {leaf: tree.path(leaf) for leaf in {leaf for row in ids for leaf in row[:2]}}
    reported = [paths[row[0]] for row in ids]
    decisions = _decisions(
        log_probs.cpu().numpy(), reported, tree, geometry, is_linear, temperature
    )
    explanations = Explanations()
    for path, (prediction, runner_up, network), rival_share in zip(
        decisions, ids, rival_probability[:, 0].tolist(), strict=True
    ):
        # Rounded apart, a runner-up that ties could come out likelier than the prediction.
        most = math.prod(step.probability for step in path) if rule == "soft" else 1.0
        explanations.append(
            Explanation(
                path=path,
                network_prediction=network,
                network_prediction_name=tree.names[network],
                runner_up=runner_up,
                runner_up_name=tree.names[runner_up],
                runner_up_probability=min(rival_share, most),
                diverges_at=_parting(paths[prediction], paths[runner_up]),
                score=score,
                rule=rule,
            )
        )
    return explanations


def unmasked_rows(logits: Tensor, num_classes: int) -> Tensor:
    """Which rows of the logits have no −inf; refuses what is no batch of logits."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        got = f"dtype {logits.dtype}" if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"logits have to be a tensor of floating-point numbers, got {got}.")
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        raise InputError(
            f"logits need a row a sample and a column a class, shape (batch, {num_classes}); "
            f"got {tuple(logits.shape)}."
        )
    finite = logits.isfinite().all(-1)
    if bool(finite.all()):
        return finite
    _refuse_rows(logits.isnan().any(-1), "hold NaN", "look for NaN in the input or the weights")
    _refuse_rows((logits == math.inf).any(-1), "hold +inf", "they have to be finite, or -inf")
    _refuse_rows((logits == -math.inf).all(-1), "are all -inf", "leave one class unmasked")
    return finite


def _refuse_rows(wrong: Tensor, what: str, advice: str) -> None:
    rows = wrong.nonzero()[:, 0].tolist()
    if rows:
        some = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
        where = f"row{'s' * (len(rows) > 1)} {some} ({len(rows)} of {len(wrong)})"
        raise InputError(f"the logits {what} in {where}; {advice}.")


def _parting(path: tuple[int, ...], other: tuple[int, ...]) -> int:
    """The last node that two paths from the root share."""
    # Two paths share a node at one depth only where they share all nodes above it.
    shared = sum(a == b for a, b in zip(path, other, strict=False))
    return path[shared - 1]


def _decisions(
    log_probs: npt.NDArray[np.floating],
    paths: list[tuple[int, ...]],
    tree: Hierarchy,
    geometry: FeatureGeometry | None,
    is_linear: npt.NDArray[np.bool_],
    temperature: Temperature,
) -> Iterator[tuple[Decision, ...]]:
    """The decisions on one path for each sample.

    The children of every decision of the batch stand in one flat array, a run a decision, so
    that all numbers are worked out together and only along the paths.

    Args:
        log_probs: log p(node | parent); shape (batch, nodes).
        paths: the nodes of each sample's path, the root first.
        tree: the tree.
        geometry: for the distances in feature space, or None.
        is_linear: whether the sample's scores are linear in the features; shape (batch,).
        temperature: what the scores were divided by.
    """
    if not paths:
        return
    nodes = [node for path in paths for node in path[:-1]]
    taken = np.array([node for path in paths for node in path[1:]])
    children = {node: tree.children(node) for node in set(nodes)}
    names = {node: tree.name(node) for node in children}
    child_names = {node: tuple(map(tree.name, family)) for node, family in children.items()}

    arrays = {node: np.array(family) for node, family in children.items()}
    flat = np.concatenate([arrays[node] for node in nodes])
    runs = _Runs(np.array([len(children[node]) for node in nodes]))
    lengths = np.array([len(path) - 1 for path in paths])
    samples = np.repeat(np.arange(len(paths)), lengths)
    values = log_probs[runs.spread(samples), flat].astype(np.float64)
    is_taken = flat == runs.spread(taken)

    probabilities, entropies = _shares_and_entropies(values, runs)
    # Scores differ as their log-probabilities do.
    leads = np.where(is_taken, math.inf, runs.spread(values[is_taken]) - values)
    margins = runs.reduce(np.minimum, leads)
    distances: list[float | None] = [None] * len(nodes)
    if geometry is not None and is_linear.any():
        apart = geometry.sibling_distances(taken) * runs.spread(is_linear[samples])
        hot = runs.spread(np.array([temperature.of(node) for node in nodes]))
        flips = np.divide(leads * hot, apart, out=np.full_like(leads, math.inf), where=apart > 0)
        nearest = runs.reduce(np.minimum, flips).tolist()
        distances = [distance if math.isfinite(distance) else None for distance in nearest]

    ends = np.cumsum(runs.counts).tolist()
    steps = (
        Decision(
            node,
            names[node],
            child,
            children[node],
            child_names[node],
            tuple(probabilities[start:end]),
            margin,
            entropy,
            distance,
        )
        for node, child, start, end, margin, entropy, distance in zip(
            nodes,
            taken.tolist(),
            [0, *ends[:-1]],
            ends,
            margins.tolist(),
            entropies.tolist(),
            distances,
            strict=True,
        )
    )
    for length in lengths:
        yield tuple(islice(steps, int(length)))


def _shares_and_entropies(values: FloatArray, runs: _Runs) -> tuple[list[float], FloatArray]:
    """The probabilities of each run's log-probabilities, and their entropies in [0, 1]."""
    # A softmax of log-probabilities gives them back, without the rounding in their sum.
    centred = values - runs.spread(runs.reduce(np.maximum, values))
    shares = np.exp(centred)
    totals = runs.reduce(np.add, shares)
    shares /= runs.spread(totals)
    # −Σ p log p with log p = centred − log total; a masked child adds nothing.
    weighted = runs.reduce(np.add, shares * np.where(shares > 0, centred, 0))
    entropies = (np.log(totals) - weighted) / np.log(runs.counts)
    return shares.tolist(), np.clip(entropies, 0, 1)


class _Runs:
    """Where the runs of a flat array begin, given their lengths."""

    def __init__(self, counts: IntArray) -> None:
        self.counts = counts
        self._starts = np.cumsum(counts) - counts

    def reduce(self, operation: np.ufunc, values: FloatArray) -> FloatArray:
        """One number a run: its sum, maximum, …."""
        reduced: FloatArray = operation.reduceat(values, self._starts)
        return reduced

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One number a run, given to each of its entries."""
        return np.repeat(values, self.counts)
