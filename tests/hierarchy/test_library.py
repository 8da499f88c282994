import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.hierarchy import library
from nbdt.hierarchy.library import (
    ClassInfo,
    list_datasets,
    list_hierarchies,
    load_classes,
    load_hierarchy,
    save_hierarchy,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import hierarchies

PETS = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", ""])
FLAT = Hierarchy([3, 3, 3, -1], ["cat", "dog", "car"])


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bundle in the place of the real one."""
    root = tmp_path / "bundle"
    for place, tree in {"pets/taxonomy": PETS, "pets/flat": FLAT, "toys/flat": FLAT}.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        save_hierarchy(tree, root / f"{place}.json")
    (root / "pets/classes.csv").write_text('index,name,wnid\n0,cat,n02121620\n1,"dog, big",\n')
    (root / "__pycache__").mkdir()
    (root / "__pycache__/x.json").write_text("{}")
    (root / "README.md").write_text("read me")
    save_hierarchy(PETS, tmp_path / "outside.json")
    monkeypatch.setattr(library, "_bundled", lambda: root)
    return root


# ── bundled trees ─────────────────────────────────────────────────────────────────────────────


def test_bundled_trees_are_listed_and_loaded_by_name(bundled: Path) -> None:
    assert list_hierarchies() == ["pets/flat", "pets/taxonomy", "toys/flat"]
    assert load_hierarchy("pets/taxonomy") == PETS
    assert load_hierarchy("toys/flat") == FLAT


def test_every_tree_that_is_really_bundled_loads_and_fits_its_classes() -> None:
    names = list_hierarchies()
    assert names == sorted(set(names))
    for name in names:
        tree = load_hierarchy(name)
        dataset = name.split("/")[0]
        if dataset in list_datasets():
            assert tree.num_classes == len(load_classes(dataset))


def test_unknown_name_suggests_near_ones(bundled: Path) -> None:
    with pytest.raises(NotFoundError, match=r"'pets/taxonomi'; did you mean 'pets/taxonomy'"):
        load_hierarchy("pets/taxonomi")
    with pytest.raises(NotFoundError, match=r"available: pets/flat, pets/taxonomy, toys/flat\."):
        load_hierarchy("xyz")
    with pytest.raises(NotFoundError, match="no bundled hierarchy or file") as caught:
        load_hierarchy("x" * 100_000)
    assert len(str(caught.value)) < 400


def test_nothing_bundled_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_bundled", lambda: tmp_path)
    assert list_hierarchies() == list_datasets() == []
    with pytest.raises(NotFoundError, match="none are available"):
        load_hierarchy("pets/flat")


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "pets/../../outside",
        "pets/../pets/flat",
        "/etc/passwd\0",
        "",
        ".",
        "pets",
        "\0",
    ],
)
def test_names_lead_nowhere_else(bundled: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        load_hierarchy(name)


def test_bundled_name_wins_over_a_file_of_that_name(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    save_hierarchy(FLAT, "pets/taxonomy")
    save_hierarchy(FLAT, "pets/mine")
    assert load_hierarchy("pets/taxonomy") == PETS
    assert load_hierarchy(Path("pets/taxonomy")) == FLAT
    assert load_hierarchy("pets/mine") == FLAT


def test_damaged_bundled_file_names_itself(bundled: Path) -> None:
    (bundled / "pets/flat.json").write_text("{")
    with pytest.raises(FormatError, match=r"^pets/flat: is not valid JSON"):
        load_hierarchy("pets/flat")


# ── bundled classes ───────────────────────────────────────────────────────────────────────────


def test_classes_come_in_order_with_their_wnids(bundled: Path) -> None:
    assert list_datasets() == ["pets"]
    assert load_classes("pets") == (ClassInfo(0, "cat", "n02121620"), ClassInfo(1, "dog, big", ""))
    with pytest.raises(NotFoundError, match=r"'pet'; did you mean 'pets'"):
        load_classes("pet")
    with pytest.raises(NotFoundError, match="no data set"):
        load_classes("../pets")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "including 'index' and 'name' and 'wnid'"),
        ("index,name\n0,cat\n", "columns"),
        ("index,name,wnid\n1,cat,\n", "line 2 must be 0,name,wnid"),
        ("index,name,wnid\n0,cat,\n0,dog,\n", "line 3 must be 1,name,wnid"),
        ("index,name,wnid\n0,cat\n", "line 2"),
        ("index,name,wnid\n0, ,\n", "line 2"),
    ],
)
def test_damaged_classes_are_refused(bundled: Path, text: str, message: str) -> None:
    (bundled / "pets/classes.csv").write_text(text)
    with pytest.raises(FormatError, match=rf"^pets/classes.csv: .*{message}"):
        load_classes("pets")


# ── files ─────────────────────────────────────────────────────────────────────────────────────


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(hierarchies())
def test_save_and_load_is_the_identity(tmp_path: Path, tree: Hierarchy) -> None:
    save_hierarchy(tree, tmp_path / "tree.json")
    assert load_hierarchy(tmp_path / "tree.json") == tree
    assert load_hierarchy(str(tmp_path / "tree.json")) == tree


def test_files_have_a_line_a_key_and_a_line_a_node(tmp_path: Path) -> None:
    tree = Hierarchy([2, 2, -1], ["café", "b"], attributes={0: {"a": 1}, 2: {"b": None}})
    save_hierarchy(tree, tmp_path / "tree.json")
    assert (tmp_path / "tree.json").read_text(encoding="utf-8") == (
        '{\n"schema": "nbdt.hierarchy/1",\n"parents": [2, 2, -1],\n"names": ["café", "b", ""],\n'
        '"attributes": {\n"0": {"a": 1},\n"2": {"b": null}\n}\n}\n'
    )


def test_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"tree\.json: no such file"):
        load_hierarchy(tmp_path / "tree.json")
    with pytest.raises(NotFoundError, match="no such file"):
        load_hierarchy("a/" + "b" * 5000 + ".json")


def test_folders_and_pipes_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not an ordinary file"):
        load_hierarchy(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match=r"pipe\.json: is not an ordinary file"):
        load_hierarchy(tmp_path / "pipe.json")


def test_unreadable_file_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tree.json"
    save_hierarchy(PETS, path)

    def refuse(*_: object, **__: object) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"tree\.json: cannot be read: Permission denied"):
        load_hierarchy(path)


# ── writing in one step ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("before", [PETS, None])
def test_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: Hierarchy | None
) -> None:
    path = tmp_path / "tree.json"
    if before is not None:
        save_hierarchy(before, path)

    def fail(*_: object) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(InputError, match=r"tree\.json: cannot be written: No space left"):
        save_hierarchy(FLAT, path)
    assert [file.name for file in tmp_path.iterdir()] == (["tree.json"] if before else [])
    assert before is None or load_hierarchy(path) == before


def test_interrupted_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tree.json"
    save_hierarchy(PETS, path)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_hierarchy(FLAT, path)
    assert [file.name for file in tmp_path.iterdir()] == ["tree.json"]
    assert load_hierarchy(path) == PETS


def test_tree_that_json_cannot_hold_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    save_hierarchy(PETS, path)
    with pytest.raises(FormatError, match="node 2 is a set"):
        save_hierarchy(Hierarchy([2, 2, -1], ["a", "b"], attributes={2: {"x": {1}}}), path)
    assert load_hierarchy(path) == PETS
    assert len(list(tmp_path.iterdir())) == 1


def test_writing_needs_a_folder_and_a_file_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing/tree\.json: cannot be written: No such file"):
        save_hierarchy(PETS, tmp_path / "missing/tree.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: cannot be written"):
        save_hierarchy(PETS, tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_writing_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real/tree.json", tmp_path / "link.json"
    save_hierarchy(PETS, target)
    link.symlink_to(target)
    save_hierarchy(FLAT, link)
    assert link.is_symlink()
    assert json.loads(target.read_text())["parents"] == [3, 3, 3, -1]
