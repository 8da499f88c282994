"""A training that was interrupted ends with the bits of one that was not."""

import json
import shutil
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
)  # fmt: skip


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

    def told(records):
        return [(one.epoch, one.loss, one.accuracy, one.moved) for one in records]

    expected, records = run(Noisy())
    # Within an epoch, at its end, and several times, once without a sample.
    for after in ([10, 10], [21], [1, 26, 9, 0, 13]):
        folder = tmp_path / "-".join(map(str, after))
        for count in after:
            with suppress(EndedError):
                run(Interrupted(count), folder)
        found, again = run(Noisy(), folder)
        assert digest(found) == digest(expected), f"{name}, interrupted after {after} samples"
        assert told(again) == told(records)
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
    # And is not trained again, but what a kill kept from being written is.
    log = (tmp_path / "log.csv").read_bytes()
    (tmp_path / "log.csv").unlink()
    shutil.rmtree(tmp_path / "last")
    # The last checkpoint is written after the log, so that it is never ahead of it.
    (tmp_path / "log.csv").write_bytes(log)
    assert digest(go_on(tmp_path, train=Interrupted(0))) == expected
    assert (tmp_path / "log.csv").read_bytes() == log
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


@pytest.fixture
def folder(tmp_path):
    trained(folder=tmp_path)
    return tmp_path


def rewrite(folder, **changes):
    """Changes entries of the checkpoint's document; None takes one out."""
    loaded = Checkpoint.load(folder / CHECKPOINT)
    gone = {name for name, value in changes.items() if value is None}
    document = {k: v for k, v in {**loaded.document, **changes}.items() if k not in gone}
    Checkpoint(loaded.tensors, document).save(folder / CHECKPOINT)


def test_leftovers_of_killed_writers_are_removed(folder):
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half a checkpoint")
    (folder / ".best.01234567.new").mkdir()
    (folder / ".best.01234567.new" / "model.safetensors").write_bytes(b"half a model")
    (folder / "notes.txt").write_text("mine")
    (folder / ".hidden").write_text("mine, too")
    trained(folder=folder, resume=True)
    names = {path.name for path in folder.iterdir()}
    assert names == {"last", "log.csv", CHECKPOINT, "notes.txt", ".hidden"}


def test_other_conditions_are_told(folder):
    there = Checkpoint.load(folder / CHECKPOINT).document["environment"]
    rewrite(folder, environment={**there, "threads": 64, "torch": "1.0"})
    with pytest.warns(UserWarning, match=r"torch 1\.0 → .*, threads 64 → \d+") as w:
        fit(model(), points(), config=CONFIG, folder=folder, resume=True, progress=False)
    assert w[0].filename == __file__


# ── what is refused ───────────────────────────────────────────────────────────────────────────


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
    (folder / "file").touch()
    with pytest.raises(InputError, match="the folder cannot be made"):
        trained(folder=folder / "file" / "run")


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


def test_checkpoints_of_older_versions_are_accepted(folder):
    config = Checkpoint.load(folder / CHECKPOINT).document["config"]
    old = {name: value for name, value in config.items() if name != "head_multiplier"}
    # It told nothing of its data, and trees that are never rebuilt were to be binary.
    rewrite(folder, config={**old, "branching": 2}, data=None)
    other = CONFIG.replace(head_multiplier=2.0)
    refused(folder, "head_multiplier is 1.0 there, 2.0 here", config=other)
    refused(folder, "samples is 21 there, 20 here", train=points(20))
    assert_same_weights(trained(folder=folder, resume=True), trained())


def test_the_checkpoint_of_other_data_is_refused(folder):
    refused(folder, "samples is 21 there, 20 here", train=points(20))
    noise = TensorDataset(torch.randn(21, 6), points(21).tensors[1])
    for other in (points(21, seed=1), noise):
        refused(folder, "another training: tensors is '[0-9a-f]", train=other)
    # They say nothing of themselves.
    refused(folder, "tensors is '[0-9a-f]+.* there, None here", train=Noisy())


