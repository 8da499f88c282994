"""`nbdt tree support` and `try`: a tree judged by weights and images."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from nbdt.classifiers import find_head
from nbdt.data import load_dataset
from nbdt.evaluation import EditSession, suggest_moves
from nbdt.hierarchy import edit
from nbdt.hierarchy.edit import regraft
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.hierarchy.shapes import balanced, flat
from nbdt.hierarchy.support import resampled_trees, support_labels, support_of, with_support
from nbdt.model import NBDT
from tests.cli.conftest import SHAPE, refused

RESNET, WORDNET = "cifar10/resnet20", "cifar10/wordnet"
OTHER = next(node for node in SHAPE.inner if node != SHAPE.parent(1) and node != SHAPE.root)


def test_other_trees_are_looked_through_for_the_groups(run):
    result = run("tree", "support", RESNET, WORDNET, RESNET)
    assert (result.exit_code, result.stderr) == (0, "")
    resnet, wordnet = load_hierarchy(RESNET), load_hierarchy(WORDNET)
    known = with_support(resnet, [wordnet, resnet])
    shares = list(support_of(known).values())
    assert result.stdout == (
        f"{known.to_text(labels=support_labels(known))}\n\n"
        f"Support in 2 trees: {100 * sum(shares) / 8:.0f} % on average; "
        f"{shares.count(1.0)} of 8 groups are in at least 95 % of them.\n"
    )


@pytest.mark.parametrize("noise", [None, 0.5])
def test_trees_are_made_of_the_weights_of_a_model(ask, model, noise):
    drawn = [] if noise is None else ["--noise", noise]
    asked = ["--count", 6, "--seed", 3, "--linkage", "average", "--no-normalize", *drawn]
    document = ask("tree", "support", model, *asked)
    loaded = NBDT.from_pretrained(model)
    rows = find_head(loaded.network, loaded.head).rows.double().numpy()
    options = {"linkage": "average", "normalize": False}
    # The tree of the fixture comes from elsewhere, so few of its groups come back.
    trees = resampled_trees(rows, loaded.classes, count=6, noise=noise, seed=3, **options)
    expected = with_support(loaded.hierarchy, trees)
    assert {one["node"]: one["support"] for one in document["nodes"]} == support_of(expected)
    assert (document["tree"], document["trees"], document["count"]) == (str(model), 6, 6)
    assert document.get("noise") == noise


def test_support_is_kept_where_the_tree_is(run, ask, own):
    save_hierarchy(SHAPE, "tree.json")
    assert ask("tree", "support", "own", "tree.json", "--save")["output"] == "own"
    expected = with_support(SHAPE, [SHAPE])
    assert NBDT.from_pretrained(own).hierarchy == expected
    told = run("tree", "support", "tree.json", "own", "--save").stdout
    assert told.endswith("Wrote tree.json.\n")
    assert load_hierarchy("tree.json") == expected
    run("tree", "support", "digits/shape", "own", "-o", "other.json")
    assert load_hierarchy("other.json") == expected
    assert load_hierarchy("digits/shape") == SHAPE
    # The tree shows it from then on.
    assert "(100 %)" in run("tree", "show", "other.json").stdout
    run("tree", "draw", "other.json", "-o", "other.svg")
    assert ">100 %</text>" in Path("other.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("arguments", "said"), [
    ([RESNET], "not a model's folder, so it has no weights"),
    ([RESNET, "digits/shape"], "only the first has 10"),
    ([RESNET, WORDNET, "--count", 5], "leave out either them or"),
    ([RESNET, WORDNET, "--no-normalize"], "leave out either them or"),
    ([RESNET, WORDNET, "--save"], "bundled trees are read-only"),
    (["flat.json", "flat.json"], "no group of classes below its root"),
    (["plain"], "plain does not say how its network is built"),
], ids=str)  # fmt: skip
def test_what_has_no_support(arguments, said, run):
    save_hierarchy(flat(4), "flat.json")
    NBDT(torch.nn.Identity(), balanced(4)).save_pretrained("plain")
    refused(run("tree", "support", *arguments), said)


# ── nbdt tree try ─────────────────────────────────────────────────────────────────────────────


def session_of(folder, data):
    model = NBDT.from_pretrained(folder)
    images = load_dataset(str(data), classes=model.classes)
    return EditSession(model, images.with_preprocessing(model.preprocessing), batch_size=32)


def test_edits_are_tried_one_after_the_other(run, model, images):
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


def test_json_and_the_saved_model_hold_the_edits(run, ask, model, images):
    session = session_of(model, images)
    trial = session.try_edit(regraft, "one", "two")
    assert ask("tree", "try", model, images, "--beside", "one=two", "--save", "edited") == {
        "model": str(model), "data": str(images), "samples": 20, "output": "edited",
        "edits": [json.loads(json.dumps(trial.to_dict()))],
    }  # fmt: skip
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


def test_moves_are_suggested(run, ask, model):
    asked = ("tree", "try", model, "digits", "--suggest", "--tries", 20)
    document = ask(*asked)
    assert document["edits"] == []
    assert document["suggestions"].pop("seconds") > 0
    found = suggest_moves(session_of(model, "digits"), tries=20)
    assert found.moves
    assert document["suggestions"].items() <= found.to_dict().items()
    assert found.to_dict().keys() - document["suggestions"] == {"seconds"}
    option = {"move": "--move", "regraft": "--beside"}[found.moves[0].edit.name]
    nodes = "=".join(map(str, found.moves[0].edit.arguments.values()))
    last = run(*asked).stdout.splitlines()[-1]
    assert last.startswith(f"Next, on other images: nbdt tree try {model} OTHERS {option} ")
    assert last.replace("'", "").endswith(nodes)
    # What is suggested can be tried as it is told.
    [change] = ask("tree", "try", model, "digits", option, nodes)["edits"]
    ways = {(way["rule"], way["score"]): way for way in change["accuracy"]}
    assert ways["hard", "logsumexp"]["after"] == found.moves[0].counts.after


def test_classes_may_have_no_images(run, ask, model, images):
    shutil.copytree(images / "one", "some/one")
    options = ("tree", "try", model, "some", "--beside", "one=two")
    assert ask(*options, "--partial")["samples"] == 2
    assert run(*options).exit_code == 2


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "nothing to try: give --move, --beside, --dissolve or --suggest"),
    (["--move", "one=two", "--tries", "3"], "add --suggest"),
    (["--suggest", "--save", "x"], "nothing to save"),
    (["--move", "one"], "--move takes two nodes, such as --move cat=dog; got 'one'"),
    (["--beside", "=one"], "--beside takes two nodes"),
    (["--move", "one=two"], "is a leaf, which has nothing below it"),
    (["--move", "ten=two"], "'ten'"),
    (["--dissolve", "99"], "99"),
], ids=str)  # fmt: skip
def test_what_cannot_be_tried(arguments, said, run, model, images):
    refused(run("tree", "try", model, images, *arguments), said)
    assert not Path("x").exists()
