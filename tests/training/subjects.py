"""What is trained in these tests: networks and data so small that a training takes a moment."""

import hashlib
import multiprocessing
import warnings

import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import Dataset, TensorDataset

from nbdt.classifiers import build
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.training import TrainingConfig, fit
from nbdt.training import run as run_module
from nbdt.training.optimization import learning_rate
from nbdt.training.order import Batches

# Forked from a server that has imported everything, so each process starts at once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])

CLASSES = ("cat", "dog", "car", "bus")
TREE = Hierarchy([4, 4, 5, 5, 6, 6, -1], CLASSES)
CONFIG = TrainingConfig(epochs=3, batch_size=8, learning_rate=0.1, tree_weight=1.0)


def network(seed=0, *, dropout=0.0, norm=False):
    """Six numbers in, four classes out; without dropout and norm it is deterministic."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = [nn.Linear(6, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Dropout(dropout), nn.Linear(8, 4))


def model(seed=0, *, dropout=0.0, norm=False):
    return NBDT(network(seed, dropout=dropout, norm=norm), TREE)


def points(count=21, seed=0):
    """Points around one centre a class; 21 at a batch size of 8 make a last batch of five."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    centres = torch.eye(6)[:4] * 2
    return TensorDataset(centres[labels] + torch.randn(count, 6, generator=generator), labels)


class Noisy(Dataset):
    """The same points with noise of torch's generator, as random changes of images are made."""

    def __init__(self, count=21):
        self.points = points(count)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        x, y = self.points[index]
        return x + 0.1 * torch.randn(6), y


def weights(of):
    return {name: value.clone() for name, value in of.network.state_dict().items()}


def digest(of):
    """The SHA-256 of all weights and of the tree."""
    found = hashlib.sha256(repr(of.hierarchy.parents.tolist()).encode())
    for name, value in sorted(of.network.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def assert_same_weights(one, other, *, atol=0.0):
    assert weights(one).keys() == weights(other).keys()
    for name, value in weights(one).items():
        torch.testing.assert_close(value, weights(other)[name], rtol=0, atol=atol, msg=name)


def trained(config=CONFIG, of=None, **settings):
    """A model after `fit` with these settings, quietly."""
    of = of or model()
    fit(of, settings.pop("train", points()), settings.pop("val", None), config,
        progress=False, **settings)  # fmt: skip
    return of


THOROUGH = CONFIG.replace(
    epochs=4, optimizer="adamw", learning_rate=0.01, average=0.8, retree_every=1,
    checkpoint_every=2, accumulate=2, warmup=0.5, clip_norm=1.0, patience=3,
)  # fmt: skip
"""Under these settings nearly everything has a state that a checkpoint must hold."""


def go_on(folder, *, train=None):
    """A training under `THOROUGH`, from where the last one in this folder ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that this process has other threads
        return trained(
            THOROUGH, model(dropout=0.2, norm=True), train=train or Noisy(),
            val=points(9, seed=1), folder=folder, resume=folder is not None,
        )  # fmt: skip


def by_hand(config, of, data, loss_of, after_step=lambda of: None):
    """The same training as an ordinary loop: one process, no parts, no folder."""
    of.train()
    x, y = data.tensors
    decay = [p for p in of.parameters() if p.ndim > 1]
    rest = [p for p in of.parameters() if p.ndim <= 1]
    optimizer = SGD(
        [{"params": decay, "weight_decay": config.weight_decay}, {"params": rest}],
        lr=config.learning_rate, momentum=config.momentum,
    )  # fmt: skip
    batches = Batches(len(data), config.batch_size, config.seed)
    steps = len(batches)
    losses = []
    for epoch in range(config.epochs):
        batches.epoch = epoch
        for step, batch in enumerate(batches):
            index = torch.tensor([index for _, index in batch])
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, epoch * steps + step, steps)
            optimizer.zero_grad()
            loss = loss_of(of(x[index]), y[index], (epoch + step / steps) / config.epochs)
            loss.backward()
            optimizer.step()
            after_step(of)
            losses.append((loss.item(), len(index)))
    return losses


def scripted(monkeypatch, values, watch=lambda run: None):
    """Lets the validation accuracies be these, one an epoch."""
    left = iter(values)

    def accuracy(run):
        watch(run)
        value = next(left)
        return dict.fromkeys(("network", "soft mean", "hard mean"), value)

    monkeypatch.setattr(run_module.Run, "_accuracy", accuracy)


def convolutional():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NBDT(build("nbdt:digits-cnn", num_classes=4, in_channels=1), TREE)
