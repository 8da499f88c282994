import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nbdt.classifiers import build
from nbdt.errors import FormatError, NotFoundError
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.hierarchy.edit import rename
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.pretrained.replacement import replace_hierarchy
from nbdt.selective import Calibration, read_calibration
from nbdt.selective.calibration import Superclass
from nbdt.selective.folder import CALIBRATION, write_calibration

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
FOUND = Calibration(
    (Superclass(2, 4, (0.9,)), Superclass(3, 5, (0.5, 1 / 3))), "logsumexp", "0" * 64
)


def model(**options):
    torch.manual_seed(0)
    network = build("nbdt:digits-cnn", num_classes=3)
    steps = Preprocessing(mode="L", resize=(8, 8), mean=0.1)
    return NBDT(network, TREE, **{"preprocessing": steps, **options}).eval()


@pytest.fixture
def folder(tmp_path):
    model().save_pretrained(tmp_path / "model")
    write_calibration(tmp_path / "model", FOUND)
    return tmp_path / "model"


def test_what_is_written_is_read(folder):
    assert read_calibration(folder) == FOUND
    again = replace(FOUND, fingerprint="1" * 64)
    write_calibration(folder, again)
    assert read_calibration(folder) == again


def test_a_model_that_was_saved_again_unchanged_keeps_its_calibration(folder):
    NBDT.from_pretrained(folder).save_pretrained(folder)
    assert read_calibration(folder) == FOUND


def other_weights(folder):
    other = model()
    with torch.no_grad():
        other.network.linear.bias[0] += 1
    other.save_pretrained(folder)


def test_other_names_of_inner_nodes_do_not_matter(folder):
    replace_hierarchy(folder, rename(TREE, {"animal": "pet"}))
    assert read_calibration(folder) == FOUND


def other_classes(folder):
    replace_hierarchy(folder, rename(TREE, {TREE.classes[0]: "panther"}))


def other_tree(folder):
    replace_hierarchy(folder, shapes.flat(TREE.classes))


def other_score(folder):
    model(score="mean").save_pretrained(folder)


def other_preprocessing(folder):
    model(preprocessing=Preprocessing(mode="L", resize=(8, 8))).save_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_weights, "the weights changed since"),
        (other_tree, "the tree changed since"),
        (other_classes, "the classes changed since"),
        (other_score, "the score changed since"),
        (other_preprocessing, "the preprocessing changed since"),
    ],
)
def test_a_calibration_of_another_model_is_refused(change, said, folder):
    change(folder)
    with pytest.raises(FormatError, match=f"calibration.json: was made for another .*{said}"):
        read_calibration(folder)


def edited(folder, **values):
    path = Path(folder) / CALIBRATION
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **values}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": None}, "has to say what it was made of"),
        ({"model": {"weights": 1}}, "has to say what it was made of"),
        ({"superclasses": []}, "are not the children of the tree's root"),
        ({"fingerprint": 5}, r"\$.fingerprint has to be"),
    ],
)
def test_a_file_that_is_not_valid_is_refused(values, said, folder):
    edited(folder, **values)
    with pytest.raises(FormatError, match=f"calibration.json: .*{said}"):
        read_calibration(folder)


def test_a_file_that_is_no_json_is_refused(folder):
    (folder / CALIBRATION).write_text("[1, 2")
    with pytest.raises(FormatError, match=r"calibration.json: is not valid JSON"):
        read_calibration(folder)


def test_without_a_calibration_the_error_says_what_to_run(tmp_path):
    model().save_pretrained(tmp_path / "new")
    with pytest.raises(NotFoundError, match=r"not calibrated; .* nbdt calibrate .*new DATA"):
        read_calibration(tmp_path / "new")
    with pytest.raises(NotFoundError, match="no such folder"):
        read_calibration(tmp_path / "gone")


def test_a_network_of_the_users_own_can_be_calibrated_too(tmp_path):
    NBDT(nn.Linear(4, 3), TREE).save_pretrained(tmp_path)
    write_calibration(tmp_path, FOUND)
    assert read_calibration(tmp_path) == FOUND
