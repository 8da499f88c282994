"""What labelled samples show about how sure a tree is where it is wrong; collected and stored.

A saved model's calibration is ``calibration.json`` in its folder: a `Calibration` and what it was
made of, which is the SHA-256 of the tree's parents and of the weights, the classes, the score, the
temperature and the preprocessing. If one of these has changed, the calibration is refused; other
names of inner nodes do not matter.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

import torch
from jaxtyping import Float, Int
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from nbdt.documents import Document, described
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.evaluation.fitting import fitted_to
from nbdt.files import error_context, read_json, sha256
from nbdt.model import NBDT
from nbdt.pretrained import HIERARCHY, SavedModel, put_beside, read_model
from nbdt.pretrained.folder import BESIDE
from nbdt.rules import SCORES
from nbdt.selective.conformal import calibration_scores, superclass

SCHEMA = "nbdt.calibration/1"
CALIBRATION = "calibration.json"


class Superclass(Document):
    """The calibration samples whose predicted class lies under one child of the root.

    `wrong` are the scores of those whose predicted class is wrong, ascending; the others' are −∞.
    """

    node: int = Field(ge=0)
    samples: int = Field(ge=0)
    wrong: tuple[Annotated[float, Field(ge=0, le=1)], ...]

    @field_validator("wrong")
    @classmethod
    def _at_most_all(cls, wrong: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if len(wrong) > info.data.get("samples", math.inf):
            raise ValueError(f"holds {len(wrong)} scores of {info.data['samples']} samples.")
        return wrong

    @property
    def scores(self) -> Tensor:
        """The calibration score of every sample, ascending; in float64."""
        right = self.samples - len(self.wrong)
        return torch.tensor([-math.inf] * right + list(self.wrong), dtype=torch.float64)


class Calibration(Document):
    """What labelled samples show about how sure a tree is where it is wrong.

    It serves every guarantee that has enough samples. `score` is what a node was worth,
    `fingerprint` the samples' `nbdt.data.samples.Fingerprint`; `superclasses` are the samples'
    scores, separately for each child of the root.
    """

    score: str
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    superclasses: tuple[Superclass, ...]

    @field_validator("score")
    @classmethod
    def _known(cls, score: str) -> str:
        if score not in SCORES:
            raise ValueError(f"must be {' or '.join(SCORES)}, got {described(score)}.")
        return score

    @property
    def samples(self) -> int:
        """How many samples there were."""
        return sum(part.samples for part in self.superclasses)

    @property
    def wrong(self) -> int:
        """How many of them were predicted wrong."""
        return sum(len(part.wrong) for part in self.superclasses)

    @property
    def scores(self) -> Tensor:
        """The calibration score of every sample, in no order that matters; in float64."""
        return torch.cat([part.scores for part in self.superclasses])

    def check_model(self, model: NBDT) -> None:
        """Raises InputError for a model with another tree or score."""
        tree = model.hierarchy
        nodes = tuple(part.node for part in self.superclasses)
        if nodes != tree.children(tree.root) or self.score != model.score:
            raise InputError("the calibration belongs to a model with another tree or score.")

    @classmethod
    def of(
        cls,
        scores: Float[Tensor, " samples"],
        predicted: Int[Tensor, " samples"],
        superclasses: Iterable[int],
        score: str,
        fingerprint: str,
    ) -> Calibration:
        """From the samples' calibration scores, and the child of the root each is predicted under.

        `scores` and `predicted` are as `nbdt.selective.calibration_scores` and
        `nbdt.selective.superclass` give them, `superclasses` the children of the root.
        """
        parts = []
        for node in superclasses:
            own = scores[predicted == node].double()
            wrong = own[own > -math.inf].sort().values.tolist()
            parts.append(Superclass(node=node, samples=len(own), wrong=tuple(wrong)))
        return cls(score=score, fingerprint=fingerprint, superclasses=tuple(parts))

    def to_dict(self) -> dict[str, Any]:
        """The calibration as values that JSON can hold."""
        return {"schema": SCHEMA, **super().to_dict()}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """The calibration that `to_dict` gave."""
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or schema != SCHEMA:
            raise FormatError(f"the schema is {described(schema)}; this version reads {SCHEMA}.")
        return super().from_dict({key: document[key] for key in document if key != "schema"})


class Calibrator:
    """A calibration from logits that are at hand, batch by batch."""

    def __init__(self, model: NBDT) -> None:
        self._model = model
        self._scores = [torch.empty(0, dtype=torch.float64)]
        self._predicted = [torch.empty(0, dtype=torch.long)]

    def update(self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> None:
        """Adds a batch: what `NBDT.logits` gave, and the true classes."""
        predictions = self._model.predictions(logits, labels=labels)
        log_probs, layout = predictions.log_probs, predictions.layout
        true = torch.from_numpy(predictions.labels)
        self._scores.append(calibration_scores(log_probs, true, layout).cpu())
        self._predicted.append(superclass(log_probs, layout).cpu())

    def result(self, fingerprint: str) -> Calibration:
        """What was found so far, in samples of this `nbdt.data.samples.Fingerprint`.

        Raises an error if the model's temperature was fitted to these very samples, in this order.
        """
        if fitted_to(self._model).get("fingerprint") == fingerprint:
            raise InputError(
                "the model's temperature was fitted to these very samples, so they cannot show how "
                "sure it is of others; calibrate with samples that had no part in that."
            )
        tree = self._model.hierarchy
        return Calibration.of(
            torch.cat(self._scores),
            torch.cat(self._predicted),
            tree.children(tree.root),
            self._model.score,
            fingerprint,
        )


def write_calibration(folder: str | os.PathLike[str], calibration: Calibration) -> None:
    """Writes a calibration to the folder of the very model that was calibrated."""
    made_of = _made_of(read_model(folder))
    put_beside(folder, CALIBRATION, {**calibration.to_dict(), "model": made_of})


def read_calibration(folder: str | os.PathLike[str]) -> Calibration:
    """The calibration of a saved model, if it is the very one that was calibrated."""
    saved = read_model(folder)
    path = saved.folder / CALIBRATION
    if CALIBRATION not in saved.config.files:
        raise NotFoundError(
            f"{folder}: this model was not calibrated; give it labeled samples that had no part "
            f"in its training: nbdt calibrate {folder} DATA, or SelectiveNBDT.calibrate."
        )
    document = read_json(path)
    with error_context(path):
        made_of = document.pop("model", None) if isinstance(document, dict) else None
        calibration = Calibration.from_dict(document)
        expected = _made_of(saved)
        if not isinstance(made_of, dict) or made_of.keys() != expected.keys():
            raise FormatError(f"model must say what it was made of: {', '.join(expected)}.")
        changed = [key for key in expected if made_of[key] != expected[key]]
        if changed:
            raise FormatError(
                f"was made for another model: the {' and the '.join(changed)} changed since; "
                f"calibrate it again: nbdt calibrate {folder} DATA."
            )
        children = saved.hierarchy.children(saved.hierarchy.root)
        if tuple(part.node for part in calibration.superclasses) != children:
            raise FormatError("its superclasses are not the children of the tree's root.")
    return calibration


def _made_of(saved: SavedModel) -> dict[str, Any]:
    config = saved.config
    return {
        "tree": sha256(saved.hierarchy.parents.astype("<i8").tobytes()),
        "weights": {
            name: record.sha256
            for name, record in config.files.items()
            if name not in (HIERARCHY, *BESIDE)
        },
        "classes": list(config.classes),
        "score": config.score,
        "temperature": config.temperature.to_dict(),
        "preprocessing": config.preprocessing and config.preprocessing.to_dict(),
    }
