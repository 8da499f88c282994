"""`fit`: tunes a classifier to its tree, or trains it without one as a control."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from nbdt.classifiers import weights_device
from nbdt.data.classes import check_own_classes
from nbdt.errors import InputError
from nbdt.files import error_context
from nbdt.model import NBDT
from nbdt.training.checkpoint import data_identity
from nbdt.training.config import TrainingConfig
from nbdt.training.features import cached_features, head_of, unaugmented
from nbdt.training.output import TrainingFolder, summary_writer
from nbdt.training.processes import Processes
from nbdt.training.progress import EpochRecord
from nbdt.training.run import Run, Sources


def fit(
    model: NBDT,
    train: Dataset[Any],
    val: Dataset[Any] | None = None,
    config: TrainingConfig | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    workers: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Trains the model's network in place, on its device (Wan et al., section 3.4).

    After each epoch the network and the tree, under each rule and score, are measured on `val`.
    The model ends in eval mode with the weights of its last epoch (or, with `config.patience`, of
    its best), with the score that the loss trained, and without a temperature, since any was fitted
    to other weights. The result is a record of each epoch, including those before an interruption.

    Under torchrun, with a process group, each process takes its share of every batch. The result is
    what one process would give for the same `batch_size`, except for rounding and for batch norms,
    whose statistics come from a share.

    With a `folder`, every epoch ends with a checkpoint. A training that was killed at any moment
    resumes from the last one with ``resume=True`` and ends with the same weights, to the bit, as
    `TrainingConfig` says of equal trainings. The folder holds ``checkpoint.safetensors``,
    ``log.csv``, ``best`` (the model after the best epoch, where there is `val`) and, at the end,
    ``last`` (the final model); `NBDT.from_pretrained` loads the last two.

    Args:
        train: gives (x, class index) for every index below its length; x is what the network
            takes. Random changes may use the random numbers of torch, numpy and Python. Labels
            outside 0 … C − 1 are refused, including those that torch's losses ignore.
        val: likewise, without random changes. It chooses weights only with `config.patience`, so
            without that it may be the test data.
        config: how to train; by default three epochs of the soft tree supervision loss.
        folder: where checkpoints and the tuned model are kept; None: nowhere.
        workers: additional processes that load samples.

    Raises:
        InputError: the data do not fit the model, it cannot be saved in the folder, the folder
            holds another training, or the loss, a gradient or a weight became NaN or infinite.
        FormatError: the checkpoint is damaged or belongs to another training.

    Example:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> from nbdt.classifiers import induce
        >>> network = torch.nn.Linear(4, 3)
        >>> model = NBDT(network, induce(network, ["cat", "dog", "car"]))
        >>> data = TensorDataset(torch.randn(100, 4), torch.randint(3, (100,)))
        >>> records = fit(model, data, config=TrainingConfig(epochs=2, tree_weight=1))
        >>> [record.epoch for record in records], model.score
        ([1, 2], 'mean')
    """
    config = config or TrainingConfig()
    if not isinstance(model, NBDT) or not isinstance(config, TrainingConfig):
        raise InputError(
            "fit takes an NBDT, which is a network with a tree, and a TrainingConfig; got "
            f"{type(model).__name__} and {type(config).__name__}."
        )
    processes = Processes.current()
    device = weights_device(model.network)
    if device is None:
        raise InputError("the network has no weights to train.")
    if config.patience and val is None:
        raise InputError("patience needs validation data to judge an epoch by; give val.")
    if folder is None and (tensorboard or resume):
        what = "resume reads a checkpoint from" if resume else "tensorboard writes its logs to"
        raise InputError(f"{what} the folder; give one.")
    if tensorboard:
        summary_writer()
    for name, data in (("train", train), ("val", val)):
        if data is not None:
            _check_data(name, data, model)
    if caveat := config.caveat():
        warnings.warn(caveat, UserWarning, stacklevel=2)
    place = None if folder is None else TrainingFolder(Path(folder))
    checkpoint = place.checkpoint(resume=resume) if place else None
    identity = {} if place is None else _identity(train, val, config)
    trained = model
    if config.head_only:
        # Each process computes its own features, and no gradient would synchronize the rest.
        processes.share(model.network)
        trained, train, val = _head_alone(model, train, val, config, workers)
    run = Run(
        trained,
        model,
        Sources(train, val, workers, identity),
        config,
        folder=place if processes.first else None,
        device=device,
        processes=processes,
        tensorboard=tensorboard,
    )
    if place and checkpoint:
        with error_context(place.checkpoint_path):
            run.restore(checkpoint)
    run.train(progress=progress, on_epoch=on_epoch)
    return run.records


def _head_alone(
    model: NBDT, train: Dataset[Any], val: Dataset[Any] | None, config: TrainingConfig, workers: int
) -> tuple[NBDT, Dataset[Any], Dataset[Any] | None]:
    """The head as a model of its own, and the data sets as the features that it reads."""
    size = max(1, config.batch_size // config.accumulate)

    def features(data: Dataset[Any]) -> Dataset[Any]:
        return cached_features(model, data, batch_size=size, workers=workers, seed=config.seed)

    head = NBDT(head_of(model), model.hierarchy, model.score, model.rule)
    return head, features(train), None if val is None else features(val)


def _identity(
    train: Dataset[Any], val: Dataset[Any] | None, config: TrainingConfig
) -> dict[str, Any]:
    """What identifies the data in a checkpoint: training data, and data that choose the weights."""
    found = data_identity(unaugmented(train) if config.head_only else train)
    if config.patience and val is not None:
        found |= {f"validation {name}": value for name, value in data_identity(val).items()}
    return found


def _check_data(name: str, data: Dataset[Any], model: NBDT) -> None:
    if isinstance(data, DataLoader):
        raise InputError(
            f"{name} is a DataLoader, but fit makes batches of config.batch_size itself; pass "
            "loader.dataset, and workers."
        )
    if not hasattr(data, "__len__") or not len(data):
        raise InputError(f"{name} must be a data set with a length of at least 1.")
    check_own_classes(data, model.classes)
