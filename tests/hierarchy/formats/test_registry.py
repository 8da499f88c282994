"""How the format of a file is found, and what all formats keep."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from nbdt.errors import FormatError, InputError, NBDTError
from nbdt.hierarchy.formats import (
    from_dict,
    from_networkx,
    from_newick,
    from_sklearn_children,
    registry,
    to_dict,
    to_networkx,
    to_newick,
    to_sklearn_children,
)
from nbdt.hierarchy.formats.registry import (
    Format,
    formats,
    read_tree,
    written_formats,
    written_tree,
)
from nbdt.hierarchy.library import load_hierarchy, read_hierarchy, save_hierarchy
from nbdt.hierarchy.tree import Hierarchy
from tests.hierarchy.formats.samples import pets
from tests.strategies import caterpillar


@pytest.mark.parametrize("kind", written_formats(), ids=lambda kind: kind.name)
def test_every_format_reads_what_it_writes(kind: Format, tmp_path: Path) -> None:
    tree = pets(merge_heights=[0, 0, 0, 1, 2], attributes={0: {"wnid": "n1"}})
    path = tmp_path / f"tree{kind.suffixes[0]}"
    path.write_text(written_tree(tree, path, kind.name), encoding="utf-8")
    assert load_hierarchy(path) == tree
    swapped = read_hierarchy(path, ["dog", "cat", "car"])
    assert swapped.classes == ("dog", "cat", "car")
    assert swapped.leaves(swapped.find("animal")) == (0, 1)
    error: type[NBDTError] = InputError
    said = "only graphs of the 2020 release have a list of wnids; leave it out"
    if kind.name == "node-link":
        error, said = FormatError, "class 0, 'n1', is not a node of the graph"
    with pytest.raises(error, match=f"^{path}: {said}"):
        read_hierarchy(path, wnids=["n1", "n2", "n3"])


@pytest.mark.parametrize("suffix", ["", ".json", ".JSON", ".txt", ".nwk", ".tree", ".Newick"])
def test_the_suffix_says_the_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"tree{suffix}"
    save_hierarchy(pets(), path)
    is_newick = suffix.lower() in (".nwk", ".tree", ".newick")
    assert path.read_text(encoding="utf-8")[0] == ("(" if is_newick else "{")
    assert load_hierarchy(path) == pets()


def test_a_format_that_is_unknown_or_only_read_is_not_written() -> None:
    for name in ("dot", "2020"):
        with pytest.raises(InputError, match=f"hierarchy, newick, node-link; got '{name}'"):
            written_tree(pets(), "tree.json", name)


def test_others_add_formats_as_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(text: str, classes: object) -> Hierarchy:
        return Hierarchy([int(parent) for parent in text.split()], list("abc"))

    added = Format("numbers", (".num",), read, lambda tree: " ".join(map(str, tree.parents)))

    class Entry:
        def load(self) -> Format:
            return added

    monkeypatch.setattr(
        metadata, "entry_points", lambda group: [Entry()] if group == "nbdt.formats" else []
    )
    registry.formats.cache_clear()
    try:
        tree = Hierarchy([3, 3, 4, 4, -1], list("abc"))
        assert formats()["numbers"] is added
        assert read_tree(written_tree(tree, "some.num"), ".num") == tree
    finally:
        monkeypatch.undo()
        registry.formats.cache_clear()
    assert "numbers" not in formats()


@pytest.mark.parametrize("to", [to_dict, to_networkx, to_newick, to_sklearn_children])
def test_the_deepest_tree_survives_every_format(to: Callable[[Hierarchy], Any]) -> None:
    tree = caterpillar(5_000)
    back = {
        to_dict: from_dict,
        to_networkx: from_networkx,
        to_newick: from_newick,
        to_sklearn_children: lambda merges: from_sklearn_children(*merges, tree.names),
    }[to]
    assert back(to(tree)) == tree
    if to is to_newick:
        again = from_newick(to_newick(tree, notes=False), classes=tree.classes)
        assert again == tree
