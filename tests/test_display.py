"""`Displayed`: objects that show themselves, and who draws them."""

import subprocess
import sys

import pytest

import nbdt
from nbdt import display
from nbdt.display import Displayed, display_with


class Thing(Displayed):
    pass


@pytest.fixture
def renderer(monkeypatch):
    monkeypatch.setattr(display, "_renderers", [])
    display_with(lambda thing: {"text/plain": type(thing).__name__, "text/html": "<b>"})


@pytest.mark.usefixtures("renderer")
@pytest.mark.parametrize(("asked", "kinds"), [
    ({}, {"text/plain", "text/html"}),
    ({"include": {"text/html"}}, {"text/html"}),
    ({"exclude": {"text/html"}}, {"text/plain"}),
    ({"include": ["text/html"], "exclude": ["text/html"]}, set()),
    ({"include": None, "exclude": None}, {"text/plain", "text/html"}),
])  # fmt: skip
def test_a_notebook_gets_the_kinds_it_asks_for(asked, kinds):
    assert set(Thing()._repr_mimebundle_(**asked)) == kinds


@pytest.mark.usefixtures("renderer")
def test_the_last_renderer_draws():
    display_with(lambda thing: {"text/plain": "other"})
    assert Thing()._repr_mimebundle_() == {"text/plain": "other"}


def test_it_takes_no_room_in_objects_with_slots():
    tree = nbdt.Hierarchy([2, 2, -1], ["cat", "dog"])
    assert isinstance(tree, Displayed)
    assert not hasattr(tree, "__dict__")


def test_a_tree_alone_imports_neither_torch_nor_views():
    code = (
        "import sys, nbdt; nbdt.Hierarchy([2, 2, -1], ['a', 'b']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'nbdt.view')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
