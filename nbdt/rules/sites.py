"""The rules on maps of classes: logits (batch, C, *sites), of a segmentation network for example.

Every site is answered as a sample of its own. The work goes by chunks of sites, so memory holds the
logits, the answers and one chunk, and never a number for every node and site. In a chunk the
classes stay the outer axis, as the fast path of the rules has them, so nothing is transposed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import described
from nbdt.hierarchy.validation import IntArray, is_integer
from nbdt.rules.checks import check_logits, describe
from nbdt.rules.functional import values_are_known
from nbdt.rules.layout import TreeLayout
from nbdt.rules.predictions import Predictions, RuleName, keeps_network_answer
from nbdt.rules.scores import ScoreName, get_score
from nbdt.rules.temperature import Temperature

# How many numbers of one type a chunk has for all nodes: a few megabytes, which stay in the cache.
CHUNK = 2**20
# Kernels of a graphics processor need more work at a time.
CHUNK_ELSEWHERE = 2**24


def is_map(logits: Tensor) -> bool:
    """Whether logits are a map of sites, (batch, C, *sites), and not one row a sample."""
    return logits.ndim > 2


def check_sites(logits: Float[Tensor, "batch classes *sites"]) -> None:
    """Refuses a map without sites, and sites with NaN, +inf or nothing but −inf.

    Example:
        >>> check_sites(torch.full((1, 2, 4, 4), torch.nan))
        Traceback (most recent call last):
        nbdt.errors.InputError: the logits hold NaN at site (0, 0) of sample 0 (16 of 16 sites); ...
    """
    if not math.prod(logits.shape[2:]):
        raise InputError(f"a map needs sites; the logits have the shape {tuple(logits.shape)}.")
    if not len(logits) or bool(logits.amax(1).isfinite().all()):
        return
    for wrong, what, advice in (
        (logits.isnan().any(1), "hold NaN", "look for NaN in the input or the weights"),
        ((logits == math.inf).any(1), "hold +inf", "they must be finite, or -inf"),
        ((logits == -math.inf).all(1), "are all -inf", "leave one class unmasked"),
    ):
        if wrong.any():
            sample, *site = wrong.nonzero()[0].tolist()
            raise InputError(
                f"the logits {what} at site {_tuple(site)} of sample {sample} "
                f"({int(wrong.sum()):,} of {wrong.numel():,} sites); {advice}."
            )


def check_answerable(logits: Float[Tensor, "batch classes *sites"]) -> None:
    """Refuses logits, of rows or of a map, that no class can be chosen by."""
    if is_map(logits):
        check_sites(logits)
    else:
        check_logits(logits, logits.shape[1])


def chunks(
    logits: Float[Tensor, "batch classes *sites"], num_nodes: int
) -> Iterator[tuple[int, slice, Float[Tensor, "sites classes"]]]:
    """Parts of the map: the sample, a range of its sites in order, and a view of their logits."""
    most = CHUNK if logits.device.type == "cpu" else CHUNK_ELSEWHERE
    step = max(256, most // num_nodes)
    for sample, one in enumerate(logits):
        rows = one.flatten(1).T
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            yield sample, part, rows[part]


def map_log_probs(
    logits: Float[Tensor, "batch classes *sites"],
    layout: TreeLayout,
    score: ScoreName = "logsumexp",
    temperature: Temperature | None = None,
) -> Float[Tensor, "batch classes *sites"]:
    """The soft log-probability of every class at every site; differentiable.

    Example:
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> map_log_probs(torch.ones(1, 3, 1, 2), layout, "mean").exp()[0, :, 0, 0]
        tensor([0.2500, 0.2500, 0.5000])
    """
    how = temperature or Temperature()
    if get_score(score).keeps_softmax and not how.nodes:
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return how.divide(wide).log_softmax(1)

    def of_rows(rows: Tensor) -> Tensor:
        return how.log_probs(rows, layout, score)

    if not values_are_known(logits):
        return of_rows(logits.movedim(1, -1)).movedim(-1, 1)
    if torch.is_grad_enabled() and logits.requires_grad:
        # Computed again on the way back, so that no chunk's nodes have to be kept.
        parts: list[list[Tensor]] = [[] for _ in logits]
        for sample, _, rows in chunks(logits, layout.num_nodes):
            parts[sample].append(checkpoint(of_rows, rows, use_reentrant=False))
        found = torch.stack([torch.cat(of_sample).T for of_sample in parts])
        return found.view(logits.shape)
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    result = torch.empty(logits.shape, dtype=dtype, device=logits.device)
    for sample, part, rows in chunks(logits, layout.num_nodes):
        result[sample].view(layout.num_classes, -1)[:, part] = of_rows(rows).T
    return result


def map_answers(
    logits: Float[Tensor, "batch classes *sites"],
    layout: TreeLayout,
    score: ScoreName = "logsumexp",
    rule: RuleName = "soft",
    temperature: Temperature | None = None,
) -> Int[Tensor, " batch *sites"]:
    """The class that the rule answers at every site; an InputError names a site with NaN.

    Example:
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> logits = torch.tensor([2.0, 2.0, 2.2]).view(1, 3, 1, 1)
        >>> map_answers(logits, layout), map_answers(logits, layout, rule="hard")
        (tensor([[[2]]]), tensor([[[0]]]))
    """
    check_sites(logits)
    if keeps_network_answer(rule, score) and not (temperature and temperature.nodes):
        return logits.max(1).indices  # torch is much slower at argmax over an outer axis
    shape = (len(logits), *logits.shape[2:])
    answers = torch.empty(shape, dtype=torch.int64, device=logits.device)
    for sample, part, rows in chunks(logits, layout.num_nodes):
        found = Predictions(rows, layout, score=score, rule=rule, temperature=temperature)
        answers[sample].view(-1)[part] = found.answer_classes
    return answers


def logits_at(
    logits: Float[Tensor, "batch classes *sites"], at: Any
) -> tuple[Float[Tensor, "batch classes"], tuple[int, ...]]:
    """The logits of one site of every sample, and the site."""
    shape = tuple(logits.shape[2:])
    _check_is_map(logits, "at")
    try:
        values = at if isinstance(at, Sequence | np.ndarray | Tensor) else (at,)
        site = tuple(map(operator.index, values))
    except TypeError:
        site = ()
    inside = len(site) == len(shape) and all(0 <= i < n for i, n in zip(site, shape, strict=True))
    if not inside or isinstance(at, str):
        names = "(row, column)" if len(shape) == 2 else f"{len(shape)} whole numbers"
        raise InputError(
            f"at must be {names} on a map of {size_text(shape)} sites, counted from 0; got "
            f"{at!r:.60}."
        )
    chosen: Any = (slice(None), slice(None), *site)
    return logits[chosen], site


def site_of(text: str) -> tuple[int, ...]:
    """The site that a text names.

    Example:
        >>> site_of("12, 40")
        (12, 40)
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InputError(f"a site is such as 12,40, its row and column; got {text!r:.60}.")
    return tuple(map(int, parts))


