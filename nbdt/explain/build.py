"""From predictions to explanations: arrays of a whole batch at once, then plain data a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.errors import InputError
from nbdt.explain.decision import Decision
from nbdt.explain.explanation import Explanation, Explanations
from nbdt.explain.geometry import FeatureGeometry
from nbdt.hierarchy.validation import FloatArray
from nbdt.rules import PathDecisions, Predictions, RuleName, ScoreName, Temperature, TreeLayout


def explain_logits(
    logits: Float[Tensor, "batch classes"],
    layout: TreeLayout,
    *,
    score: ScoreName = "logsumexp",
    rule: RuleName = "soft",
    geometry: FeatureGeometry | None = None,
    temperature: Temperature | None = None,
) -> Explanations:
    """What each row of logits is predicted as, and by which decisions.

    Args:
        logits: a row a sample, a column a class; shape (batch, C). −inf masks a class out.
        layout: the tree, as the rules use it.
        score: what a node is worth: ``"mean"`` or ``"logsumexp"``.
        rule: ``"soft"`` reports the path to the likeliest class, ``"hard"`` the path that takes
            the likeliest child at each node.
        geometry: as for `explain_predictions`.
        temperature: what the logits, or the scores at single nodes, are divided by, if anything.
            Margins are differences of the scores so divided; feature distances stay what they
            are, and so does the network's own prediction.

    Raises:
        InputError: the arguments are not valid for this tree, or a row of the logits holds NaN or
            +inf or masks every class; the message names the rows.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
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
    predictions = Predictions(logits, layout, score=score, rule=rule, temperature=temperature)
    return explain_predictions(predictions, geometry)


def explain_predictions(
    predictions: Predictions, geometry: FeatureGeometry | None = None
) -> Explanations:
    """One explanation for each sample of a batch.

    Args:
        predictions: the batch.
        geometry: the classifier's linear head on the same tree, for `Decision.feature_distance`
            under a linear score; without it, or under another score, that is None.

    Raises:
        InputError: the geometry belongs to another tree.
    """
    tree = predictions.hierarchy
    if geometry is not None and geometry.hierarchy != tree:
        raise InputError("the geometry belongs to another tree; make one for this tree.")
    score, rule = predictions.score, predictions.rule
    soft, predicted = predictions.log_probs, predictions.answer_classes[:, None]
    rival = soft.scatter(-1, predicted, -math.inf).argmax(-1, keepdim=True)
    # Where all classes but class 0 are masked out, the first of the others is runner-up.
    rival = torch.where(rival == predicted, 1, rival)
    rival_probability = soft.gather(-1, rival)[:, 0].cpu().double().exp().tolist()
    rivals = rival[:, 0].cpu().numpy()
    diverging = predictions.layout.lca_table.lca(predictions.answers, rivals)
    # A mean leaves masked classes out, and then it is not that of the rows in the geometry.
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
        # Rounded apart, a runner-up that ties could come out likelier than the prediction.
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


def _decisions(
    predictions: Predictions,
    geometry: FeatureGeometry | None,
    is_linear: npt.NDArray[np.bool_] | None,
) -> Iterator[tuple[Decision, ...]]:
    """The decisions on each sample's path.

    Args:
        predictions: the batch.
        geometry: for the distances in feature space, or None.
        is_linear: whether the sample's scores are linear in the features; shape (batch,).
    """
    tree, path = predictions.hierarchy, predictions.answer_path
    probabilities, entropies = _shares_and_entropies(path)
    distances: list[float | None] = [None] * len(path.nodes)
    if geometry is not None and is_linear is not None and is_linear.any():
        apart = geometry.sibling_distances(path.towards) * path.spread(is_linear[path.samples])
        hot = np.array([predictions.temperature.of(node) for node in path.nodes.tolist()])
        # Scores differ as their log-probabilities do.
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
