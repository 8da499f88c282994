import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, load_hierarchy
from nbdt.view.terminal import NARROWEST, to_rich, to_text
from tests.explain.samples import CAT, THING
from tests.strategies import caterpillar, hierarchies
from tests.view.samples import drawn_from, explain, flat, subjects

DRAWN = """\
       ▶ thing
  2 %  ├─ car
 98 %  └▶ animal
 75 %     ├▶ cat ✓
 25 %     └▷ dog (runner-up)"""


def test_an_explanation_in_its_tree() -> None:
    assert to_text(THING, CAT) == DRAWN


def test_an_explanation_alone() -> None:
    assert to_text(CAT) == DRAWN


def test_an_answer_above_the_classes() -> None:
    stopped = explain(THING, 2, stop=0)
    assert to_text(THING, stopped).splitlines()[0] == "       ▶ thing ✓"
    assert "├· car" in to_text(THING, stopped) or "└· animal" in to_text(THING, stopped)


@given(hierarchies(max_classes=20))
def test_a_tree_is_drawn_as_its_str(tree: Hierarchy) -> None:
    assert to_text(tree, folded=None).count("\n") == len(tree) - 1
    if all(name.isascii() and name.split() == name.split(" ") for name in tree.names):
        assert to_text(tree) == str(tree)


def test_bundled_trees_are_drawn_as_their_str() -> None:
    tree = load_hierarchy("imagenet1k/wordnet")
    assert to_text(tree) == str(tree)


@given(subjects(), st.integers(NARROWEST, 100))
@settings(max_examples=30)
def test_no_line_is_wider_than_asked_for(subject, width: int) -> None:  # type: ignore[no-untyped-def]
    tree, explanation = drawn_from(subject)
    lines = to_text(tree, explanation, width=width).split("\n")
    assert len(lines) == len(tree)
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", [NARROWEST, 40, 80])
def test_a_tree_deeper_than_the_line_is_wide_still_fits(width: int) -> None:
    lines = to_text(caterpillar(300), folded=None, width=width).split("\n")
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("… ")
    assert "class" in lines[-1] or "cl" in lines[-1]


def test_long_names_are_cut_in_their_middle() -> None:
    tree = Hierarchy([2, 2, -1], ["a name that goes on and on until its end", "b"])
    assert to_text(tree, width=32).splitlines()[1] == "├─ a name that goe…until its end"


def test_contents_give_way_before_names() -> None:
    tree = load_hierarchy("imagenet1k/wordnet")
    assert "animal (398 classes: barracouta, eel, …)" in to_text(tree, width=60)
    assert "animal (398 classes)\n" in to_text(tree, width=50)


def test_what_is_not_shown_is_counted() -> None:
    assert to_text(flat(1000)).endswith("└─ … 942 more (class 58, class 59, …)")


@given(subjects())
@settings(max_examples=30)
def test_rich_prints_the_same_lines(subject) -> None:  # type: ignore[no-untyped-def]
    tree, explanation = drawn_from(subject)
    console = Console(file=io.StringIO(), width=200)
    console.print(to_rich(tree, explanation))
    printed = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    expected = to_text(tree, explanation, width=200).split("\n")
    assert printed == [line.rstrip() for line in expected]


def test_rich_fits_its_console_and_has_colours() -> None:
    tree = load_hierarchy("imagenet1k/mobilenet_v2")
    console = Console(file=io.StringIO(), width=44, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        console.print(to_rich(tree, explain(tree)))
    assert "\x1b[1;34m" in captured.get()
    plain = Console(file=io.StringIO(), width=44)
    plain.print(to_rich(tree, explain(tree)))
    assert max(map(cell_len, plain.file.getvalue().splitlines())) <= 44  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [31, 0, -5, 40.5, "wide"])
def test_a_width_has_to_leave_room(width: object) -> None:
    with pytest.raises(InputError, match="at least 32 columns"):
        to_text(THING, width=width)  # type: ignore[arg-type]
