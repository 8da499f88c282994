"""Whether images had a part in making a model, as far as its folder says.

What images say of a model is worth something only where they had none: in its training, and where
it is calibrated, in its temperature.
"""

from __future__ import annotations

from typing import Any

from nbdt.cli.labelled import Part
from nbdt.data.loading import place_of, training_split
from nbdt.errors import InputError, NBDTError
from nbdt.model import NBDT
from nbdt.selective.calibration import fitted_to


def check_untrained(model: NBDT, data: str) -> None:
    """Refuses the images that the model was trained on.

    Args:
        model: the model; its provenance names what it was trained on, if it is known.
        data: a folder or a data set's name, of which the test images are meant.

    Raises:
        InputError: they are the same.
    """
    if is_trained_on(model, data):
        raise InputError(
            f"{data}: the model was trained on images of this place, so it is surer of them than "
            "of others; give images that had no part in that. (If these are others, which took "
            "their place, call their folder otherwise.)"
        )


def is_trained_on(model: NBDT, data: str) -> bool:
    """Whether the model was trained on these images, as far as it says."""
    return _is_same(model.provenance.get("data"), data, training=True)


def check_unfitted(model: NBDT, data: str, part: str | None) -> None:
    """Refuses images that the model's temperature was fitted to, or some of them were.

    Args:
        model: the model; its provenance says what its temperature was fitted to.
        data: a folder or a data set's name, of which the test images are meant.
        part: a part of them; None for all.

    Raises:
        InputError: some are the same.
    """
    fitted = fitted_to(model)
    if not _is_same(fitted.get("data"), data) or _are_apart(fitted.get("part"), part):
        return
    raise InputError(
        f"{data}: the model's temperature was fitted to these images, or to some of them; give "
        "others, or share them out: nbdt evaluate --fit-temperature with --part 1/2, then nbdt "
        "calibrate with --part 2/2."
    )


def _is_same(named: Any, data: str, *, training: bool = False) -> bool:
    """Whether a model's folder names these images. What it says may come from a stranger."""
    if not isinstance(named, str):
        return False
    try:
        return place_of(named, training_split(named) if training else "test") == place_of(data)
    except NBDTError:
        # There is no such data set here, or no more.
        return False


def _are_apart(one: Any, other: str | None) -> bool:
    if not isinstance(one, str) or other is None:
        return False
    try:
        return Part.parse(one).is_apart(Part.parse(other))
    except InputError:
        return False
