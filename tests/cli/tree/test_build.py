import json
from pathlib import Path

import numpy as np
import pytest

from nbdt.hierarchy.formats import from_dict
from nbdt.hierarchy.induce import induce
from nbdt.hierarchy.library import load_classes, load_hierarchy
from nbdt.hierarchy.shapes import balanced, flat, random
from nbdt.hierarchy.support import resampled_trees, support_labels, with_support
from nbdt.hierarchy.taxonomy import from_parents, from_wordnet
from nbdt.hierarchy.wordnet import WordNet
from tests.cli.conftest import Run, is_one_sentence
from tests.hierarchy.small_wordnet import write_wordnet

DIGITS = [row.name for row in load_classes("digits")]
ROWS = np.random.default_rng(0).normal(size=(10, 4))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    np.save(tmp_path / "rows.npy", ROWS)
    return tmp_path / "rows.npy"


def test_a_tree_of_rows_is_drawn(run: Run, rows: Path) -> None:
    result = run("tree", "build", "rows", rows)
    assert (result.exit_code, result.stdout) == (0, f"{induce(ROWS)}\n")


def test_a_tree_of_rows_is_written(run: Run, rows: Path) -> None:
    options = ["--linkage", "average", "--metric", "cosine", "--branching", 3, "--no-normalize"]
    result = run(
        "tree", "build", "rows", rows, "--classes", "digits", *options, "-o", "t.json", "--json"
    )
    tree = load_hierarchy("t.json")
    expected = induce(
        ROWS, DIGITS, linkage="average", metric="cosine", branching=3, normalize=False
    )
    assert tree == expected
    depth = tree.height(tree.root)
    assert json.loads(result.stdout) == {
        "output": "t.json", "classes": 10, "nodes": len(tree), "depth": depth
    }  # fmt: skip


def test_support_is_drawn_and_written(run: Run, rows: Path) -> None:
    options = {"linkage": "average", "normalize": False}
    trees = resampled_trees(ROWS, DIGITS, count=20, **options)
    expected = with_support(induce(ROWS, DIGITS, **options), trees)
    command = ["tree", "build", "rows", rows, "--classes", "digits", "--support", 20,
               "--linkage", "average", "--no-normalize"]  # fmt: skip
    drawn = run(*command)
    assert drawn.stdout == f"{expected.to_text(labels=support_labels(expected))}\n"
    assert drawn.stdout.count(" %)") == 8
    run(*command, "-o", "t.json")
    assert load_hierarchy("t.json") == expected


def test_support_of_what_has_no_columns_is_refused_in_one_sentence(run: Run, rows: Path) -> None:
    np.save(rows, np.ones((3, 3)))
    result = run("tree", "build", "rows", rows, "--metric", "confusion",
                 "--linkage", "average", "--support", 5)  # fmt: skip
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no columns to draw" in result.stderr
    assert is_one_sentence(result.stderr)


def test_a_csv_brings_its_names(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("cat,1,0\ndog,1,0.2\ncar,0,1\n", encoding="utf-8")
    tree = from_dict(json.loads(run("tree", "build", "rows", "rows.csv", "--json").stdout))
    assert tree == induce([[1, 0], [1, 0.2], [0, 1]], ["cat", "dog", "car"])
    renamed = run("tree", "build", "rows", "rows.csv", "--classes", "3", "--json").stdout
    assert from_dict(json.loads(renamed)).classes == ("0", "1", "2")


def test_a_tree_of_wordnet(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dict").mkdir()
    write_wordnet(tmp_path / "dict")
    wordnet = WordNet(tmp_path / "dict")
    nouns = ["beagle", "bird"]
    (tmp_path / "nouns.txt").write_text("\n".join(nouns), encoding="utf-8")
    wnids = [wordnet.find(noun).wnid for noun in nouns]
    lines = ["name,wnid", *(f"my {noun},{wnid}" for noun, wnid in zip(nouns, wnids, strict=True))]
    (tmp_path / "classes.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "wnids.txt").write_text("\n".join(wnids), encoding="utf-8")
    for file, expected in (
        ("wnids.txt", from_wordnet(wnids, wordnet)),
        ("nouns.txt", from_wordnet(nouns, wordnet)),
        ("classes.csv", from_wordnet(wnids, wordnet, [f"my {noun}" for noun in nouns])),
    ):
        result = run("tree", "build", "wordnet", file, "--wordnet", "dict", "--json")
        assert from_dict(json.loads(result.stdout)) == expected


def test_a_tree_of_a_table_of_parents(run: Run, tmp_path: Path) -> None:
    table = {"cat": "animal", "dog": "animal", "car": "thing", "animal": "thing"}
    text = "\n".join(["child,parent", *(",".join(pair) for pair in table.items())])
    (tmp_path / "kinds.csv").write_text(text, encoding="utf-8")
    (tmp_path / "classes.txt").write_text("dog\ncar\ncat\n", encoding="utf-8")
    for options, classes in (([], None), (["--classes", "classes.txt"], ["dog", "car", "cat"])):
        result = run("tree", "build", "parents", "kinds.csv", *options, "--json")
        assert from_dict(json.loads(result.stdout)) == from_parents(table, classes)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["balanced"], balanced(DIGITS)),
        (["balanced", "--branching", "4"], balanced(DIGITS, 4)),
        (["random"], random(DIGITS)),
        (["random", "--branching", "3", "--seed", "5"], random(DIGITS, 3, 5)),
        (["flat"], flat(DIGITS)),
    ],
)
def test_a_tree_of_a_shape(arguments: list[str], expected: object, run: Run) -> None:
    result = run("tree", "build", "shape", *arguments, "--classes", "digits", "--json")
    assert from_dict(json.loads(result.stdout)) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rows", "gone.npy"], "gone.npy: there is no such file"),
        (["rows", "rows.npy", "--classes", "3"], "10 rows need 10 class names; got 3"),
        (["rows", "rows.npy", "--linkage", "x"], "linkage must be one of"),
        (["rows", "rows.npy", "-o", "tree.txt"], "tree.txt: the suffix says the format of a tree"),
        (["rows", "rows.npy", "-o", "no/tree.json"], "no/tree.json: cannot be written"),
        (["wordnet", "cifar10", "--wordnet", "."], "holds no WordNet database"),
        (["parents", "gone.csv"], "gone.csv: there is no such file"),
        (["shape", "round", "--classes", "3"], "'round' is not one of"),
        (["shape", "flat", "--classes", "3", "--seed", "1"], "a flat tree takes no seed"),
        (["shape", "balanced", "--classes", "3", "--seed", "1"], "a balanced tree takes no seed"),
        (["shape", "random", "--classes", "1"], "at least two classes"),
        (["shape", "random"], "Missing option '--classes'"),
    ],
)
@pytest.mark.usefixtures("rows")
def test_what_cannot_be_built(arguments: list[str], said: str, run: Run) -> None:
    result = run("tree", "build", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
