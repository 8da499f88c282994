"""A training that was interrupted ends with the bits of one that was not."""

import json
import os
import struct
from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from nbdt.documents import validated
from nbdt.errors import FormatError, InputError
from nbdt.hierarchy import Hierarchy
from nbdt.losses import Ramp
from nbdt.model import NBDT
from nbdt.training import EpochRecord, fit
from nbdt.training.checkpoint import Checkpoint
from nbdt.training.output import CHECKPOINT
from tests.training.subjects import (
    CLASSES,
    CONFIG,
    THOROUGH,
    TREE,
    Noisy,
    assert_same_weights,
    digest,
    go_on,
    model,
    network,
    points,
    trained,
    weights,
)


class EndedError(Exception):
    """What ends a training in these tests, as Ctrl+C would."""


class Interrupted(Noisy):
    """Data that end the training when so many samples were asked for."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def __getitem__(self, index):
        if self.left == 0:
            raise EndedError
        self.left -= 1
        return super().__getitem__(index)


SETTINGS = {
    "plain": {},
    "control": {"loss": "cross_entropy"},
    "hard, ramp": {"loss": "hard", "tree_weight": Ramp(0, 2)},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01},
    "average": {"average": 0.7},
    "often": {"checkpoint_every": 1},
    "parts": {"accumulate": 2, "checkpoint_every": 2},
    "new trees": {"retree_every": 1, "checkpoint_every": 2},
    "patience": {"patience": 1, "average": 0.5, "epochs": 6},
    "frozen": {"frozen_norms": True, "schedule": "one_cycle"},
    "fast head": {"head_multiplier": 5.0, "optimizer": "adamw", "learning_rate": 0.01},
    "float16": {"precision": "float16", "checkpoint_every": 1},
    "head": {"head_only": True, "checkpoint_every": 1},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_on_wherever_it_was_interrupted(name, tmp_path):
    config = CONFIG.replace(**SETTINGS[name])

    def run(train, folder=None):
        of = model(dropout=0.2, norm=True)
        records = fit(
            of, train, points(9, seed=1), config, folder=folder, resume=folder is not None,
            progress=False,
        )  # fmt: skip
        return of, records

    expected, records = run(Noisy())
    told = [(record.epoch, record.loss, record.accuracy, record.moved) for record in records]
    # A sample, a step, an epoch and more: once each, and all of them one after the other.
    for after in ([5], [10, 10], [21], [1, 26, 9, 0, 13]):
        folder = tmp_path / "-".join(map(str, after))
        for count in after:
            with suppress(EndedError):
                run(Interrupted(count), folder)
        found, again = run(Noisy(), folder)
        assert digest(found) == digest(expected), f"{name}, interrupted after {after} samples"
        assert [(one.epoch, one.loss, one.accuracy, one.moved) for one in again] == told
        assert found.provenance == expected.provenance
        assert (folder / "log.csv").read_text().count("\n") == len(records) + 1
        last = NBDT.from_pretrained(folder / "last", network=network(dropout=0.2, norm=True))
        assert digest(last) == digest(expected)


def test_everything_at_once_goes_on(tmp_path):
    expected = digest(go_on(None))
    for count in (3, 12, 20, 30, 21):
        with pytest.raises(EndedError):
            go_on(tmp_path, train=Interrupted(count))
    assert digest(go_on(tmp_path)) == expected


def test_a_finished_training_is_not_trained_again(tmp_path):
    first = go_on(tmp_path)
    log = (tmp_path / "log.csv").read_bytes()
    assert digest(go_on(tmp_path, train=Interrupted(0))) == digest(first)
    assert (tmp_path / "log.csv").read_bytes() == log


def test_what_a_kill_kept_from_being_written_is_written(tmp_path):
    go_on(tmp_path)
    log = (tmp_path / "log.csv").read_text()
    for name in ("log.csv", "last/config.json", "last/hierarchy.json", "last/model.safetensors"):
        (tmp_path / name).unlink()
    # The last checkpoint is written after the log, so that it is never ahead of it.
    (tmp_path / "log.csv").write_text(log)
    os.utime(tmp_path / "log.csv", (1, 1))
    go_on(tmp_path)
    assert (tmp_path / "last" / "config.json").exists()


def test_the_log_is_written_before_the_checkpoint_of_its_epoch(tmp_path, monkeypatch):
    seen = []

    def noted(self, path):
        epoch = self.document["position"]["epoch"]
        lines = (tmp_path / "log.csv").read_text().count("\n") - 1 if epoch else 0
        seen.append((epoch, lines))

    monkeypatch.setattr(Checkpoint, "save", noted)
    trained(folder=tmp_path)
    assert seen == [(1, 1), (2, 2), (3, 3)]


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    trained(folder=tmp_path)
    (tmp_path / ".0123456789abcdef.tmp").write_bytes(b"half a checkpoint")
    (tmp_path / ".best.01234567.new").mkdir()
    (tmp_path / ".best.01234567.new" / "model.safetensors").write_bytes(b"half a model")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".hidden").write_text("mine, too")
    trained(folder=tmp_path, resume=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"last", "log.csv", CHECKPOINT, "notes.txt", ".hidden"}


def test_other_conditions_are_told(tmp_path):
    trained(folder=tmp_path)
    loaded = Checkpoint.load(tmp_path / CHECKPOINT)
    there = {**loaded.document["environment"], "threads": 64, "torch": "1.0"}
    Checkpoint(loaded.tensors, {**loaded.document, "environment": there}).save(
        tmp_path / CHECKPOINT
    )
    with pytest.warns(UserWarning, match=r"torch 1\.0 → .*, threads 64 → \d+") as w:
        fit(model(), points(), config=CONFIG, folder=tmp_path, resume=True, progress=False)
    assert w[0].filename == __file__


# ── what is refused ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path):
    trained(folder=tmp_path)
    return tmp_path


def refused(folder, said, error=FormatError, of=None, **settings):
    """The training is refused; the model and everything in the folder are as they were."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    of = of or model()
    state, tree, score = weights(of), of.hierarchy, of.score
    with pytest.raises(error, match=said) as caught:
        trained(settings.pop("config", CONFIG), of, folder=folder, resume=True, **settings)
    assert str(caught.value).startswith(str(folder / CHECKPOINT))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert all(torch.equal(value, state[name]) for name, value in weights(of).items())
    assert (of.hierarchy, of.score) == (tree, score)


