"""The trees in hierarchies/: as they are, and as their sources make them again."""

from importlib import resources

import numpy as np
import pytest
from torchvision.models import ResNet18_Weights

from nbdt.hierarchies import build
from nbdt.hierarchy.library import list_hierarchies, load_classes, load_hierarchy, save_hierarchy
from nbdt.hierarchy.tree import Hierarchy

TREES = {
    "cifar10/resnet20": 10,
    "cifar10/wordnet": 10,
    "cifar100/wordnet": 100,
    "digits/shape": 10,
    "fashion_mnist/taxonomy": 10,
    "imagenet1k/mobilenet_v2": 1000,
    "imagenet1k/wordnet": 1000,
    "tiny_imagenet/wordnet": 200,
}
SOURCES = [
    "classes/cifar10.csv",
    "imagenet_samples/classes.csv",
    "wordnet30/data.noun",
    *(file for file, _ in build.INDUCED.values()),
]


@pytest.fixture(scope="module")
def sources(nbdt_data):
    missing = [source for source in SOURCES if not (nbdt_data / source).is_file()]
    if missing:
        pytest.skip(f"NBDT_DATA lacks the sources {', '.join(missing)}")
    return nbdt_data


@pytest.fixture(scope="module")
def made(sources):
    return build.trees(sources)


def groups(tree):
    return {tree.name(v): {tree.name(leaf) for leaf in tree.leaves(v)} for v in tree.inner}


def test_these_trees_are_bundled():
    assert list_hierarchies() == sorted(TREES)


@pytest.mark.parametrize("name", TREES)
class TestEveryTree:
    def test_its_leaves_are_the_classes_of_its_data_set(self, name):
        tree, classes = load_hierarchy(name), load_classes(name.partition("/")[0])
        assert tree.num_classes == TREES[name]
        assert tree.classes == tuple(row.name for row in classes)
        if name.endswith("/wordnet"):
            assert [tree.attributes(leaf)["wnid"] for leaf in range(tree.num_classes)] == [
                row.wnid for row in classes
            ]

    def test_every_node_has_a_name_of_its_own(self, name):
        tree = load_hierarchy(name)
        assert all(tree.names)
        assert len(set(tree.names)) == len(tree)

    def test_its_file_is_as_it_would_be_saved(self, name, tmp_path):
        save_hierarchy(load_hierarchy(name), tmp_path / "tree.json")
        file = resources.files("nbdt.hierarchies").joinpath(f"{name}.json")
        assert (tmp_path / "tree.json").read_text("utf-8") == file.read_text("utf-8")

    def test_a_rebuilt_tree_is_the_committed_one(self, name, made):
        committed, rebuilt = load_hierarchy(name), made[name]
        assert np.array_equal(committed.parents, rebuilt.parents)
        assert committed.names == rebuilt.names
        if rebuilt.merge_heights is None:
            assert committed.merge_heights is None
        else:
            np.testing.assert_allclose(
                committed.merge_heights, rebuilt.merge_heights, rtol=0, atol=1e-5
            )


@pytest.mark.parametrize("name", [name for name in TREES if name.endswith("/wordnet")])
def test_nodes_of_wordnet_trees_have_wnid_and_gloss(name):
    tree = load_hierarchy(name)
    for node in range(len(tree)):
        assert set(tree.attributes(node)) == {"wnid", "gloss"}
    inner = [tree.attributes(node)["wnid"] for node in tree.inner]
    assert len(set(inner)) == len(inner)


@pytest.mark.parametrize("name", build.INDUCED)
def test_names_of_induced_trees_are_true(name):
    tree = load_hierarchy(name)
    wordnet = load_hierarchy(f"{name.partition('/')[0]}/wordnet")
    concepts = {wordnet.attributes(v)["wnid"]: v for v in wordnet.inner}
    for node in tree.inner:
        known = tree.attributes(node)
        if known["name_source"] == "leaves":
            continue
        mine, theirs = (
            set(tree.leaves(node)),
            set(wordnet.leaves(concepts[known["concept_wnid"]])),
        )
        assert known["precision"] == pytest.approx(len(mine & theirs) / len(mine), abs=1e-4)
        assert known["recall"] == pytest.approx(len(mine & theirs) / len(theirs), abs=1e-4)
        assert (tree.name(node) == known["concept"]) == (mine == theirs)
        assert tree.name(node).startswith("mostly ") == (not mine <= theirs)