def test_what_validates_has_to_be_the_same_only_where_it_decides(tmp_path):
    own, others = points(9, seed=1), points(9, seed=2)
    trained(folder=tmp_path / "all", val=own)
    trained(folder=tmp_path / "all", val=others, resume=True)
    patient = CONFIG.replace(patience=2)
    trained(patient, folder=tmp_path / "best", val=own)
    refused(tmp_path / "best", "validation tensors is '", config=patient, val=others)


def test_a_tree_that_follows_the_weights_is_that_of_the_checkpoint(tmp_path):
    config = CONFIG.replace(retree_every=1)
    of = trained(config, folder=tmp_path)
    assert of.hierarchy != TREE
    assert digest(trained(config, folder=tmp_path, resume=True)) == digest(of)
    refused(tmp_path, "branching is 2 there, 3 here", config=config.replace(branching=3))
    # A tree without merge heights is followed by a binary one.
    trained(config.replace(branching=2), folder=tmp_path, resume=True)


@pytest.mark.parametrize(("other", "said"), [
    (lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Identity(), nn.Linear(9, 4)),
     r"another network: 0\.bias is torch.float32 of \(8,\) there, torch.float32 of \(9,\) here"),
    (lambda: nn.Linear(6, 4), r"another network: 0\.bias is .* there, missing here"),
    (lambda: network(norm=True), r"another network: 1\.bias is missing there"),
    (lambda: network().double(), r"another network: 0\.bias is torch.float32 .* torch.float64"),
], ids=["wider", "one layer", "norm", "double"])  # fmt: skip
def test_the_checkpoint_of_another_network_is_refused(folder, other, said):
    refused(folder, said, of=NBDT(other(), TREE))


@pytest.mark.parametrize(("parents", "classes", "said"), [
    (TREE.parents, [*CLASSES[:3], "train"], "another training: classes is"),
    ([4, 5, 4, 5, 6, 6, -1], CLASSES, "its tree differs from the model's. Resume with the tree"),
], ids=["classes", "tree"])  # fmt: skip
def test_the_checkpoint_of_another_tree_is_refused(folder, parents, classes, said):
    refused(folder, said, of=NBDT(network(), Hierarchy(parents, classes)))


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


def test_names_of_nodes_are_those_of_the_model_that_goes_on(folder):
    named = Hierarchy(TREE.parents, [*CLASSES, "animal", "vehicle", "thing"])
    of = trained(of=NBDT(network(), named), folder=folder, resume=True)
    assert of.hierarchy == named
    assert NBDT.from_pretrained(folder / "last", network=network()).hierarchy == named


def test_a_damaged_checkpoint_is_refused(folder):
    path = folder / CHECKPOINT
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(folder, "is not a whole safetensors file")
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 4]))
    refused(folder, "damaged")
    path.write_bytes(data)
    loaded = Checkpoint.load(path)
    tensors = {k: v for k, v in loaded.tensors.items() if k != "network.0.weight"}
    Checkpoint(tensors, loaded.document).save(path)
    refused(folder, r"another network: 0\.weight is missing there")


@pytest.mark.parametrize("key", [
    "config", "classes", "samples", "environment", "position", "records", "tree", "best_tree",
    "scaler", "provenance", "data",
])  # fmt: skip
def test_documents_of_other_makers_are_refused(folder, key):
    said = "another training|does not fit|hierarchy|(position|records).*: Input should be"
    for value in (3, "text", [3]):
        rewrite(folder, **{key: value})
        refused(folder, said)
    rewrite(folder, **{key: None})
    if key != "data":  # older versions did not tell them
        refused(folder, "another training|does not fit")


def test_a_checkpoint_holds_no_more_than_it_has_to(folder):
    loaded = Checkpoint.load(folder / CHECKPOINT)
    expected = {f"network.{name}" for name in weights(model())}
    expected |= {f"optimizer.{i}.momentum_buffer" for i in range(4)}
    assert set(loaded.tensors) == expected
    (length,) = struct.unpack("<Q", (folder / CHECKPOINT).read_bytes()[:8])
    assert length < 10_000
    record = EpochRecord(3, 0.1 + 0.2, 1e-5, 1 / 3, 2 / 3, {"network": 1 / 7}, moved=0.0)
    assert validated(EpochRecord, json.loads(json.dumps(record.to_dict()))) == record
