"""The folder of a training: its log, its models, and what is told before anything is trained."""

import csv
import sys

import pytest
import torch
from torch.utils.data import Dataset

from nbdt.errors import FormatError, InputError, MissingDependencyError
from nbdt.model import NBDT
from nbdt.training import TrainingConfig, fit
from tests.training.subjects import (
    CONFIG,
    TREE,
    assert_same_weights,
    model,
    network,
    points,
    scripted,
    trained,
    weights,
)  # fmt: skip


def test_the_folder_holds_the_log_and_both_models(tmp_path, monkeypatch):
    scripted(monkeypatch, [0.2, 0.9, 0.4])
    of = model()
    seen = []
    fit(
        of, points(), points(), CONFIG, folder=tmp_path / "new" / "run", progress=False,
        on_epoch=lambda record: seen.append(weights(of)),
    )  # fmt: skip
    folder = tmp_path / "new" / "run"
    names = {path.name for path in folder.iterdir()}
    assert names == {"best", "last", "log.csv", "checkpoint.safetensors"}
    best, last = (
        NBDT.from_pretrained(folder / name, network=network()) for name in ("best", "last")
    )
    assert_same_weights(last, of)
    assert all(torch.equal(value, seen[1][name]) for name, value in weights(best).items())
    assert (best.score, last.score) == ("mean", "mean")
    assert [one.provenance["training"]["epoch"] for one in (best, last)] == [2, 3]
    assert TrainingConfig.from_dict(last.provenance["training"]["config"]) == CONFIG
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["soft_mean"] for row in rows] == ["0.2", "0.9", "0.4"]
    assert {row["moved"] for row in rows} == {""}


def test_a_model_that_cannot_be_saved_is_told_before_it_trains(tmp_path):
    """Data that end the training at the first sample show that none was asked for."""

    class Never(Dataset):
        def __len__(self):
            return 21

        def __getitem__(self, index):
            raise AssertionError("it trains")

    other = NBDT(network(), TREE, builder="nbdt:digits-cnn")
    with pytest.raises(InputError, match="nbdt:digits-cnn does not build this network"):
        trained(of=other, train=Never(), folder=tmp_path)
    unsayable = model()
    unsayable.provenance["when"] = object()
    with pytest.raises(FormatError, match="provenance"):
        trained(of=unsayable, train=Never(), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    trained(of=other)  # nothing is kept, so nothing must be


def test_tensorboard_shows_every_epoch(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    of = model()
    records = fit(of, points(), points(), CONFIG, folder=tmp_path, progress=False, tensorboard=True)
    logs = EventAccumulator(str(tmp_path / "tensorboard"))
    logs.Reload()
    expected = {"loss", "learning rate", *(f"accuracy/{way}" for way in records[0].accuracy)}
    assert set(logs.Tags()["scalars"]) == expected
    found = [(event.step, event.value) for event in logs.Scalars("loss")]
    assert [step for step, _ in found] == [1, 2, 3]
    assert [value for _, value in found] == pytest.approx([record.loss for record in records])


def test_without_tensorboard_it_says_what_to_install_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    of = model()
    with pytest.raises(MissingDependencyError, match=r"pip install '\.\[logs\]'"):
        trained(of=of, folder=tmp_path / "run", tensorboard=True)
    assert_same_weights(of, model())
    assert not (tmp_path / "run").exists()
