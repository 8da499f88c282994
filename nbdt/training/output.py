"""The folder of one training: what is in it, and what may be put there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from nbdt.errors import InputError, missing
from nbdt.model import NBDT
from nbdt.training.checkpoint import Checkpoint
from nbdt.training.progress import EpochRecord

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"
BEST, LAST = "best", "last"
_TENSORBOARD = "tensorboard"


class TrainingFolder:
    """Checkpoints, logs and tuned models of one training; the folder is made if it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint_path = path / CHECKPOINT
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: the folder cannot be made: {error.strerror}.") from None

    def checkpoint(self, *, resume: bool) -> Checkpoint | None:
        """The last checkpoint, if there is one; without `resume` that is an InputError."""
        if not self.checkpoint_path.exists():
            return None
        if not resume:
            raise InputError(
                f"{self.path}: this folder already holds a training; continue it (resume) or "
                "choose another folder."
            )
        return Checkpoint.load(self.checkpoint_path)

    def clean(self) -> None:
        """Removes the temporary files of writers that were killed."""
        for path in self.path.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        for path in self.path.glob(".*.new"):
            shutil.rmtree(path, ignore_errors=True)

    def try_model(self, model: NBDT) -> None:
        """Saves the model and removes it again, so that a problem shows early."""
        trial = self.path / ".trial.new"
        try:
            model.save_pretrained(trial)
        finally:
            shutil.rmtree(trial, ignore_errors=True)

    def save_tensorboard(self, record: EpochRecord) -> None:
        """Adds an epoch to the logs for TensorBoard."""
        numbers = {"loss": record.loss, "learning rate": record.learning_rate}
        numbers |= {f"accuracy/{way}": share for way, share in record.accuracy.items()}
        # Replaces what an interrupted training logged after its checkpoint.
        with summary_writer()(self.path / _TENSORBOARD, purge_step=record.epoch) as writer:
            for name, number in numbers.items():
                writer.add_scalar(name, number, record.epoch)


def summary_writer() -> Any:
    """The class that writes for TensorBoard, or an error that says how to install it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise missing("tensorboard", "logs", "TensorBoard's log") from None
    return SummaryWriter
