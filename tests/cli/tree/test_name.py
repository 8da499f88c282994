import json
import shutil
from pathlib import Path

import pytest
import torch

from nbdt.hierarchy.edit import rename
from nbdt.hierarchy.library import load_classes, load_hierarchy, save_hierarchy
from nbdt.hierarchy.naming import name_by_leaves, name_by_taxonomy
from nbdt.hierarchy.shapes import balanced
from nbdt.model import NBDT
from tests.cli.conftest import Run, is_one_sentence

SHAPE = load_hierarchy("digits/shape")
PLAIN = balanced([row.name for row in load_classes("digits")])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_hierarchy(PLAIN, tmp_path / "tree.json")
    return tmp_path / "tree.json"


def test_a_file_is_named_in_place(run: Run, file: Path) -> None:
    result = run("tree", "name", "tree.json", "--by-leaves")
    assert result.stdout == "Wrote tree.json: 10 classes, 19 nodes, depth 4.\n"
    assert load_hierarchy(file) == name_by_leaves(PLAIN)
    result = run("tree", "name", "tree.json", "--taxonomy", "digits/shape", "--json")
    assert json.loads(result.stdout)["output"] == "tree.json"
    assert load_hierarchy(file) == name_by_taxonomy(name_by_leaves(PLAIN), SHAPE)


def test_names_by_hand_stay(run: Run, file: Path) -> None:
    run("tree", "name", "tree.json", "--by-leaves")
    for name in ("curvy", "", "bent"):
        assert run("tree", "name", "tree.json", "--node", 16, "--to", name).exit_code == 0
    assert load_hierarchy(file).attributes(16)["name_source"] == "hand"
    for options in (("--by-leaves",), ("--taxonomy", "digits/shape")):
        result = run("tree", "name", "tree.json", *options)
        assert "note: kept names given by hand: 'bent'." in result.stderr
        assert load_hierarchy(file).names[16] == "bent"
    assert load_hierarchy(file).names[17] == name_by_taxonomy(PLAIN, SHAPE).names[17]


def test_a_class_that_is_renamed_is_noted(run: Run, file: Path) -> None:
    result = run("tree", "name", "tree.json", "--node", "zero", "--to", "null")
    assert "this is a class: data, calibrations and other trees still use" in result.stderr
    assert load_hierarchy(file).classes[0] == "null"


def test_or_elsewhere(run: Run, file: Path) -> None:
    run("tree", "name", "tree.json", "--node", 18, "--to", "digit", "-o", "named.json")
    assert load_hierarchy(file) == PLAIN
    assert load_hierarchy("named.json") == rename(PLAIN, {18: "digit"})
    run("tree", "name", "tree.json", "--node", "node 18", "--to", "digit", "-o", "again.json")
    assert load_hierarchy("again.json") == rename(PLAIN, {18: "digit"})
    run("tree", "name", "digits/shape", "--node", "digit", "--to", "number", "-o", "named.json")
    assert load_hierarchy("named.json") == rename(SHAPE, {"digit": "number"})


def test_a_model_keeps_its_weights_and_can_be_loaded(run: Run, model: Path) -> None:
    shutil.copytree(model, "mine")
    result = run("tree", "name", "mine", "--node", "one", "--to", "uno")
    assert result.exit_code == 0
    before, after = NBDT.from_pretrained(model), NBDT.from_pretrained("mine")
    assert after.hierarchy == rename(SHAPE, {"one": "uno"})
    assert after.classes[1] == "uno"
    assert after.preprocessing == before.preprocessing
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(after(images), before(images))
    run("tree", "name", "mine", "--by-leaves", "-o", "tree.json")
    assert NBDT.from_pretrained("mine").hierarchy == after.hierarchy
    assert load_hierarchy("tree.json") == name_by_leaves(after.hierarchy)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tree.json"], "give one of --taxonomy TREE, --by-leaves, or --node NODE --to NAME"),
        (["tree.json", "--by-leaves", "--node", "one", "--to", "x"], "give one of"),
        (["tree.json", "--node", "one"], "give both or neither"),
        (["tree.json", "--by-leaves", "--to", "x"], "give both or neither"),
        (["tree.json", "--node", "one", "--to", "two"], "'two'"),
        (["tree.json", "--node", "18", "--to", "two"], "cannot be called 'two', since a class has"),
        (["tree.json", "--node", "ten", "--to", "x"], "no node is called 'ten'"),
        (["tree.json", "--taxonomy", "cifar10/wordnet"], "the taxonomy lacks 10"),
        (["digits/shape", "--by-leaves"], "bundled trees are read-only"),
        (["gone.json", "--by-leaves"], "there is no such file"),
    ],
)
def test_what_cannot_be_named(arguments: list[str], said: str, run: Run, file: Path) -> None:
    result = run("tree", "name", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
    assert load_hierarchy(file) == PLAIN


def test_a_model_that_was_changed_is_refused(run: Run, model: Path) -> None:
    shutil.copytree(model, "mine")
    Path("mine", "hierarchy.json").write_text(
        Path("mine", "hierarchy.json").read_text(encoding="utf-8") + "\n", encoding="utf-8"
    )
    result = run("tree", "name", "mine", "--by-leaves")
    assert result.exit_code == 2
    assert "is not the one that was saved" in result.stderr
