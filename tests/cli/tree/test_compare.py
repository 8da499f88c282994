import json
import xml.etree.ElementTree as ET
from pathlib import Path

from nbdt.hierarchy import compare, load_hierarchy
from nbdt.view.svg.tanglegram import tanglegram_svg
from tests.cli.conftest import Run, is_one_sentence

A, B = "cifar10/resnet20", "cifar10/wordnet"


def test_numbers_are_those_of_the_library_and_shared_groups_are_marked(run: Run) -> None:
    found = compare.compare(load_hierarchy(A), load_hierarchy(B))
    result = run("tree", "compare", A, B)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(f"\n\n{found}\n")
    lines = result.stdout.splitlines()
    assert lines[0] == "whole = whole"
    marked = [line for line in lines if " = " in line]
    assert len(marked) == len(found.shared) + 1
    assert any("motor vehicle = motor vehicle" in line for line in marked)
    assert not any("bird, frog = " in line for line in lines)


def test_json_holds_all_numbers(run: Run) -> None:
    found = compare.compare(load_hierarchy(A), load_hierarchy(B))
    document = json.loads(run("tree", "compare", A, B, "--json").stdout)
    assert document == {"tree": A, "other": B, **found.to_dict()}


def test_lines_are_limited_unless_all_are_asked_for(run: Run) -> None:
    def lines(*options: object) -> int:
        names = "cifar100/wordnet", "cifar100/wordnet"
        return len(run("tree", "compare", *names, *options).stdout.splitlines())

    assert lines("--max-lines", 5) < 5 + 5
    assert lines("--max-lines", 0) > 152


def test_trees_of_other_classes_are_refused_in_one_sentence(run: Run) -> None:
    result = run("tree", "compare", A, "digits/shape")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "but these have no class in common" in result.stderr
    assert "only the first has 10 (airplane, automobile, …)" in result.stderr
    assert "only the second has 10 (zero, one, …)" in result.stderr
    assert "restrict" not in result.stderr
    assert is_one_sentence(result.stderr)


def test_both_are_drawn_where_a_file_is_given(run: Run) -> None:
    result = run("tree", "compare", A, B, "-o", "both.svg")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("\n\nWrote both.svg.\n")
    expected = tanglegram_svg(load_hierarchy(A), load_hierarchy(B), titles=(A, B))
    assert Path("both.svg").read_text("utf-8") == expected
    ET.fromstring(expected)
    document = json.loads(run("tree", "compare", A, B, "-o", "both.svg", "--json").stdout)
    assert document["output"] == "both.svg"


def test_other_pictures_are_refused_in_one_sentence(run: Run) -> None:
    result = run("tree", "compare", A, B, "-o", "both.png")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "drawn as .svg" in result.stderr
    assert is_one_sentence(result.stderr)
