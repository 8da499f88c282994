"""Contributions of words, columns or values: what leaving some of them out does to a decision.

A model is asked once for many samples that lack some parts; that answers for every decision of a
path, and needs no gradients.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nbdt.attribution.difference import (
    Attribution,
    Choice,
    check_finite,
    decision_log_probs,
    differences,
)
from nbdt.attribution.methods import import_captum, made_by
from nbdt.classifiers import eval_mode, moved, network_logits, weights_device
from nbdt.errors import InputError, NBDTError, reason_of
from nbdt.hierarchy.validation import FloatArray
from nbdt.inputs import Input, Parts
from nbdt.inputs.parts import PartKind, Span
from nbdt.model import NBDT

PART_METHODS = ("shapley", "ablation")
BoolArray = npt.NDArray[np.bool_]

EVALUATIONS = 1024
"""How many samples with parts left out a model is asked for, at most, unless a caller says so."""

_ROWS = 512  # of a batch
_MOST_ENUMERATED = 10  # parts; all their 1,024 subsets are then tried
MOST_SAMPLED = 64  # parts; of more, too few orders can be tried
_TRIED = 16  # random subsets that show whether contributions add up
_TOLERANCE = 1e-5
# A class that a forest gives the probability 0 has no finite score.
_LEAST = 1e-3


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Contributions(Attribution):
    """What each word, column or value contributed to preferring one child of a node over another.

    Attributes:
        kind: what a part is.
        parts: the names of the parts.
        contributions: one number a part, in the units of the scores; positive speaks for the child,
            negative for its rival.
        in_place: what stood in place of a part that was left out.
        is_exact: whether they are the exact Shapley values, up to rounding.
        errors: the standard error of each contribution, if they were sampled.
        values: of columns, as a reader sees them.
        spans: of words, where they stand in the texts of the `preview`.
        floor: the probability that stood in place of smaller ones, if the classifier gave some
            class the probability 0.
    """

    kind: PartKind
    parts: tuple[str, ...]
    contributions: tuple[float, ...]
    in_place: str
    is_exact: bool = False
    errors: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    floor: float | None = None

    @property
    def total(self) -> float:
        """The sum of the contributions."""
        return math.fsum(self.contributions)

    @property
    def order(self) -> list[int]:
        """The places of the parts, the largest contribution of either sign first."""
        return sorted(range(len(self.parts)), key=lambda place: -abs(self.contributions[place]))

    def label(self, place: int) -> str:
        """A part as a sentence names it: "age = 52", "“good”"."""
        return (
            f"{self.parts[place]} = {self.values[place]}"
            if self.values
            else f"“{self.parts[place]}”"
        )

    def sentence(self, place: int) -> str:
        """What one part did: "age = 52 spoke for >50K by 0.80"."""
        value = self.contributions[place]
        name = self.child_name if value >= 0 else self.rival_name
        return f"{self.label(place)} spoke for {name} by {abs(value):.2f}"

    @property
    def note(self) -> str:
        """What the numbers are, and what they are compared with, in one or two sentences."""
        left = f"{self.in_place} in place of a {self.kind}"
        if self.kind in ("word", "character", "n-gram"):
            by_gradients = self.method == "integrated_gradients"
            left = (
                f"{'padding in place of' if by_gradients else 'the text without'} its {self.kind}s"
            )
        how = {
            "shapley": f"Shapley values, compared with {left}",
            "ablation": f"How far the difference falls if one {self.kind} is left out; this need "
            "not add up",
            "integrated_gradients": f"Integrated Gradients, compared with {left}",
        }.get(self.method, f"{self.method} of Captum, compared with {left}")
        if self.is_exact:
            how += "; exact"
        elif self.errors:
            how += f"; sampled, with standard errors of up to {max(self.errors):.2g}"
        floor = "" if self.floor is None else f" Probabilities below {self.floor} count as that."
        return f"{how}.{floor}"

    def to_dict(self) -> dict[str, Any]:
        """As `Attribution.to_dict`, with ``parts``: a name, a contribution, and what is known."""
        parts = []
        for place, (name, value) in enumerate(zip(self.parts, self.contributions, strict=True)):
            part: dict[str, Any] = {"name": name, "contribution": value}
            if self.values:
                part["value"] = self.values[place]
            if self.spans:
                part |= dict(zip(("text", "start", "end"), self.spans[place], strict=True))
            if self.errors:
                part["error"] = self.errors[place]
            parts.append(part)
        return {
            **super().to_dict(),
            "kind": self.kind,
            "in_place": self.in_place,
            "exact": self.is_exact,
            "floor": self.floor,
            "parts": parts,
        }

    def __str__(self) -> str:
        most = [self.sentence(place) for place in self.order[:3] if self.contributions[place]]
        return "\n".join([super().__str__(), *(f"  {line}" for line in most)])

    def __repr__(self) -> str:
        return (
            f"Contributions({self.node_name!r}: {self.child_name!r} over {self.rival_name!r}, "
            f"{len(self.parts)} {self.kind}s, {self.method})"
        )


class Game:
    """The differences of a sample's decisions when only some of its parts are there.

    A *mask* of shape (rows, parts) is True for the parts that are there.
    """

    def __init__(self, model: NBDT, reader: Input, parts: Parts, choices: list[Choice]) -> None:
        self.model, self.reader, self.parts, self.choices = model, reader, parts, choices
        self.floor: float | None = None

    def __call__(self, masks: BoolArray) -> FloatArray:
        """The differences, in float64; shape (rows, decisions)."""
        found = self._values(masks)
        if not np.isfinite(found).all() and self.floor is None:
            self.floor = _LEAST
            found = self._values(masks)
        check_finite(torch.from_numpy(found), "the sample without some of its parts")
        return found

    def _values(self, masks: BoolArray) -> FloatArray:
        found = []
        for start in range(0, len(masks), _ROWS):
            logits = self._logits(self.parts.without(~masks[start : start + _ROWS]))
            if self.floor is not None:
                least = logits.logsumexp(-1, keepdim=True) + math.log(self.floor)
                logits = torch.maximum(logits, least)
            log_probs = decision_log_probs(self.model, logits)
            found.append(differences(log_probs, self.choices).cpu().double().numpy())
        return np.concatenate(found)

    def _logits(self, samples: Any) -> Tensor:
        try:
            return batch_logits(self.model, self.reader, samples)
        except Exception as error:
            reason = str(error) if isinstance(error, NBDTError) else reason_of(error)
            raise InputError(
                "attribution needs the model's answer to the sample without some of its parts, "
                f"but: {reason}"
            ) from error


def batch_logits(model: NBDT, reader: Input, samples: Any) -> Tensor:
    """The logits of samples that need not be such as a caller may give: a text without words."""
    with eval_mode(model.network) as network, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is too long, as of the whole sample
        batch = moved(reader.batch(samples), weights_device(network))
        return network_logits(network, batch, model.hierarchy.num_classes, model.outputs)


class Shares(NamedTuple):
    """Contributions of shape (parts, decisions), and what is known of them."""

    values: FloatArray
    method: str
    full: FloatArray
    empty: FloatArray | None
    is_exact: bool
    errors: FloatArray | None = None


def ablation(game: Callable[[BoolArray], FloatArray], parts: int) -> Shares:
    """How far each difference falls when one part is left out."""
    found = game(np.concatenate([np.ones((1, parts), bool), ~np.eye(parts, dtype=bool)]))
    return Shares(found[0] - found[1:], "ablation", found[0], None, False)


def shapley(
    game: Callable[[BoolArray], FloatArray], parts: int, *, evaluations: int, seed: int
) -> Shares:
    """Shapley values: the mean effect of adding a part to a random set of the others.

    Exact if every part contributes the same to whatever others (which a few subsets show), or if
    there are few parts; else sampled (Castro et al., Computers & Operations Research 36, 2009), in
    pairs of an order and its reverse.
    """
    shares = _added(game, parts, seed)
    if shares is None and parts <= _MOST_ENUMERATED and 2**parts <= max(evaluations, 2):
        shares = _enumerated(game, parts)
    return _sampled(game, parts, evaluations, seed) if shares is None else shares


def _added(game: Callable[[BoolArray], FloatArray], parts: int, seed: int) -> Shares | None:
    """The contributions where they just add up; None where they do not."""
    alone = np.eye(parts, dtype=bool)
    some = np.random.RandomState(seed).rand(_TRIED, parts) < 0.5
    found = game(
        np.concatenate([np.ones((1, parts), bool), ~np.ones((1, parts), bool), ~alone, alone, some])
    )
    full, empty = found[:2]
    last, first, sums = np.split(found[2:], [parts, 2 * parts])
    values = full - last
    tolerance = _TOLERANCE * max(1.0, float(np.abs(found).max()))
    off = [first - empty - values, sums - empty - some @ values, full - empty - values.sum(0)]
    if any(np.abs(one).max(initial=0) > tolerance for one in off):
        return None
    return Shares(values, "shapley", full, empty, True)


def _enumerated(game: Callable[[BoolArray], FloatArray], parts: int) -> Shares:
    """The weighted mean over all subsets."""
    subsets = np.arange(2**parts)
    masks = (subsets[:, None] >> np.arange(parts) & 1).astype(bool)
    found, sizes = game(masks), masks.sum(1)
    weights = np.array([1 / (parts * math.comb(parts - 1, size)) for size in range(parts)])
    values = []
    for part in range(parts):
        lacking = subsets[~masks[:, part]]
        rises = found[lacking | 1 << part] - found[lacking]
        values.append(weights[sizes[lacking]] @ rises)
    return Shares(np.array(values), "shapley", found[-1], found[0], True)


def _sampled(
    game: Callable[[BoolArray], FloatArray], parts: int, evaluations: int, seed: int
) -> Shares:
    """The mean over random orders in which the parts are added."""
    pairs = max(2, evaluations // (2 * parts))
    random = np.random.RandomState(seed)
    orders = np.array([random.permutation(parts) for _ in range(pairs)])
    orders = np.concatenate([orders, orders[:, ::-1]])
    # The rank of each part in each order; after n steps those of rank < n are there.
    ranks = orders.argsort(1)
    masks = ranks[:, None, :] < np.arange(1, parts)[:, None]
    ends = np.array([[True] * parts, [False] * parts])
    found = game(np.concatenate([ends, masks.reshape(-1, parts)]))
    full, empty = found[:2]
    steps = found[2:].reshape(len(orders), parts - 1, -1)
    around = [np.broadcast_to(end, (len(orders), 1, len(end))) for end in (empty, full)]
    rises = np.diff(np.concatenate([around[0], steps, around[1]], axis=1), axis=1)
    each = np.take_along_axis(rises, ranks[:, :, None], axis=1)
    paired = (each[:pairs] + each[pairs:]) / 2
    errors = paired.std(0, ddof=1) / math.sqrt(pairs)
    return Shares(paired.mean(0), "shapley", full, empty, False, errors)


def captum_shares(
    method: Any, game: Game, parts: int, decisions: int, arguments: Mapping[str, Any]
) -> Shares:
    """What a class of Captum makes of masks: a row of ones, whose baseline is zeros."""

    class Masked(nn.Module):
        def forward(self, masks: Tensor) -> Tensor:
            return torch.from_numpy(game(masks.cpu().numpy() > 0.5))

    attribution = made_by(method, Masked(), import_captum())
    whole = torch.ones(1, parts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that gradients are missing, which fails below
            found = [
                attribution.attribute(whole, target=target, **arguments)[0].double()
                for target in range(decisions)
            ]
    except (AssertionError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{type(attribution).__name__} of Captum can't attribute parts, which have no "
            f"gradients: {reason_of(error)}"
        ) from error
    full = game(np.ones((1, parts), dtype=bool))[0]
    values = torch.stack(found, dim=-1).numpy()
    return Shares(values, type(attribution).__name__, full, None, False)


def contributions(
    model: NBDT,
    reader: Input,
    parts: Parts,
    choices: list[Choice],
    *,
    method: Any = None,
    evaluations: int = EVALUATIONS,
    seed: int = 0,
    **arguments: Any,
) -> tuple[Shares, float | None]:
    """The contributions of the parts to each decision, and the floor of probabilities, if any."""
    game, number = Game(model, reader, parts, choices), len(parts)
    if type(evaluations) is not int or evaluations < 1:
        raise InputError(f"evaluations must be a positive whole number, got {evaluations!r:.80}.")
    if callable(method):
        shares = captum_shares(method, game, number, len(choices), arguments)
    elif arguments:
        raise InputError(
            f"{method or 'shapley'} takes evaluations and seed, not {', '.join(arguments)}."
        )
    elif method == "ablation":
        shares = ablation(game, number)
    elif method == "shapley":
        shares = shapley(game, number, evaluations=evaluations, seed=seed)
    else:
        try:
            if number <= MOST_SAMPLED:
                shares = shapley(game, number, evaluations=evaluations, seed=seed)
            else:
                shares = _added(game, number, seed) or ablation(game, number)
        except InputError:  # of models that take no empty text
            shares = ablation(game, number)
    return shares, game.floor


def as_contributions(
    model: NBDT, parts: Parts, choices: list[Choice], shares: Shares, **fields: Any
) -> list[Contributions]:
    """The contributions to each decision, with the names of all."""
    return [
        Contributions(
            **choice.named(model),
            difference=float(shares.full[place]),
            method=shares.method,
            baseline_difference=None if shares.empty is None else float(shares.empty[place]),
            kind=parts.kind,
            parts=parts.names,
            contributions=tuple(shares.values[:, place].tolist()),
            in_place=parts.in_place,
            is_exact=shares.is_exact,
            errors=() if shares.errors is None else tuple(shares.errors[:, place].tolist()),
            values=parts.values,
            spans=parts.spans,
            **fields,
        )
        for place, choice in enumerate(choices)
    ]
