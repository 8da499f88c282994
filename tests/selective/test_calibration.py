import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nbdt.classifiers import build
from nbdt.errors import FormatError, NotFoundError
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.hierarchy.edit import rename
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.pretrained import replace_hierarchy
from nbdt.rules import Temperature
from nbdt.selective import Calibration, Calibrator, SelectiveNBDT, read_calibration
from nbdt.selective.calibration import CALIBRATION, Superclass, fitted_to, write_calibration
from tests.folders import rewrite_config
from tests.selective.test_conformal import drawn_samples

SHA = "0123456789abcdef" * 4
GOOD = Calibration(
    score="logsumexp",
    fingerprint=SHA,
    superclasses=(
        Superclass(node=2, samples=4, wrong=(0.9,)),
        Superclass(node=3, samples=5, wrong=(0.5, 1 / 3)),
    ),
)
TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
EIGHT = shapes.balanced(8)
LOG_PROBS, LABELS = drawn_samples(200, EIGHT, seed=3)
LOGITS = LOG_PROBS.float()


@given(
    st.lists(
        st.tuples(st.sampled_from([2, 5, 7]), st.floats(0, 1) | st.just(-math.inf)), max_size=40
    )
)
def test_it_keeps_every_score_and_reading_is_the_identity(samples):
    scores = torch.tensor([score for _, score in samples], dtype=torch.float64)
    nodes = torch.tensor([node for node, _ in samples], dtype=torch.long)
    found = Calibration.of(scores, nodes, [2, 5, 7], "logsumexp", SHA)
    assert sorted(found.scores.tolist()) == sorted(scores.tolist())
    assert (found.samples, found.wrong) == (len(samples), int((scores > -math.inf).sum()))
    for part in found.superclasses:
        own = [score for node, score in samples if node == part.node]
        assert part.scores.tolist() == sorted(own)
    assert Calibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def changed(**values):
    return {**GOOD.to_dict(), **values}


def first(**values):
    return changed(superclasses=[{**GOOD.to_dict()["superclasses"][0], **values}])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "the schema is None; this version reads nbdt.calibration/1"),
        ({}, "the schema is None"),
        (changed(schema="nbdt.calibration/2"), "the schema is 'nbdt.calibration/2'"),
        (changed(more=1), "unknown key 'more'"),
        (changed(score="max"), "^score must be .*logsumexp.*, got 'max'"),
        (changed(fingerprint="abc"), "^fingerprint: .*; got 'abc'"),
        (changed(superclasses=3), "^superclasses: .*; got 3"),
        (first(node=-1), r"^superclasses\[0\]\.node: .*; got -1"),
        (first(samples=0), r"^superclasses\[0\]\.wrong holds 1 scores of 0 samples"),
        (first(samples=1.5), r"^superclasses\[0\]\.samples: .*; got 1.5"),
        (first(samples="4"), r"^superclasses\[0\]\.samples: .*; got '4'"),
        (first(wrong=[0.5, 1.5]), r"^superclasses\[0\]\.wrong\[1\]: .*; got 1.5"),
        (first(wrong=[True]), r"wrong\[0\]: .*; got True"),
        (first(wrong=["0.5"]), r"wrong\[0\]: .*; got '0.5'"),
        (first(wrong=[math.nan]), "JSON cannot hold"),
    ],
)
def test_documents_that_are_not_valid_are_refused(document, said):
    with pytest.raises(FormatError, match=said):
        Calibration.from_dict(document)


# ── batch by batch ──────────────────────────────────────────────────────────────────────────────


def test_batch_by_batch_it_finds_what_calibrate_does():
    model = NBDT(nn.Identity(), EIGHT, score="mean", temperature=Temperature(1.5))
    calibrator = Calibrator(model)
    batches = list(zip(LOGITS.split(30), LABELS.split(30), strict=True))
    for logits, labels in batches:
        calibrator.update(logits, labels)
    expected = SelectiveNBDT(model).calibrate(batches).calibration
    assert expected is not None
    assert calibrator.result(expected.fingerprint) == expected


