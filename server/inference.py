"""Answers a batch of questions to one model: rows in, plain data out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nbdt.attribution import Attribution, attribute_path
from nbdt.errors import InputError, NBDTError, reason_of
from nbdt.explain import Explanation, FeatureGeometry, Sites, explain_predictions
from nbdt.inputs.base import is_encoding
from nbdt.model import NBDT
from nbdt.rules import RULES, RuleName, is_map
from nbdt.rules.checks import usable_rows
from nbdt.rules.sites import logits_at, size_text
from nbdt.run import forward

# What classifiers raise on rows that they do not take, and on faults of their own.
_REFUSALS = (RuntimeError, ValueError, IndexError, KeyError, TypeError)
# The model may be asked as often as a row has words or columns.
_MOST_PARTS = 1_000
_SAMPLE = re.compile(r"\bsample (\d+)\b")


@dataclass(frozen=True, slots=True)
class Question:
    """What one request, or a part of it, asks of a model; see `ParsedRequest`.

    `rows` are samples of the model's input, or the network's own tensors; `first` is the place of
    the first one in the request; `at` is the site of a map.
    """

    rows: Sequence[Any]
    rule: RuleName
    explain: bool
    attribution: bool = False
    first: int = 0
    at: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to the rows of a question.

    Attributes:
        log_probs: the soft log-probability of each class in nats; shape (rows, C), float32.
        predictions: the predicted class by the question's rule; shape (rows,).
        explanations: one per row, if requested.
        attributions: those of each row's path, if requested.
        notes: what the client should know of its rows.
    """

    log_probs: npt.NDArray[np.float32]
    predictions: npt.NDArray[np.int64]
    explanations: tuple[Explanation, ...]
    attributions: tuple[tuple[Attribution, ...], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[Answer]) -> Answer:
        """The answer to a question that was asked in parts."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.log_probs for part in parts]),
            np.concatenate([part.predictions for part in parts]),
            tuple(one for part in parts for one in part.explanations),
            tuple(one for part in parts for one in part.attributions),
        )


class Inference:
    """Answers batches of questions to one model, which is in eval mode and no longer changes.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> infer = Inference(NBDT(torch.nn.Identity(), tree))
        >>> row = torch.tensor([2.0, 2.0, 2.2])
        >>> soft, hard = infer([Question([row], rule, explain=False) for rule in RULES])
        >>> soft.predictions, hard.predictions
        (array([2]), array([0]))
    """

    def __init__(self, model: NBDT) -> None:
        self.model = model
        self._geometry: FeatureGeometry | None = model.geometry()
        self._known_forms: set[Any] = set()

    def __call__(self, questions: Sequence[Question]) -> list[Answer | Exception]:
        """One answer or error per question; raises if the network refuses rows of this shape."""
        logits, sites = self._logits(questions)
        usable = usable_rows(logits)
        ends = np.cumsum([len(question.rows) for question in questions]).tolist()
        spans = [slice(end - len(q.rows), end) for q, end in zip(questions, ends, strict=True)]
        fine = [bool(usable[span].all()) for span in spans]
        answers: dict[int, Answer | Exception] = {
            index: _unusable(usable[span], questions[index].first)
            for index, span in enumerate(spans)
            if not fine[index]
        }
        for rule in RULES.values():
            asked = [
                index
                for index, question in enumerate(questions)
                if fine[index] and question.rule == rule.name
            ]
            if asked:
                rows = torch.cat([logits[spans[index]] for index in asked])
                some = [questions[index] for index in asked]
                for index, answer in zip(asked, self._answers(rows, some), strict=True):
                    where = sites[spans[index]]
                    answers[index] = self._with_attribution(questions[index], _at(answer, where))
        return [answers[index] for index in range(len(questions))]

    def first_site(self, row: Any) -> tuple[int, ...] | None:
        """The first site of the map that the network gives for a row; None if it gives no map."""
        with torch.inference_mode():
            logits = self._forward([row], _form(row))
        return (0,) * (logits.ndim - 2) if is_map(logits) else None

    def _with_attribution(self, question: Question, answer: Answer) -> Answer | Exception:
        """The answer with what spoke for each decision, if requested.

        That may hook the network's layers, which is safe here: nobody else uses it meanwhile.
        """
        if not question.attribution:
            return answer
        try:
            found = []
            for row, explanation in zip(question.rows, answer.explanations, strict=True):
                self._check_parts(row)
                found.append(tuple(attribute_path(self.model, row, explanation)))
            return replace(answer, attributions=tuple(found))
        except InputError as error:
            return error
        except NBDTError as error:
            return InputError(f"this model gives no attribution: {error}")

    def _check_parts(self, row: Any) -> None:
        reader = self.model.preprocessing
        if isinstance(row, Tensor) or reader is None:
            return
        count = len(reader.parts(row).names)
        if count > _MOST_PARTS:
            raise InputError(
                f"the row has {count:,} parts; attribution is computed of at most {_MOST_PARTS:,}."
            )

    def _logits(self, questions: Sequence[Question]) -> tuple[Tensor, list[Sites | None]]:
        """The logits of all rows, of maps at the questions' sites, and where these are.

        The classifier gets rows of one form together.
        """
        rows = [row for question in questions for row in question.rows]
        asked = [question.at for question in questions for _ in question.rows]
        sites: list[Sites | None] = [None] * len(rows)
        forms: dict[Any, list[int]] = {}
        for index, row in enumerate(rows):
            forms.setdefault(_form(row), []).append(index)
        logits = torch.empty(len(rows), self.model.hierarchy.num_classes)
        with torch.inference_mode():
            for form, places in forms.items():
                names = [questions[0].first + place for place in places]
                some = [rows[place] for place in places]
                try:
                    found = self._forward(some, form)
                    if is_map(found) or any(asked[place] is not None for place in places):
                        for place, one in zip(places, found, strict=True):
                            row, sites[place] = _site(one[None], asked[place])
                            logits[place] = row[0]
                    else:
                        logits[places] = found.float()
                except NBDTError as error:
                    # Only a question that is alone names its row; others are asked again alone.
                    raise InputError(_with_rows(str(error), names)) from error
        return logits, sites

    def _forward(self, rows: list[Any], form: Any) -> Tensor:
        try:
            logits = forward(self.model, _batch(rows))
        except NBDTError:
            raise
        except _REFUSALS as error:
            if form in self._known_forms:
                raise  # neither the shape nor the kind is the cause
            if isinstance(form, torch.Size):
                raise InputError(
                    f"the network does not take a row of shape {tuple(form)}."
                ) from error
            self._find_culprit(rows, form)
            raise
        # Samples such as texts differ in more than their form.
        if isinstance(form, torch.Size):
            self._known_forms.add(form)
        return logits

    def _find_culprit(self, rows: list[Any], form: Any) -> None:
        """Raises the error of the first row that the classifier does not take, if there is one."""
        for place, row in enumerate(rows):
            try:
                forward(self.model, _batch([row]))
            except _REFUSALS as error:
                raise InputError(
                    f"sample {place}: the classifier does not take it: {reason_of(error)}."
                ) from error

    def _answers(self, logits: Tensor, questions: Sequence[Question]) -> Iterator[Answer]:
        """The answers, in order, to questions of one rule with these rows."""
        lengths = [len(question.rows) for question in questions]
        with torch.inference_mode():
            predictions = self.model.predictions(logits, questions[0].rule)
            log_probs, answers = predictions.log_probs.numpy(), predictions.answers
            wanted = torch.tensor([question.explain for question in questions])
            explanations: Iterator[Explanation] = iter(())
            if wanted.any():
                rows = wanted.repeat_interleave(torch.tensor(lengths))
                some = predictions if wanted.all() else predictions.of_rows(rows)
                # As in Python, explanations of maps have no distances.
                geometry = self._geometry if questions[0].at is None else None
                explanations = iter(explain_predictions(some, geometry))
        for question, end in zip(questions, accumulate(lengths), strict=True):
            own = slice(end - len(question.rows), end)
            few = tuple(islice(explanations, len(question.rows))) if question.explain else ()
            yield Answer(log_probs[own], answers[own], few)


def _site(logits: Tensor, at: tuple[int, ...] | None) -> tuple[Tensor, Sites]:
    """The logits at the site of a map, and where that is."""
    shape = tuple(logits.shape[2:])
    if at is None:
        raise InputError(
            f"this model answers {size_text(shape)} sites a row; name one by the native protocol, "
            f"as POST /api/v1/models/MODEL/explain?at={','.join('0' * len(shape))}."
        )
    rows, site = logits_at(logits, at)
    return rows, Sites.one(shape, site)


def _at(answer: Answer, sites: Sequence[Sites | None]) -> Answer:
    """The answer, whose explanations say where in their maps they are."""
    if not answer.explanations or sites[0] is None:
        return answer
    pairs = zip(answer.explanations, sites, strict=True)
    return replace(answer, explanations=tuple(replace(one, sites=site) for one, site in pairs))


def _form(row: Any) -> Any:
    """What rows that are put together have in common: the shapes of tensors, else None."""
    if isinstance(row, Tensor):
        return row.shape
    return tuple((name, row[name].shape) for name in row) if is_encoding(row) else None


def _batch(rows: list[Any]) -> Any:
    """Rows of one form as the model's methods take them."""
    if isinstance(rows[0], Tensor):
        return torch.stack(rows)
    if is_encoding(rows[0]):
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    return rows


def _with_rows(message: str, names: Sequence[int]) -> str:
    """A message on a sample of a batch, as one on a row of the request."""
    return _SAMPLE.sub(lambda found: f"row {names[int(found[1])]}", message, count=1)


def _unusable(usable: Tensor, first: int) -> InputError:
    row = first + (~usable).nonzero()[0, 0].item()
    return InputError(
        f"the network's answer to row {row} holds NaN or infinity; are the numbers in it far too "
        "large?"
    )
