import numpy as np
import pytest

from nbdt.hierarchy.formats import from_dict
from nbdt.hierarchy.induce import induce
from nbdt.hierarchy.library import load_hierarchy
from nbdt.hierarchy.shapes import balanced, flat, random
from nbdt.hierarchy.support import resampled_trees, support_labels, with_support
from nbdt.hierarchy.taxonomy import from_parents, from_wordnet
from nbdt.hierarchy.wordnet import WordNet
from tests.cli.conftest import SHAPE, refused
from tests.hierarchy.small_wordnet import write_wordnet

DIGITS = [*SHAPE.classes]
ROWS = np.random.default_rng(0).normal(size=(10, 4))


@pytest.fixture
def rows(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    return tmp_path / "rows.npy"


@pytest.fixture
def built(ask):
    return lambda *arguments: from_dict(ask("tree", "build", *arguments))


def test_a_tree_of_rows_is_drawn_or_written(run, ask, rows):
    result = run("tree", "build", "rows", rows)
    assert (result.exit_code, result.stdout) == (0, f"{induce(ROWS)}\n")
    settings = {"linkage": "average", "metric": "cosine", "branching": 3, "normalize": False}
    options = ["--linkage", "average", "--metric", "cosine", "--branching", 3, "--no-normalize"]
    document = ask("tree", "build", "rows", rows, "--classes", "digits", *options, "-o", "t.json")
    tree = load_hierarchy("t.json")
    assert tree == induce(ROWS, DIGITS, **settings)
    depth = tree.height(tree.root)
    assert document == {"output": "t.json", "classes": 10, "nodes": len(tree), "depth": depth}


def test_support_is_drawn_and_written(run, rows):
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


def test_a_csv_brings_its_names(built, tmp_path):
    (tmp_path / "rows.csv").write_text("cat,1,0\ndog,1,0.2\ncar,0,1\n", encoding="utf-8")
    rows = [[1, 0], [1, 0.2], [0, 1]]
    assert built("rows", "rows.csv") == induce(rows, ["cat", "dog", "car"])
    assert built("rows", "rows.csv", "--classes", "3").classes == ("0", "1", "2")
    ordered = built("rows", "rows.csv", "--classes", "car,cat,dog")
    assert ordered == induce([rows[2], *rows[:2]], ["car", "cat", "dog"])


def test_a_tree_of_wordnet(built, tmp_path):
    (tmp_path / "dict").mkdir()
    write_wordnet(tmp_path / "dict")
    wordnet = WordNet(tmp_path / "dict")
    nouns = ["beagle", "bird"]
    wnids = [wordnet.find(noun).wnid for noun in nouns]
    lines = ["name,wnid", *(f"my {noun},{wnid}" for noun, wnid in zip(nouns, wnids, strict=True))]
    for file, content, expected in (
        ("wnids.txt", wnids, from_wordnet(wnids, wordnet)),
        ("nouns.txt", nouns, from_wordnet(nouns, wordnet)),
        ("classes.csv", lines, from_wordnet(wnids, wordnet, [f"my {noun}" for noun in nouns])),
    ):
        (tmp_path / file).write_text("\n".join(content), encoding="utf-8")
        assert built("wordnet", file, "--wordnet", "dict") == expected


def test_a_tree_of_a_table_of_parents(built, tmp_path):
    table = {"cat": "animal", "dog": "animal", "car": "thing", "animal": "thing"}
    text = "\n".join(["child,parent", *(",".join(pair) for pair in table.items())])
    (tmp_path / "kinds.csv").write_text(text, encoding="utf-8")
    (tmp_path / "classes.txt").write_text("dog\ncar\ncat\n", encoding="utf-8")
    for options, classes in (([], None), (["--classes", "classes.txt"], ["dog", "car", "cat"])):
        assert built("parents", "kinds.csv", *options) == from_parents(table, classes)


@pytest.mark.parametrize(("arguments", "expected"), [
    (["balanced"], balanced(DIGITS)),
    (["balanced", "--branching", "4"], balanced(DIGITS, 4)),
    (["random"], random(DIGITS)),
    (["random", "--branching", "3", "--seed", "5"], random(DIGITS, 3, 5)),
    (["flat"], flat(DIGITS)),
])  # fmt: skip
def test_a_tree_of_a_shape(arguments, expected, built):
    assert built("shape", *arguments, "--classes", "digits") == expected


@pytest.mark.parametrize(("arguments", "said"), [
    (["rows", "gone.npy"], "gone.npy: no such file"),
    (["rows", "rows.npy", "--classes", "3"], "10 rows need 10 class names; got 3"),
    (["rows", "rows.npy", "--linkage", "x"], "linkage must be one of"),
    (["rows", "rows.npy", "-o", "tree.txt"], "tree.txt: the suffix says the format of a tree"),
    (["rows", "rows.npy", "-o", "no/tree.json"], "no/tree.json: cannot be written"),
    (["rows", "ones.npy", "--metric", "confusion", "--linkage", "average", "--support", 5],
     "no columns to draw"),
    (["wordnet", "cifar10", "--wordnet", "."], "holds no WordNet database"),
    (["parents", "gone.csv"], "gone.csv: no such file"),
    (["shape", "round", "--classes", "3"], "'round' is not one of"),
    (["shape", "flat", "--classes", "3", "--seed", "1"], "a flat tree takes no seed"),
    (["shape", "balanced", "--classes", "3", "--seed", "1"], "a balanced tree takes no seed"),
    (["shape", "random", "--classes", "1"], "at least two classes"),
    (["shape", "random"], "Missing option '--classes'"),
])  # fmt: skip
@pytest.mark.usefixtures("rows")
def test_what_cannot_be_built(arguments, said, run):
    np.save("ones.npy", np.ones((3, 3)))
    refused(run("tree", "build", *arguments), said)
