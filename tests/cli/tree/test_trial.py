import json
import shutil
from pathlib import Path

import pytest

from nbdt.data import load_dataset
from nbdt.evaluation import EditSession, suggest_moves
from nbdt.hierarchy import edit, load_hierarchy
from nbdt.hierarchy.edit import regraft
from nbdt.model import NBDT
from tests.cli.conftest import Run, is_one_sentence

SHAPE = load_hierarchy("digits/shape")
PARENT = SHAPE.name(SHAPE.parent(1))
OTHER = next(node for node in SHAPE.inner if node != SHAPE.parent(1) and node != SHAPE.root)


def session_of(folder: Path, data: object) -> EditSession:
    model = NBDT.from_pretrained(folder)
    assert model.preprocessing is not None
    images = load_dataset(str(data), classes=model.classes)
    return EditSession(model, images.with_preprocessing(model.preprocessing), batch_size=32)


def test_edits_are_tried_one_after_the_other(run: Run, model: Path, images: Path) -> None:
    target = SHAPE.name(OTHER)
    result = run("tree", "try", model, images, "--dissolve", target, "--move", f"one={target}",
                 "--beside", "0=two")  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    session = session_of(model, images)
    told = []
    for function, nodes in ((edit.move, ("one", target)), (regraft, (0, "two")),
                            (edit.dissolve, (target,))):  # fmt: skip
        trial = session.try_edit(function, *nodes)
        session.accept(trial)
        told.append(f"{trial}\n\n")
    assert result.stdout == f"{''.join(told)}{session}\n\n"
    assert NBDT.from_pretrained(model).hierarchy == SHAPE


def test_json_and_the_saved_model_hold_the_edits(run: Run, model: Path, images: Path) -> None:
    result = run("tree", "try", model, images, "--beside", "one=two", "--save", "edited", "--json")
    session = session_of(model, images)
    trial = session.try_edit(regraft, "one", "two")
    assert json.loads(result.stdout) == {
        "model": str(model),
        "data": str(images),
        "samples": 20,
        "edits": [json.loads(json.dumps(trial.to_dict()))],
        "output": "edited",
    }
    session.accept(trial)
    edited = NBDT.from_pretrained("edited")
    assert edited.hierarchy == session.tree
    [record] = edited.provenance["edits"]
    assert (record["edit"], record["arguments"]) == ("regraft", {"node": "one", "beside": "two"})
    shutil.copy(Path("edited", "config.json"), Path("edited", "calibration.json"))
    result = run("tree", "try", "edited", images, "--dissolve", SHAPE.name(OTHER),
                 "--save", "edited")  # fmt: skip
    assert result.stdout.endswith("Wrote edited: the model with 1 edit of its tree.\n")
    assert "note: edited was calibrated with another tree" in result.stderr


def test_moves_are_suggested(run: Run, model: Path) -> None:
    result = run("tree", "try", model, "digits", "--suggest", "--tries", 20, "--json")
    found = suggest_moves(session_of(model, "digits"), tries=20)
    document = json.loads(result.stdout)
    assert document["edits"] == []
    seconds = document["suggestions"].pop("seconds")
    assert seconds > 0
    assert document["suggestions"] == {
        key: value for key, value in found.to_dict().items() if key != "seconds"
    }
    assert found.moves
    told = run("tree", "try", model, "digits", "--suggest", "--tries", 20).stdout
    option = {"move": "--move", "regraft": "--beside"}[found.moves[0].edit.name]
    nodes = "=".join(map(str, found.moves[0].edit.arguments.values()))
    last = told.splitlines()[-1]
    assert last.startswith(f"Go on with other images: nbdt tree try {model} OTHERS {option} ")
    assert last.replace("'", "").endswith(nodes)
    # What is suggested can be tried as it is told.
    again = run("tree", "try", model, "digits", option, nodes, "--json")
    [change] = json.loads(again.stdout)["edits"]
    [hard] = [
        way for way in change["accuracy"] if (way["rule"], way["score"]) == ("hard", "logsumexp")
    ]
    assert hard["after"] == found.moves[0].counts.after


def test_classes_may_have_no_images(run: Run, model: Path, images: Path) -> None:
    shutil.copytree(images / "one", "some/one")
    result = run("tree", "try", model, "some", "--beside", "one=two", "--partial", "--json")
    assert json.loads(result.stdout)["samples"] == 2
    assert run("tree", "try", model, "some", "--beside", "one=two").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to try: give --move, --beside, --dissolve or --suggest"),
        (["--move", "one=two", "--tries", "3"], "add --suggest"),
        (["--suggest", "--save", "x"], "there is no edit to save"),
        (["--move", "one"], "--move takes two nodes, such as --move cat=dog; got 'one'"),
        (["--beside", "=one"], "--beside takes two nodes"),
        (["--move", "one=two"], "is a leaf, which has nothing below it"),
        (["--move", "ten=two"], "'ten'"),
        (["--dissolve", "99"], "99"),
    ],
)
def test_what_cannot_be_tried(
    arguments: list[str], said: str, run: Run, model: Path, images: Path
) -> None:
    result = run("tree", "try", model, images, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
    assert not Path("x").exists()