def test_a_folder_with_a_training_is_not_begun_anew(folder):
    before = (folder / CHECKPOINT).read_bytes()
    with pytest.raises(InputError, match="already holds a training; continue it"):
        trained(folder=folder)
    # Told before features are computed, which takes long.
    with pytest.raises(InputError, match="already holds a training"):
        trained(CONFIG.replace(head_only=True), folder=folder, train=Interrupted(0))
    assert (folder / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("change", [
    {"epochs": 4}, {"seed": 1}, {"tree_weight": 2.0}, {"batch_size": 4}, {"loss": "hard"},
    {"head_multiplier": 2.0},
], ids=str)  # fmt: skip
def test_the_checkpoint_of_another_config_is_refused(folder, change):
    ((name, value),) = change.items()
    was = getattr(CONFIG, name)
    said = f"another training: {name} is {was!r} there, {value!r} here"
    refused(folder, said, config=CONFIG.replace(**change))


def test_of_many_differences_some_are_told(folder):
    changes = {"epochs": 4, "batch_size": 4, "loss": "hard", "momentum": 0.5, "seed": 1}
    said = "momentum is 0.9 there, 0.5 here; and 1 more.$"
    refused(folder, said, config=CONFIG.replace(**changes))


def test_a_setting_that_the_checkpoint_does_not_know_was_what_it_is_by_default(folder):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    config = {k: v for k, v in loaded.document["config"].items() if k != "head_multiplier"}
    Checkpoint(loaded.tensors, {**loaded.document, "config": config}).save(folder / CHECKPOINT)
    said = "head_multiplier is 1.0 there, 2.0 here"
    refused(folder, said, config=CONFIG.replace(head_multiplier=2.0))
    assert_same_weights(trained(folder=folder, resume=True), trained())


def test_the_checkpoint_of_other_data_is_refused(folder):
    refused(folder, "samples is 21 there, 20 here", train=points(20))
    refused(folder, "another training: tensors is '[0-9a-f]", train=points(21, seed=1))
    noise = TensorDataset(torch.randn(21, 6), points(21).tensors[1])
    refused(folder, "another training: tensors is '[0-9a-f]", train=noise)
    # They say nothing of themselves.
    refused(folder, "tensors is '[0-9a-f]+.* there, None here", train=Noisy())


def test_what_validates_has_to_be_the_same_only_where_it_decides(tmp_path):
    others = points(9, seed=2)
    trained(folder=tmp_path / "all", val=points(9, seed=1))
    trained(folder=tmp_path / "all", val=others, resume=True)
    patient = CONFIG.replace(patience=2)
    trained(patient, folder=tmp_path / "best", val=points(9, seed=1))
    refused(tmp_path / "best", "validation tensors is '", config=patient, val=others)


def test_a_checkpoint_of_a_version_that_did_not_tell_its_data_is_accepted(folder):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    document = {name: value for name, value in loaded.document.items() if name != "data"}
    Checkpoint(loaded.tensors, document).save(folder / CHECKPOINT)
    assert_same_weights(trained(folder=folder, resume=True), trained())
    refused(folder, "samples is 21 there, 20 here", train=points(20))


def test_settings_of_trees_that_are_never_rebuilt_are_of_no_account(folder):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    config = {**loaded.document["config"], "branching": 2}  # as it was by default, once
    Checkpoint(loaded.tensors, {**loaded.document, "config": config}).save(folder / CHECKPOINT)
    assert_same_weights(trained(folder=folder, resume=True), trained())


def test_trees_that_are_rebuilt_otherwise_are_another_training(tmp_path):
    config = CONFIG.replace(retree_every=1)
    trained(config, folder=tmp_path)
    refused(tmp_path, "branching is 2 there, 3 here", config=config.replace(branching=3))
    # A tree without merge heights is followed by a binary one.
    trained(config.replace(branching=2), folder=tmp_path, resume=True)


def test_the_checkpoint_of_other_classes_is_refused(folder):
    tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], [*CLASSES[:3], "train"])
    refused(folder, "another training: classes is", of=NBDT(network(), tree))


