"""From predictions to explanations: arrays of a whole batch first, then plain data per sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.errors import InputError
from nbdt.explain.decision import Decision
from nbdt.explain.document import Sites
from nbdt.explain.explanation import Explanation, Explanations
from nbdt.explain.geometry import FeatureGeometry
from nbdt.hierarchy.validation import FloatArray
from nbdt.rules import PathDecisions, Predictions, RuleName, ScoreName, Temperature, TreeLayout
from nbdt.rules.sites import logits_at, region_logits


def explain_logits(
    logits: Float[Tensor, "batch classes"],
    layout: TreeLayout,
    *,
    score: ScoreName = "logsumexp",
    rule: RuleName = "soft",
    geometry: FeatureGeometry | None = None,
    temperature: Temperature | None = None,
) -> Explanations:
    """The prediction of each row of logits, shape (batch, C), and the decisions that led to it.

    Args:
        logits: −inf masks a class out; NaN, +inf and rows of all −inf are refused.
        layout: the tree, compiled for the rules.
        score: ``"mean"`` or ``"logsumexp"``.
        rule: ``"soft"`` reports the path to the likeliest class, ``"hard"`` the path that takes the
            likeliest child at each node.
        geometry: as for `explain_predictions`.
        temperature: divides the logits, or the scores at single nodes. Margins are differences of
            the divided scores; feature distances and the network's own prediction don't change.
    """
    predictions = Predictions(logits, layout, score=score, rule=rule, temperature=temperature)
    return explain_predictions(predictions, geometry)


def explain_predictions(
    predictions: Predictions, geometry: FeatureGeometry | None = None
) -> Explanations:
    """One explanation for each sample of a batch.

    `geometry`, the classifier's linear head on the same tree, gives `Decision.feature_distance`
    under a linear score.
    """
    tree = predictions.hierarchy
    if geometry is not None and geometry.hierarchy != tree:
        raise InputError("the geometry belongs to another tree; make one for this tree.")
    score, rule = predictions.score, predictions.rule
    soft, predicted = predictions.log_probs, predictions.answer_classes[:, None]
    rival = soft.scatter(-1, predicted, -math.inf).argmax(-1, keepdim=True)
    # If all classes but class 0 are masked out, the first of the others is runner-up.
    rival = torch.where(rival == predicted, 1, rival)
    rival_probability = soft.gather(-1, rival)[:, 0].cpu().double().exp().tolist()
    rivals = rival[:, 0].cpu().numpy()
    diverging = predictions.layout.lca_table.lca(predictions.answers, rivals)
    # A mean skips masked classes, so it then differs from the geometry's mean row.
    is_linear = None
    if score.is_linear and geometry is not None:
        is_linear = predictions.logits.isfinite().all(-1).cpu().numpy()
    explanations = Explanations()
    for path, network, runner_up, rival_share, node in zip(
        _decisions(predictions, geometry, is_linear),
        predictions.network_answers.tolist(),
        rivals.tolist(),
        rival_probability,
        diverging.tolist(),
        strict=True,
    ):
        # Rounded separately, a tied runner-up could appear likelier than the prediction.
        most = math.prod(step.probability for step in path) if rule.ranks_classes else 1.0
        explanations.append(
            Explanation(
                path=path,
                network_prediction=network,
                network_prediction_name=tree.names[network],
                runner_up=runner_up,
                runner_up_name=tree.names[runner_up],
                runner_up_probability=min(rival_share, most),
                diverges_at=node,
                score=score.name,
                rule=rule.name,
            )
        )
    return explanations


def explain_sites(
    logits: Float[Tensor, "batch classes *sites"],
    at: Any,
    region: Any,
    predictions: Callable[[Tensor], Predictions],
) -> Explanations:
    """One explanation for each map, of its site `at` or of a `region`; see `nbdt.rules.sites`.

    `predictions` are those of logits of shape (batch, C).
    """
    shape = tuple(logits.shape[2:])
    if (at is None) == (region is None):
        got = "neither" if at is None else "both"
        raise InputError(
            f"this model answers {' × '.join(map(str, shape)) or 'no'} sites a sample, so explain "
            f"needs at=(row, column) or region=mask; got {got}."
        )
    if at is not None:
        rows, site = logits_at(logits, at)
        where = [Sites.one(shape, site)] * len(rows)
    else:
        rows, masks = region_logits(logits, region)
        where = [_sites_of(mask) for mask in masks]
    found = explain_predictions(predictions(rows))
    return Explanations(replace(one, sites=sites) for one, sites in zip(found, where, strict=True))


def _sites_of(mask: npt.NDArray[np.bool_]) -> Sites:
    """Where the True values of a mask are."""
    places = np.nonzero(mask)
    return Sites(
        shape=mask.shape,
        count=len(places[0]),
        first=tuple(int(axis.min()) for axis in places),
        last=tuple(int(axis.max()) for axis in places),
    )


def _decisions(
    predictions: Predictions,
    geometry: FeatureGeometry | None,
    is_linear: npt.NDArray[np.bool_] | None,
) -> Iterator[tuple[Decision, ...]]:
    """The decisions on each sample's path.

    `is_linear`, of shape (batch,), says whether a sample's scores are linear in the features.
    """
    tree, path = predictions.hierarchy, predictions.answer_path
    probabilities, entropies = _shares_and_entropies(path)
    distances: list[float | None] = [None] * len(path.nodes)
    if geometry is not None and is_linear is not None and is_linear.any():
        apart = geometry.sibling_distances(path.towards) * path.spread(is_linear[path.samples])
        hot = np.array([predictions.temperature.of(node) for node in path.nodes.tolist()])
        # Score differences equal log-probability differences.
        leads = path.spread(path.own) - path.values
        leads[path.children == path.spread(path.towards)] = math.inf
        flips = np.divide(
            leads * path.spread(hot), apart, out=np.full_like(leads, math.inf), where=apart > 0
        )
        nearest = path.reduced(np.minimum, flips).tolist()
        distances = [distance if math.isfinite(distance) else None for distance in nearest]

    inner = np.unique(path.nodes).tolist()
    children = {node: tree.children(node) for node in inner}
    names = {node: tree.name(node) for node in inner}
    child_names = {node: tuple(map(tree.name, family)) for node, family in children.items()}
    order = path.root_first.tolist()
    nodes, towards = path.nodes.tolist(), path.towards.tolist()
    starts, ends = path.starts.tolist(), (path.starts + path.counts).tolist()
    margins = path.margins.tolist()
    steps = (
        Decision(
            nodes[at],
            names[nodes[at]],
            towards[at],
            children[nodes[at]],
            child_names[nodes[at]],
            tuple(probabilities[starts[at] : ends[at]]),
            margins[at],
            entropies[at],
            distances[at],
        )
        for at in order
    )
    for length in np.bincount(path.samples, minlength=len(predictions)).tolist():
        yield tuple(islice(steps, length))


def _shares_and_entropies(path: PathDecisions) -> tuple[list[float], list[float]]:
    """The probabilities of each decision's children, and its entropy in [0, 1]."""
    # A softmax of log-probabilities gives them back, without the rounding in their sum.
    centred: FloatArray = path.values - path.spread(path.highest)
    shares = np.exp(centred)
    totals = path.reduced(np.add, shares)
    shares /= path.spread(totals)
    # −Σ p log p with log p = centred − log total; a masked child adds nothing.
    weighted = path.reduced(np.add, shares * np.where(shares > 0, centred, 0))
    entropies = (np.log(totals) - weighted) / np.log(path.counts)
    return shares.tolist(), np.clip(entropies, 0, 1).tolist()
