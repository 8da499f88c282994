import json
import shutil
from pathlib import Path

import pytest
import torch

from nbdt.classifiers import find_head
from nbdt.errors import NBDTError
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.hierarchy.shapes import balanced, flat
from nbdt.hierarchy.support import resampled_trees, support_labels, support_of, with_support
from nbdt.model import NBDT
from tests.cli.conftest import Run, is_one_sentence

RESNET = load_hierarchy("cifar10/resnet20")
WORDNET = load_hierarchy("cifar10/wordnet")


def test_other_trees_are_looked_through_for_the_groups(run: Run) -> None:
    result = run("tree", "support", "cifar10/resnet20", "cifar10/wordnet", "cifar10/resnet20")
    assert (result.exit_code, result.stderr) == (0, "")
    known = with_support(RESNET, [WORDNET, RESNET])
    drawing = known.to_text(labels=support_labels(known))
    shares = list(support_of(known).values())
    assert result.stdout == (
        f"{drawing}\n\nSupport in 2 trees: {100 * sum(shares) / 8:.0f} % on average; "
        f"{shares.count(1.0)} of 8 groups are in at least 95 % of them.\n"
    )


@pytest.mark.parametrize("noise", [None, 0.5])
def test_trees_are_made_of_the_weights_of_a_model(run: Run, model: Path, noise: float) -> None:
    drawn = [] if noise is None else ["--noise", noise]
    asked = ["--count", 6, "--seed", 3, "--linkage", "average", "--no-normalize", *drawn]
    result = run("tree", "support", model, *asked, "--json")
    loaded = NBDT.from_pretrained(model)
    rows = find_head(loaded.network, loaded.head).rows.double().numpy()
    options = {"linkage": "average", "normalize": False}
    # The tree of the fixture comes from elsewhere, so few of its groups come back.
    trees = resampled_trees(rows, loaded.classes, count=6, noise=noise, seed=3, **options)
    expected = with_support(loaded.hierarchy, trees)
    document = json.loads(result.stdout)
    assert {one["node"]: one["support"] for one in document["nodes"]} == support_of(expected)
    assert (document["tree"], document["trees"], document["count"]) == (str(model), 6, 6)
    assert document.get("noise") == noise


def test_it_is_kept_where_the_tree_is(run: Run, model: Path) -> None:
    shutil.copytree(model, "mine")
    tree = load_hierarchy("digits/shape")
    save_hierarchy(tree, "tree.json")
    result = run("tree", "support", "mine", "tree.json", "--save", "--json")
    assert json.loads(result.stdout)["output"] == "mine"
    expected = with_support(tree, [tree])
    assert NBDT.from_pretrained("mine").hierarchy == expected
    assert run("tree", "support", "tree.json", "mine", "--save").stdout.endswith(
        "Wrote tree.json.\n"
    )
    assert load_hierarchy("tree.json") == expected
    run("tree", "support", "digits/shape", "mine", "-o", "other.json")
    assert load_hierarchy("other.json") == expected
    assert load_hierarchy("digits/shape") == tree
    # The tree shows it from then on.
    assert "(100 %)" in run("tree", "show", "other.json").stdout
    run("tree", "draw", "other.json", "-o", "other.svg")
    assert ">100 %</text>" in Path("other.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cifar10/resnet20"], "not a model's folder, so there are no weights"),
        (["cifar10/resnet20", "digits/shape"], "other classes"),
        (["cifar10/resnet20", "cifar10/wordnet", "--count", 5], "leave out either them or"),
        (["cifar10/resnet20", "cifar10/wordnet", "--no-normalize"], "leave out either them or"),
        (["cifar10/resnet20", "cifar10/wordnet", "--save"], "bundled trees are read-only"),
        (["flat.json", "flat.json"], "no group of classes below its root"),
    ],
)
def test_what_has_no_support(arguments: list[object], said: str, run: Run) -> None:
    save_hierarchy(flat(4), "flat.json")
    result = run("tree", "support", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert is_one_sentence(result.stderr)
    if said != "other classes":  # the words are those of the library
        assert said in result.stderr
    else:
        with pytest.raises(NBDTError) as error:
            with_support(RESNET, [load_hierarchy("digits/shape")])
        assert str(error.value) in result.stderr


def test_a_model_whose_head_is_not_known_is_refused(run: Run) -> None:
    NBDT(torch.nn.Identity(), balanced(4)).save_pretrained("plain")
    result = run("tree", "support", "plain")
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr)