def test_the_model_may_be_elsewhere_than_the_logits():
    model = NBDT(nn.Identity(), EIGHT)
    model.layout.to(torch.device("meta"))
    calibrator = Calibrator(model)
    calibrator.update(LOGITS, LABELS)
    assert calibrator.result("0" * 64).samples == 200


def test_what_a_temperature_was_fitted_to_is_known_while_the_model_has_it():
    model = NBDT(nn.Identity(), TREE, temperature=2.0)
    assert fitted_to(model) == {}
    model.provenance["temperature"] = {
        "temperature": model.temperature.to_dict(),
        "fingerprint": "ab12",
    }
    assert fitted_to(model)["fingerprint"] == "ab12"
    model.temperature = None
    assert fitted_to(model) == {}
    model.provenance["temperature"] = "what a stranger wrote"
    assert fitted_to(model) == {}


# ── in a model's folder ─────────────────────────────────────────────────────────────────────────


def saved_model(**options):
    torch.manual_seed(0)
    network = build("nbdt:digits-cnn", num_classes=3)
    steps = Preprocessing(mode="L", resize=(8, 8), mean=0.1)
    return NBDT(network, TREE, **{"preprocessing": steps, **options}).eval()


@pytest.fixture
def folder(tmp_path):
    saved_model().save_pretrained(tmp_path / "model")
    write_calibration(tmp_path / "model", GOOD)
    return tmp_path / "model"


def test_what_is_written_is_read(folder):
    assert read_calibration(folder) == GOOD
    again = GOOD.replace(fingerprint="1" * 64)
    write_calibration(folder, again)
    assert read_calibration(folder) == again


def test_a_model_that_was_saved_again_unchanged_keeps_its_calibration(folder):
    NBDT.from_pretrained(folder).save_pretrained(folder)
    assert read_calibration(folder) == GOOD


def other_weights(folder):
    other = saved_model()
    with torch.no_grad():
        other.network.linear.bias[0] += 1
    other.save_pretrained(folder)


def test_other_names_of_inner_nodes_do_not_matter(folder):
    replace_hierarchy(folder, rename(TREE, {"animal": "pet"}))
    assert read_calibration(folder) == GOOD


def other_classes(folder):
    replace_hierarchy(folder, rename(TREE, {TREE.classes[0]: "panther"}))


def other_tree(folder):
    replace_hierarchy(folder, shapes.flat(TREE.classes))


def other_score(folder):
    saved_model(score="mean").save_pretrained(folder)


def other_preprocessing(folder):
    saved_model(preprocessing=Preprocessing(mode="L", resize=(8, 8))).save_pretrained(folder)


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
    rewrite_config(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": None}, "must say what it was made of"),
        ({"model": {"weights": 1}}, "must say what it was made of"),
        ({"superclasses": []}, "are not the children of the tree's root"),
        ({"fingerprint": 5}, "fingerprint: .*; got 5"),
    ],
)
def test_a_file_that_is_not_valid_is_refused(values, said, folder):
    edited(folder, **values)
    with pytest.raises(FormatError, match=f"calibration.json: .*{said}"):
        read_calibration(folder)


def test_a_file_that_is_no_json_is_refused(folder):
    (folder / CALIBRATION).write_text("[1, 2")
    rewrite_config(folder)
    with pytest.raises(FormatError, match=r"calibration.json: is not valid JSON"):
        read_calibration(folder)


def test_without_a_calibration_the_error_says_what_to_run(tmp_path):
    saved_model().save_pretrained(tmp_path / "new")
    with pytest.raises(NotFoundError, match=r"not calibrated; .* nbdt calibrate .*new DATA"):
        read_calibration(tmp_path / "new")
    with pytest.raises(NotFoundError, match="no such folder"):
        read_calibration(tmp_path / "gone")


def test_a_network_of_the_users_own_can_be_calibrated_too(tmp_path):
    NBDT(nn.Linear(4, 3), TREE).save_pretrained(tmp_path)
    write_calibration(tmp_path, GOOD)
    assert read_calibration(tmp_path) == GOOD
