"""Tree supervision: training a network so that its tree decides as well as it does itself."""

from nbdt.losses.functional import LossLayout, class_losses, tree_losses
from nbdt.losses.module import TreeSupervisionLoss
from nbdt.losses.schedules import Constant, Ramp, Schedule

__all__ = [
    "Constant",
    "LossLayout",
    "Ramp",
    "Schedule",
    "TreeSupervisionLoss",
    "class_losses",
    "tree_losses",
]