@pytest.mark.parametrize(("other", "said"), [
    (lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Identity(), nn.Linear(9, 4)),
     r"another network: 0\.bias is torch.float32 of \(8,\) there, torch.float32 of \(9,\) here"),
    (lambda: nn.Linear(6, 4), r"another network: 0\.bias is .* there, missing here"),
    (lambda: network(norm=True), r"another network: 1\.bias is missing there"),
    (lambda: network().double(), r"another network: 0\.bias is torch.float32 .* torch.float64"),
], ids=["wider", "one layer", "norm", "double"])  # fmt: skip
def test_the_checkpoint_of_another_network_is_refused_and_the_network_left_alone(
    folder, other, said
):
    refused(folder, said, of=NBDT(other(), TREE))


def test_the_checkpoint_of_a_head_on_another_backbone_is_refused(tmp_path):
    config = CONFIG.replace(head_only=True)
    of = trained(config, model(norm=True), folder=tmp_path)
    # Whatever the head is: it is what is trained.
    again = model(norm=True)
    torch.nn.init.zeros_(again.network[4].weight)
    assert_same_weights(trained(config, again, folder=tmp_path, resume=True), of)
    for name in ("0.weight", "1.running_var"):
        other = model(norm=True)
        other.network.state_dict()[name].view(-1)[0] += 1e-6
        refused(tmp_path, "another training: backbone is '[0-9a-f]{59}", of=other, config=config)


def test_the_checkpoint_of_a_training_with_another_tree_is_refused(folder):
    other = NBDT(network(), Hierarchy([4, 5, 4, 5, 6, 6, -1], CLASSES))
    refused(folder, "its tree differs from the model's. Resume with the tree that", of=other)


def test_names_of_nodes_are_those_of_the_model_that_goes_on(folder):
    named = Hierarchy([4, 4, 5, 5, 6, 6, -1], [*CLASSES, "animal", "vehicle", "thing"])
    of = trained(of=NBDT(network(), named), folder=folder, resume=True)
    assert of.hierarchy == named
    assert NBDT.from_pretrained(folder / "last", network=network()).hierarchy == named


def test_a_tree_that_follows_the_weights_is_that_of_the_checkpoint(tmp_path):
    config = CONFIG.replace(retree_every=1)
    of = trained(config, folder=tmp_path)
    assert of.hierarchy != TREE
    assert digest(trained(config, folder=tmp_path, resume=True)) == digest(of)


def test_a_damaged_checkpoint_is_refused(folder):
    path = folder / CHECKPOINT
    data = path.read_bytes()
    for place in (3, 100, len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 4
        path.write_bytes(changed)
        refused(folder, "damaged|whole|schema")
    for length in (0, 1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        refused(folder, "is not a whole safetensors file")
    path.write_bytes(data)
    trained(folder=folder, resume=True)


@pytest.mark.parametrize("key", [
    "config", "classes", "samples", "environment", "position", "records", "tree", "best_tree",
    "scaler", "provenance", "data",
])  # fmt: skip
def test_documents_of_other_makers_are_refused(folder, key):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    document = {name: value for name, value in loaded.document.items() if name != key}
    Checkpoint(loaded.tensors, document).save(folder / CHECKPOINT)
    if key != "data":  # older versions did not tell them
        refused(folder, "another training|does not fit")
    for value in (3, "text", [3]):
        Checkpoint(loaded.tensors, {**document, key: value}).save(folder / CHECKPOINT)
        refused(
            folder, "another training|does not fit|hierarchy|(position|records).*: Input should be"
        )


def test_checkpoints_that_lack_a_weight_are_refused(folder):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    tensors = dict(loaded.tensors)
    del tensors["network.0.weight"]
    Checkpoint(tensors, loaded.document).save(folder / CHECKPOINT)
    refused(folder, r"another network: 0\.weight is missing there")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the folder cannot be made"):
        trained(folder=tmp_path / "file" / "run")


def test_records_are_kept_exactly():
    record = EpochRecord(3, 0.1 + 0.2, 1e-5, 1 / 3, 2 / 3, {"network": 1 / 7}, moved=0.0)
    assert validated(EpochRecord, json.loads(json.dumps(record.to_dict()))) == record


def test_a_checkpoint_holds_no_more_than_it_has_to(folder):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    expected = {f"network.{name}" for name in weights(model())}
    expected |= {f"optimizer.{i}.momentum_buffer" for i in range(4)}
    assert set(loaded.tensors) == expected
    (length,) = struct.unpack("<Q", (folder / CHECKPOINT).read_bytes()[:8])
    assert length < 10_000
    assert_same_weights(trained(folder=folder, resume=True), trained())
    assert THOROUGH != CONFIG
