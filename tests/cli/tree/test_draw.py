import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Run, is_one_sentence


@pytest.mark.parametrize("source", ["digits/shape", "a model"])
def test_a_tree_is_drawn_as_svg(source: str, run: Run, model: Path, tmp_path: Path) -> None:
    tree = model if source == "a model" else source
    assert run("tree", "draw", tree, "-o", "tree.svg").stdout == "Wrote tree.svg.\n"
    root = ElementTree.parse(tmp_path / "tree.svg").getroot()
    words = {text.strip() for element in root.iter() for text in [element.text or ""]}
    assert {"zero", "seven", "nine"} <= words


def test_a_page_holds_the_tree(run: Run, tmp_path: Path) -> None:
    assert run("tree", "draw", "cifar10/wordnet", "-o", "tree.html").exit_code == 0
    assert "automobile" in (tmp_path / "tree.html").read_text(encoding="utf-8")


def test_options_change_the_picture(run: Run, tmp_path: Path) -> None:
    def drawn(*options: object) -> str:
        result = run("tree", "draw", "imagenet1k/wordnet", "-o", "tree.svg", *options)
        assert result.exit_code == 0, result.stderr
        return (tmp_path / "tree.svg").read_text(encoding="utf-8")

    folded = drawn()
    assert drawn("--orientation", "vertical") != folded
    assert "tench" not in folded
    assert "tench" in drawn("--whole")


def test_heights_are_those_of_the_merges(run: Run, tmp_path: Path) -> None:
    assert run("tree", "draw", "cifar10/resnet20", "-o", "a.svg", "--heights").exit_code == 0
    assert run("tree", "draw", "cifar10/resnet20", "-o", "b.svg").exit_code == 0
    assert (tmp_path / "a.svg").read_text() != (tmp_path / "b.svg").read_text()
    assert is_one_sentence(
        run("tree", "draw", "cifar10/wordnet", "-o", "c.svg", "--heights").stderr
    )
    assert is_one_sentence(run("tree", "draw", "digits/shape", "-o", "c.html", "--heights").stderr)


@pytest.mark.parametrize("option", [("--whole",), ("--orientation", "horizontal")])
def test_what_a_page_has_no_use_for_is_refused(
    option: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    result = run("tree", "draw", "digits/shape", "-o", "tree.html", *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert is_one_sentence(result.stderr)
    assert option[0] in result.stderr
    assert not (tmp_path / "tree.html").exists()


def test_graphviz_text(run: Run, tmp_path: Path) -> None:
    assert run("tree", "draw", "digits/shape", "-o", "tree.dot").exit_code == 0
    assert (tmp_path / "tree.dot").read_text().startswith("digraph")


@pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot is not installed")
@pytest.mark.parametrize(("name", "start"), [("tree.png", b"\x89PNG"), ("tree.pdf", b"%PDF")])
def test_graphviz_pictures(name: str, start: bytes, run: Run, tmp_path: Path) -> None:
    assert run("tree", "draw", "digits/shape", "-o", name).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(start)


def test_without_graphviz_a_sentence_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    result = run("tree", "draw", "digits/shape", "-o", "tree.png")
    assert is_one_sentence(result.stderr)
    assert "dot" in result.stderr
    assert not (tmp_path / "tree.png").exists()


@pytest.mark.parametrize("name", ["tree.jpg", "tree"])
def test_other_endings_are_refused(name: str, run: Run) -> None:
    result = run("tree", "draw", "digits/shape", "-o", name)
    assert (result.exit_code, is_one_sentence(result.stderr)) == (2, True)