def region_logits(
    logits: Float[Tensor, "batch classes *sites"], region: Any
) -> tuple[Float[Tensor, "batch classes"], list[Bool[np.ndarray, " *sites"]]]:
    """The mean logits over a region of every sample, and its mask in every sample.

    Rules read logits only up to a number that is added to all classes, so this is also the mean of
    the sites' log-probabilities: the geometric mean of their probabilities, made to sum to 1. Under
    the score ``mean`` the score of each node is the mean of its scores over the region. A class
    that is masked (−inf) at one site is masked in the region.

    `region` is a mask of True and False, of the map's shape, or one for every sample.
    """
    _check_is_map(logits, "region")
    shape = tuple(logits.shape[2:])
    mask = region.cpu().numpy() if isinstance(region, Tensor) else np.asarray(region)
    if mask.dtype != np.bool_:
        raise InputError(
            f"region must be a mask of True and False; got "
            f"{describe(region) if isinstance(region, Tensor) else f'values of type {mask.dtype}'};"
            " a comparison makes one, for example labels == 3."
        )
    if mask.shape not in (shape, (len(logits), *shape)):
        raise InputError(
            f"region must have the shape of the map, {shape}, or one mask a sample, "
            f"{(len(logits), *shape)}; got {mask.shape}."
        )
    masks = list(np.broadcast_to(mask, (len(logits), *shape)))
    sums = torch.zeros(logits.shape[:2], dtype=torch.float64, device=logits.device)
    for sample, one in enumerate(masks):
        if not one.any():
            raise InputError(f"region has no sites in sample {sample}: its mask is all False.")
    for sample, part, rows in chunks(logits, logits.shape[1]):
        chosen = torch.from_numpy(masks[sample].reshape(-1)[part].copy()).to(logits.device)
        sums[sample] += rows[chosen].sum(0, dtype=torch.float64)
    counts = torch.tensor([int(one.sum()) for one in masks], device=logits.device)
    means = sums / counts[:, None]
    if (empty := torch.isneginf(means).all(1)).any():
        raise InputError(
            f"every class is masked (-inf) at some site of the region in sample "
            f"{int(empty.nonzero()[0])}; choose a region in which one class is not."
        )
    return means.to(torch.float64 if logits.dtype == torch.float64 else torch.float32), masks


def nodes_at_depth(tree: Hierarchy, depth: int) -> IntArray:
    """For each class, the node at a depth on its path, or the class itself where that ends above.

    The root has depth 0. Indexed with a map of classes, it gives the map at that depth.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> nodes_at_depth(tree, 1)[np.array([[0, 1, 2]])]
        array([[3, 3, 2]])
    """
    if not is_integer(depth) or depth < 0:
        raise InputError(f"depth must be a whole number from 0, the root's; got {depth!r:.80}.")
    paths = (tree.path(leaf) for leaf in range(tree.num_classes))
    return np.array([path[min(depth, len(path) - 1)] for path in paths])


def children_taken(tree: Hierarchy, node: int) -> IntArray:
    """For each class, the child of a node on its path, or −1 where the path misses the node.

    Indexed with a map of classes, it gives the map of one decision.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> children_taken(tree, 3)[np.array([[0, 1, 2]])]
        array([[ 0,  1, -1]])
    """
    if tree.is_leaf(node):
        raise InputError(f"{described(tree, node)} is a class and decides nothing; name a group.")
    found = np.full(tree.num_classes, -1)
    for child in tree.children(node):
        found[list(tree.leaves(child))] = child
    return found


def size_text(shape: Sequence[int]) -> str:
    """The size of a map as text, such as "64 × 48"."""
    return " × ".join(map(str, shape))


def _check_is_map(logits: Tensor, name: str) -> None:
    if not is_map(logits):
        raise InputError(
            f"{name} chooses sites of a map of classes, but this network gives one answer a "
            f"sample; leave {name} out."
        )


def _tuple(values: Sequence[int]) -> str:
    return f"({', '.join(map(str, values))})"
