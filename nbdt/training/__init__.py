"""Tuning a network to its tree: the loop, its settings, and checkpoints that survive anything.

The loss, `nbdt.TreeSupervisionLoss`, needs none of this and works in any loop.
"""

from nbdt.training.config import TrainingConfig
from nbdt.training.fit import fit
from nbdt.training.processes import started_by_torchrun
from nbdt.training.progress import EpochRecord

__all__ = ["EpochRecord", "TrainingConfig", "fit", "started_by_torchrun"]