def test_resnet20_parts_animals_from_vehicles():
    found = groups(load_hierarchy("cifar10/resnet20"))
    assert found["vehicle"] == {"airplane", "automobile", "ship", "truck"}
    assert found["vertebrate"] == {"bird", "cat", "deer", "dog", "frog", "horse"}


def test_mobilenet_v2_parts_artifacts_from_organisms():
    tree = load_hierarchy("imagenet1k/mobilenet_v2")
    sides = [tree.attributes(child)["concept"] for child in tree.children(tree.root)]
    assert sorted(sides) == ["artifact", "organism"]
    assert tree.sizes[tree.find("butterfly")] == 6


def test_imagenet_names_are_those_of_torchvision():
    names = ResNet18_Weights.DEFAULT.meta["categories"]
    assert [row.name for row in load_classes("imagenet1k")] == names


def test_words_of_cifar100_mean_what_its_images_show():
    tree = load_hierarchy("cifar100/wordnet")
    found = groups(tree)
    assert {"dolphin", "skunk"} <= found["mammal"]
    assert "trout" in found["fish"]
    assert "sweet_pepper" in found["produce"]
    assert "television" in found["electronic equipment"]


def test_the_committed_files_are_as_the_sources_make_them(sources, capsys):
    assert build.main(["--data", str(sources), "--check"]) == 0
    assert capsys.readouterr().err == ""


class TestBuild:
    @pytest.fixture
    def here(self, tmp_path, monkeypatch):
        monkeypatch.setattr(build, "HERE", tmp_path)
        return tmp_path

    def test_writes_every_file_anew(self, here, sources):
        assert build.main(["--data", str(sources)]) == 0
        written = {path.relative_to(here).as_posix(): path for path in here.rglob("*.*")}
        expected = {f"{name}.json" for name in TREES}
        expected |= {f"{name.partition('/')[0]}/classes.csv" for name in TREES}
        assert set(written) == expected
        for name, path in written.items():
            committed = resources.files("nbdt.hierarchies").joinpath(name).read_bytes()
            assert name.endswith(".json") or path.read_bytes() == committed

    def test_says_what_differs(self, sources, made, monkeypatch, capsys):
        lists = build.class_lists(sources)
        lists["digits"][0] = ("nought", "")
        changed = made | {
            "cifar10/resnet20": made["cifar10/wordnet"],
            "digits/shape": changed_in(made["digits/shape"], names=lambda old: [*old[:-1], "x"]),
            "cifar10/wordnet": changed_in(made["cifar10/wordnet"], attributes=lambda old: {}),
            "imagenet1k/mobilenet_v2": changed_in(
                made["imagenet1k/mobilenet_v2"], merge_heights=lambda old: old * 1.001
            ),
        }
        monkeypatch.setattr(build, "trees", lambda data: changed)
        monkeypatch.setattr(build, "class_lists", lambda data: lists)
        assert build.main(["--data", str(sources), "--check"]) == 1
        assert sorted(capsys.readouterr().err.splitlines()) == [
            "cifar10/resnet20: its parents differ.",
            "cifar10/wordnet: its attributes differ.",
            "digits/shape: its names differ.",
            "digits: its classes differ.",
            "imagenet1k/mobilenet_v2: its merge heights, by over 1e-05, differ.",
        ]

    def test_names_a_source_that_is_missing(self, here, capsys):
        assert build.main(["--data", str(here)]) == 1
        assert "fashion_mnist.csv is missing" in capsys.readouterr().err
        assert list(here.iterdir()) == []

    def test_asks_for_the_sources(self, monkeypatch, capsys):
        monkeypatch.delenv("NBDT_DATA", raising=False)
        with pytest.raises(SystemExit):
            build.main([])
        assert "NBDT_DATA" in capsys.readouterr().err


def changed_in(tree, **changes):
    """The tree with some of what it was made of replaced."""
    parts = {
        "names": tree.names,
        "merge_heights": tree.merge_heights,
        "attributes": {v: tree.attributes(v) for v in range(len(tree))},
    }
    return Hierarchy(
        tree.parents, **{key: changes.get(key, _same)(old) for key, old in parts.items()}
    )


def _same(old):
    return old
