import json
from pathlib import Path

import pytest

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import from_dict
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from tests.cli.conftest import Run, is_one_sentence

SHAPE = load_hierarchy("digits/shape")


@pytest.mark.usefixtures("model")
def test_a_tree_is_drawn(run: Run, model: Path) -> None:
    assert run("tree", "show", "digits/shape").stdout == f"{SHAPE}\n"
    assert run("tree", "show", model).stdout == f"{SHAPE}\n"


def test_lines_are_limited_unless_all_are_asked_for(run: Run) -> None:
    def lines(*options: object) -> int:
        return len(run("tree", "show", "imagenet1k/wordnet", *options).stdout.splitlines())

    assert (lines("--max-lines", 7), lines("--max-lines", 0)) == (7, 1372)
    assert 50 < lines() <= 60
    assert run("tree", "show", "digits/shape", "--max-lines", -1).exit_code == 2


def test_a_part_keeps_the_names_and_ids_of_its_nodes(run: Run, tmp_path: Path) -> None:
    tree = Hierarchy([4, 5, 5, 6, 6, 4, -1], ["ant", "bee", "cat", "dog"])
    save_hierarchy(tree, tmp_path / "tree.json")
    result = run("tree", "show", "tree.json", "--node", 4, "--ids")
    assert result.stdout.splitlines() == [
        "node 4 [4]", "├─ ant [0]", "└─ node 5 [5]", "   ├─ bee [1]", "   └─ cat [2]"
    ]  # fmt: skip
    assert run("tree", "show", "tree.json", "--node", 4).stdout.startswith("node 4\n├─ ant\n")
    assert run("tree", "show", "tree.json", "--node", "node 5").stdout.startswith(
        "node 5\n├─ bee\n"
    )
    part = from_dict(json.loads(run("tree", "show", "tree.json", "--node", 4, "--json").stdout))
    assert part == tree.subtree(4)


def test_json_is_the_tree_itself(run: Run) -> None:
    assert from_dict(json.loads(run("tree", "show", "digits/shape", "--json").stdout)) == SHAPE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digits/shapes"], "did you mean 'digits/shape'"),
        (["gone.json"], "gone.json: there is no such file"),
        (["digits/shape", "--node", "stroke"], "no node is called 'stroke'"),
        (["digits/shape", "--node", "one"], "is a leaf"),
        (["digits/shape", "--node", "node 18"], "no node is called 'node 18'"),
        (["digits/shape", "--node", "99"], "there is no node 99"),
        (["bad.json"], "bad.json: is not valid JSON"),
    ],
)
def test_what_cannot_be_shown(arguments: list[str], said: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"schema"', encoding="utf-8")
    result = run("tree", "show", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert is_one_sentence(result.stderr)
