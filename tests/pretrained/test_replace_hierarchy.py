from pathlib import Path

import pytest
import torch
from torch import nn

from nbdt.classifiers import build
from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.pretrained import CONFIG, HIERARCHY, WEIGHTS, read_model, replace_hierarchy

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
OTHER = Hierarchy([4, 3, 3, 4, -1], ["tom", "rex", "car", "moving", "thing"])


@pytest.fixture
def saved(tmp_path: Path) -> NBDT:
    network = build("nbdt:digits-cnn", num_classes=3)
    steps = Preprocessing(mode="L", crop=8)
    model = NBDT(network, TREE, score="mean", rule="hard", preprocessing=steps).eval()
    model.provenance = {"accuracy": 0.5}
    model.save_pretrained(tmp_path / "model")
    return model


def test_the_tree_is_replaced_and_all_else_stays(saved: NBDT, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "README.md").write_text("mine")
    weights = (folder / WEIGHTS).read_bytes()
    before = read_model(folder).config
    replace_hierarchy(folder, OTHER)
    assert (folder / WEIGHTS).read_bytes() == weights
    assert (folder / "README.md").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    after = NBDT.from_pretrained(folder)
    assert after.hierarchy == OTHER
    assert after.provenance == saved.provenance
    assert read_model(folder).config.versions == before.versions
    assert (after.score, after.rule, after.preprocessing) == ("mean", "hard", saved.preprocessing)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(after.logits(images), saved.logits(images))


def test_a_network_that_nobody_can_build_is_no_hindrance(tmp_path: Path) -> None:
    network = nn.Linear(4, 3)
    NBDT(network, TREE).save_pretrained(tmp_path / "model")
    replace_hierarchy(tmp_path / "model", OTHER)
    loaded = NBDT.from_pretrained(tmp_path / "model", network=nn.Linear(4, 3))
    assert loaded.hierarchy == OTHER
    assert torch.equal(loaded.network.weight, network.weight)  # type: ignore[arg-type]


@pytest.mark.usefixtures("saved")
def test_a_tree_of_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model has 3 classes, but the tree has 2"):
        replace_hierarchy(tmp_path / "model", Hierarchy([2, 2, -1], ["cat", "dog"]))
    assert read_model(tmp_path / "model").hierarchy == TREE


@pytest.mark.usefixtures("saved")
def test_what_is_no_whole_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        replace_hierarchy(tmp_path / "gone", OTHER)
    with (tmp_path / "model" / HIERARCHY).open("a") as file:
        file.write(" ")
    before = (tmp_path / "model" / CONFIG).read_bytes()
    with pytest.raises(FormatError, match="is not the one that was saved"):
        replace_hierarchy(tmp_path / "model", OTHER)
    assert (tmp_path / "model" / CONFIG).read_bytes() == before


@pytest.mark.usefixtures("saved")
def test_where_it_cannot_be_written_the_model_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nbdt.pretrained.folder.link_tree", full)
    with pytest.raises(InputError, match="cannot be saved: No space left on device"):
        replace_hierarchy(tmp_path / "model", OTHER)
    assert read_model(tmp_path / "model").hierarchy == TREE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
