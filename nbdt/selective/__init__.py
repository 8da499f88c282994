"""Stopping when unsure: "animal" rather than a wrong "cat", with a guarantee.

`SelectiveNBDT` does it for a model, and `nbdt.selective.conformal` has the definitions and the
proof; `is_valid`, `information_kept` and `curve` measure what it is worth, also compared with
conformal sets.
"""

from nbdt.selective.calibration import Calibration, Calibrator, read_calibration
from nbdt.selective.conformal import above_rounding, calibration_scores, stop, superclass, threshold
from nbdt.selective.measures import Curve, curve, information_kept, is_valid
from nbdt.selective.model import SelectiveNBDT

__all__ = [
    "Calibration",
    "Calibrator",
    "Curve",
    "SelectiveNBDT",
    "above_rounding",
    "calibration_scores",
    "curve",
    "information_kept",
    "is_valid",
    "read_calibration",
    "stop",
    "superclass",
    "threshold",
]
