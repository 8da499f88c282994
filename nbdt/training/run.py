"""One training from its first step to its last, and what a checkpoint holds of it."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from nbdt.classifiers import eval_mode
from nbdt.data.samples import labelled
from nbdt.documents import validated
from nbdt.errors import FormatError, InputError, NBDTError
from nbdt.evaluation import AccuracyByRule
from nbdt.files import write_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import from_dict, to_dict
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.run import answers, forward
from nbdt.training.checkpoint import Checkpoint, check_same, digest
from nbdt.training.config import TrainingConfig
from nbdt.training.features import frozen_state
from nbdt.training.learner import Learner, branching_of, of_group, rebuild_tree
from nbdt.training.optimization import autocast, learning_rate
from nbdt.training.order import Batches, SeededSamples, derived_seed
from nbdt.training.output import BEST, LAST, LOG, TrainingFolder
from nbdt.training.processes import Processes
from nbdt.training.progress import RULE_SCORES, EpochRecord, OnStep, as_csv, progress_bar


@dataclass(frozen=True)
class Sources:
    """Where samples come from: data sets, loading processes, and the data's identity."""

    train: Dataset[Any]
    val: Dataset[Any] | None
    workers: int
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Position:
    """How far a training is and what it has seen; a checkpoint stores it as it is."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    moved: float | None = None
    best: float = -1.0
    best_epoch: int = 0


class Run:
    """A training: what learns, from what, and how far it is.

    `kept` is the whole model that is saved; `trained` is the part of it whose network is trained:
    all of it, or with `head_only` the head. Only the first process has a `folder`.
    """

    def __init__(
        self,
        trained: NBDT,
        kept: NBDT,
        sources: Sources,
        config: TrainingConfig,
        *,
        folder: TrainingFolder | None,
        device: torch.device,
        processes: Processes,
        tensorboard: bool,
    ) -> None:
        self.trained, self.kept, self.sources = trained, kept, sources
        self.output = folder
        if processes.world > 1:
            # Other processes may have induced theirs from other random weights.
            first = from_dict(processes.from_first(to_dict(kept.hierarchy)))
            for model in (trained, kept):
                model.hierarchy = first
        if config.retree_every:
            # Once, or each tree could become narrower than the one before.
            config = config.replace(branching=branching_of(config, kept.hierarchy))
        self.config = config
        self.device, self.processes, self.tensorboard = device, processes, tensorboard
        self.learner = Learner(trained, config, device, processes)
        self.frozen = digest(frozen_state(kept)) if config.head_only else None
        self.batches = Batches(
            len(sources.train),  # type: ignore[arg-type]
            config.batch_size,
            config.seed,
            parts=config.accumulate,
            rank=processes.rank,
            world=processes.world,
        )
        self.position = Position()
        self.records: list[EpochRecord] = []
        self.best_weights: dict[str, Tensor] = {}
        self.best_tree: Hierarchy | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience has run out."""
        at, patience = self.position, self.config.patience or math.inf
        return at.epoch >= self.config.epochs or at.epoch - at.best_epoch >= patience

    def train(
        self, *, progress: bool = True, on_epoch: Callable[[EpochRecord], None] | None = None
    ) -> None:
        """Takes all remaining steps; then the model is in eval mode, and saved."""
        if self.config.supervises_tree:
            self.trained.score = self.kept.score = self.config.score
        # It was fitted to the weights before training.
        self.trained.temperature = self.kept.temperature = Temperature()
        if self.output:
            self.output.clean()
            if not self.finished:
                self.output.try_model(self.kept)
        # Seeding torch seeds all of them.
        gpus = range(torch.cuda.device_count())
        shown = progress and self.processes.first
        with (
            torch.random.fork_rng(gpus),
            _deterministic(self.config.deterministic),
            progress_bar(self.config.epochs, len(self.batches), shown=shown) as on_step,
        ):
            loader = self._loader()
            try:
                while not self.finished:
                    self._train_epoch(loader, on_step)
                    self._end_epoch()
                    if on_epoch and self.processes.first:
                        on_epoch(self.records[-1])
            finally:
                self.kept.eval()
        self.learner.keep(self.best_weights or None)
        if self.best_tree is not None:
            self._set_tree(self.best_tree)
            self._sign(self.records[self.position.best_epoch - 1])
        if self.output:
            self.kept.save_pretrained(self.output.path / LAST)

    def _loader(self) -> DataLoader[Any]:
        workers = self.sources.workers
        return DataLoader(
            SeededSamples(self.sources.train, self.config.seed),
            batch_sampler=self.batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
            # With its own generator, it takes no numbers from dropout's.
            generator=torch.Generator(),
        )

    def _train_epoch(self, loader: DataLoader[Any], on_step: OnStep) -> None:
        at, config, steps = self.position, self.config, len(self.batches)
        if config.supervises_tree and at.step == 0 and at.epoch > 0:
            self._rebuild_tree_if_due(at.epoch)
        self.learner.train_mode()
        self.batches.epoch, self.batches.start = at.epoch, at.step
        samples, start, before = map(labelled, loader), time.perf_counter(), at.seconds
        for size in self.batches.sizes[at.step :]:
            # Dropout then depends on where training is, and not on how it got there.
            torch.manual_seed(derived_seed(config.seed, at.epoch, at.step, self.processes.rank))
            try:
                loss = self.learner.step(
                    (
                        (*next(samples), self.batches.share(size, part) / size)
                        for part in range(config.accumulate)
                    ),
                    rate=learning_rate(config, at.epoch * steps + at.step, steps),
                    progress=(at.epoch + at.step / steps) / config.epochs,
                )
            except InputError as error:
                raise InputError(f"epoch {at.epoch + 1}, step {at.step + 1}: {error}") from None
            at.step += 1
            at.loss_sum += loss * size
            at.samples += size
            at.seconds = before + time.perf_counter() - start
            on_step(at.epoch + 1, at.step, loss, at.samples / at.seconds)
            if config.checkpoint_every and at.step % config.checkpoint_every == 0:
                self._check_weights()
                self._save_checkpoint()
        self._check_weights()

    def _check_weights(self) -> None:
        """Called before weights are measured or kept, so that no checkpoint holds NaN."""
        if not self.learner.is_finite():
            at = self.position
            raise InputError(
                f"epoch {at.epoch + 1}, step {at.step}: weights became NaN or infinite; lower the "
                "learning rate or the tree's weight, or set clip_norm."
            )

    def _rebuild_tree_if_due(self, epochs: int) -> None:
        if self.config.retree_every and epochs % self.config.retree_every == 0:
            self.position.moved = rebuild_tree(self.kept, self.config)
            self._set_tree(self.kept.hierarchy)

    def _set_tree(self, tree: Hierarchy) -> None:
        for model in (self.trained, self.kept):
            model.hierarchy = tree
        self.learner.set_tree()

    def _end_epoch(self) -> None:
        at, steps = self.position, len(self.batches)
        with self.learner.measured_weights():
            if not self.config.supervises_tree:
                # No epoch trains with the tree, so it can follow the weights that are measured.
                self._rebuild_tree_if_due(at.epoch + 1)
            accuracy = self._accuracy()
            record = EpochRecord(
                epoch=at.epoch + 1,
                loss=at.loss_sum / at.samples,
                learning_rate=learning_rate(self.config, (at.epoch + 1) * steps - 1, steps),
                seconds=at.seconds,
                images_per_second=at.samples / at.seconds,
                accuracy=accuracy,
                moved=at.moved,
            )
            self.records.append(record)
            reached = accuracy.get(self._criterion, -1.0)
            better = reached > at.best
            self._sign(record)
            if better and self.config.patience:
                self.best_weights = self.learner.weights()
                self.best_tree = self.kept.hierarchy
            if better and self.output:
                self.kept.save_pretrained(self.output.path / BEST)
        self.position = Position(
            epoch=record.epoch,
            best=max(at.best, reached),
            best_epoch=record.epoch if better else at.best_epoch,
        )
        # The checkpoint last: a resumed training writes again whatever comes before it.
        if self.output:
            write_text(self.output.path / LOG, as_csv(self.records))
            if self.tensorboard:
                self.output.save_tensorboard(record)
        self._save_checkpoint()

    def _sign(self, record: EpochRecord) -> None:
        """Notes in the model how it was trained, and its accuracy then."""
        self.kept.provenance["training"] = {
            "config": self.config.to_dict(),
            "epoch": record.epoch,
            "accuracy": dict(record.accuracy),
        }

    @property
    def _criterion(self) -> str:
        """The accuracy that decides which epoch is best: the one that the loss trains."""
        config = self.config
        return f"{config.loss} {config.score}" if config.supervises_tree else "network"

    def _accuracy(self) -> dict[str, float]:
        """The share of correct answers; each process measures its part of the samples."""
        val, processes = self.sources.val, self.processes
        if val is None:
            return {}
        # Each process has batch norm statistics of its own samples.
        processes.share(self.trained.network)
        own = Subset(val, range(processes.rank, len(val), processes.world))  # type: ignore[arg-type]
        counted = AccuracyByRule(self.trained.hierarchy)
        size = max(1, self.config.batch_size // self.config.accumulate)
        loader = DataLoader(own, size, num_workers=self.sources.workers)
        with eval_mode(self.trained) as still, autocast(self.learner.dtype, self.device):
            for block in answers(still, loader, rows=1, forward=_in_float32):
                counted.update(self.trained.predictions(block.logits, labels=block.labels))
        rows = counted.compute().rows if len(own) else ()
        right = [row.correct for row in rows] or [0] * len(RULE_SCORES)
        *counts, samples = processes.totals([*right, len(own)], self.device)
        return {way: count / samples for way, count in zip(RULE_SCORES, counts, strict=True)}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues where a checkpoint was made; nothing is used of one that belongs elsewhere."""
        try:
            self._restore(checkpoint)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, NBDTError):
                raise
            raise FormatError(f"it does not fit this version of nbdt: {error}") from None

    def _save_checkpoint(self) -> None:
        if self.output is None:
            return
        best = {f"best.{name}": value for name, value in self.best_weights.items()}
        document = {
            **self._identity(),
            "environment": self._environment(),
            "position": vars(self.position),
            "records": [record.to_dict() for record in self.records],
            "tree": to_dict(self.kept.hierarchy),
            "best_tree": None if self.best_tree is None else to_dict(self.best_tree),
            "scaler": self.learner.scaler.state_dict(),
            "provenance": self.kept.provenance,
        }
        checkpoint = Checkpoint(self.learner.tensors() | best, document)
        checkpoint.save(self.output.checkpoint_path)

    def _restore(self, checkpoint: Checkpoint) -> None:
        document = checkpoint.document
        check_same(document, self._identity())
        # All of it is read before any of it is used.
        tree, best = from_dict(document["tree"]), document["best_tree"]
        best_tree = None if best is None else from_dict(best)
        position = _part(document, "position", Position)
        records = _part(document, "records", list[EpochRecord])
        provenance, environment = dict(document["provenance"]), dict(document["environment"])
        scaler = dict(document["scaler"])
        if self.config.retree_every is None:
            # Without rebuilding, the tree is not a result of training but what it started with.
            own = self.kept.hierarchy
            if not np.array_equal(tree.parents, own.parents):
                raise FormatError(
                    "it is the checkpoint of another training: its tree differs from the model's. "
                    "Resume with the tree that it started with, or start in another folder."
                )
            tree, best_tree = own, None if best is None else own
        self.learner.load(checkpoint.tensors)
        self.learner.scaler.load_state_dict(scaler)
        self._set_tree(tree)
        self.best_tree, self.best_weights = best_tree, of_group(checkpoint.tensors, "best")
        self.position, self.records, self.kept.provenance = position, records, provenance
        self._warn_of_changes(environment)

    def _warn_of_changes(self, there: Mapping[str, Any]) -> None:
        here = self._environment()
        changed = [name for name in here if there.get(name) != here[name]]
        if changed:
            changes = ", ".join(f"{name} {there.get(name)} → {here[name]}" for name in changed)
            warnings.warn(
                f"the training started under other conditions ({changes}), so its weights may "
                "differ in their last bits.",
                stacklevel=5,
            )

    def _identity(self) -> dict[str, Any]:
        """What has to agree for a training to be the same."""
        own = {
            "config": self.config.to_dict(),
            "classes": list(self.trained.classes),
            "samples": self.batches.samples,
            "data": dict(self.sources.identity),
        }
        return own if self.frozen is None else {**own, "backbone": self.frozen}

    def _environment(self) -> dict[str, Any]:
        """What else the last bits of a weight depend on."""
        return {
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
            "processes": self.processes.world,
            "device": self.device.type,
        }


def _part(document: Mapping[str, Any], key: str, kind: Any) -> Any:
    """One key of a checkpoint's document; a complaint names the key."""
    return validated(dict[str, kind], {key: document[key]})[key]


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error" if wanted else before)
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def _in_float32(model: NBDT, inputs: Any) -> Tensor:
    return forward(model, inputs).float()
