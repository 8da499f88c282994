"""The calibration of a saved model: ``calibration.json``, the fourth file of its folder.

It holds a `Calibration` and what it was made of: the SHA-256 of the tree's parents and of the
weights, the classes, the score, the temperature and the preprocessing. Where one of these is
another now, the calibration is refused; other names of inner nodes do not matter.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from nbdt.errors import FormatError, NotFoundError
from nbdt.files import error_context, is_file, read_json, write_json
from nbdt.pretrained import WEIGHTS, SavedModel, read_model
from nbdt.selective.calibration import Calibration

CALIBRATION = "calibration.json"


def write_calibration(folder: str | os.PathLike[str], calibration: Calibration) -> None:
    """Puts the calibration of a saved model into its folder, in the place of any there.

    Args:
        folder: the folder of the very model that was calibrated.
        calibration: what was found.

    Raises:
        NotFoundError: there is no such folder, or it holds no model.
        FormatError: the model in it is not as it was saved.
        InputError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> from nbdt.hierarchy import Hierarchy
        >>> from nbdt.model import NBDT
        >>> from nbdt.selective.calibration import Superclass
        >>> folder = tempfile.mkdtemp()
        >>> NBDT(nn.Linear(4, 2), Hierarchy([2, 2, -1], ["cat", "dog"])).save_pretrained(folder)
        >>> parts = (Superclass(0, 4, (0.9,)), Superclass(1, 5, ()))
        >>> calibration = Calibration(parts, "logsumexp", "0" * 64)
        >>> write_calibration(folder, calibration)
        >>> read_calibration(folder) == calibration
        True
    """
    made_of = _made_of(read_model(folder))
    write_json(Path(folder) / CALIBRATION, {**calibration.to_dict(), "model": made_of})


def read_calibration(folder: str | os.PathLike[str]) -> Calibration:
    """The calibration of a saved model.

    Raises:
        NotFoundError: there is no such folder, it holds no model, or that was not calibrated.
        FormatError: a file is not valid, or the model is another than the one calibrated.

    Example:
        >>> import tempfile
        >>> read_calibration(tempfile.mkdtemp())
        Traceback (most recent call last):
        nbdt.errors.NotFoundError: ...: this folder holds no model; there is no config.json in it.
    """
    saved = read_model(folder)
    path = Path(folder) / CALIBRATION
    if not is_file(path):
        raise NotFoundError(
            f"{folder}: this model was not calibrated; give it labelled samples that had no part "
            f"in its training: nbdt calibrate {folder} DATA, or SelectiveNBDT.calibrate."
        )
    document = read_json(path)
    with error_context(path):
        made_of = document.pop("model", None) if isinstance(document, dict) else None
        calibration = Calibration.from_dict(document)
        expected = _made_of(saved)
        if not isinstance(made_of, dict) or made_of.keys() != expected.keys():
            raise FormatError(f"model has to say what it was made of: {', '.join(expected)}.")
        changed = [key for key in expected if made_of[key] != expected[key]]
        if changed:
            raise FormatError(
                f"was made for another model: the {' and the '.join(changed)} changed since; "
                f"calibrate it anew: nbdt calibrate {folder} DATA."
            )
        children = saved.hierarchy.children(saved.hierarchy.root)
        if tuple(part.node for part in calibration.superclasses) != children:
            raise FormatError("its superclasses are not the children of the tree's root.")
    return calibration


def _made_of(saved: SavedModel) -> dict[str, Any]:
    """What the calibration of a model depends on."""
    config = saved.config
    parents = saved.hierarchy.parents.astype("<i8").tobytes()
    steps = config.preprocessing and config.preprocessing.to_dict()
    return {
        "tree": hashlib.sha256(parents).hexdigest(),
        "weights": config.files[WEIGHTS].sha256,
        "classes": list(config.classes),
        "score": config.score,
        "temperature": config.temperature.to_dict(),
        "preprocessing": steps,
    }
