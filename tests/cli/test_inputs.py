import numpy as np
import pytest

from nbdt.cli.inputs import (
    is_model,
    node_of,
    read_class_table,
    read_classes,
    read_options,
    read_rows,
    read_tree,
)
from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.pretrained import HIERARCHY

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "7", "pet", ""])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_tree_is_named_by_a_bundled_name_a_file_or_a_models_folder(model):
    save_hierarchy(TREE, "tree.json")
    assert read_tree("tree.json") == TREE
    assert read_tree("digits/shape") == load_hierarchy("digits/shape") == read_tree(str(model))
    assert is_model(str(model))
    assert not is_model("tree.json")
    assert (model / HIERARCHY).is_file()
    with pytest.raises(NotFoundError, match="did you mean 'digits/shape'"):
        read_tree("digits/shapes")


def test_a_node_is_named_by_its_name_before_its_id():
    assert node_of(TREE, "pet") == node_of(TREE, "3") == 3
    assert node_of(TREE, "7") == 2
    for name in ("8", "٣", "-1"):
        with pytest.raises(NotFoundError):
            node_of(TREE, name)


def test_classes_come_from_a_data_set_a_number_or_a_file(here):
    (here / "names.txt").write_text("cat\n\n  dog \n", encoding="utf-8")
    (here / "names.csv").write_text('wnid,name\nn1,"cat, tabby"\n,dog\n', encoding="utf-8")
    assert read_classes("fashion_mnist")[9] == "Ankle boot"
    assert read_classes("3") == ["0", "1", "2"]
    assert read_classes("names.txt") == ["cat", "dog"]
    rows = [(row.index, row.name, row.wnid) for row in read_class_table("names.csv")]
    assert rows == [(0, "cat, tabby", "n1"), (1, "dog", "")]
    (here / "names.csv").write_text("index,label\n0,cat\n", encoding="utf-8")
    with pytest.raises(FormatError, match="including 'name'"):
        read_classes("names.csv")
    with pytest.raises(NotFoundError, match="nor a data set with bundled classes; those are cifar"):
        read_classes("cifar")
    with pytest.raises(NotFoundError):
        read_classes("1" * 7)


def test_rows_come_from_an_array_or_a_table(here):
    array = np.array([[1.0, 2.5], [-3e-2, 4.0]])
    np.save("rows.npy", array)
    (here / "rows.csv").write_text("1,2.5\n\n-3e-2,4\n", encoding="utf-8")
    (here / "named.csv").write_text('"cat, tabby",1,2.5\ndog,-3e-2,4\n', encoding="utf-8")
    expected = {"rows.npy": None, "rows.csv": None, "named.csv": ["cat, tabby", "dog"]}
    for file, names in expected.items():
        found, rows = read_rows(file)
        assert found == names
        np.testing.assert_array_equal(rows, array)


@pytest.mark.parametrize(("text", "said"), [
    ("1,2\n3\n", "its lines differ in length"),
    ("1,x\n3,4\n", "'x' is not a number"),
    ("1,2\ncat,4\n", "'cat' is not a number"),
    ("", "its lines differ in length"),
])  # fmt: skip
def test_a_table_that_holds_no_rows(text, said, here):
    (here / "rows.csv").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=said):
        read_rows("rows.csv")


def test_an_array_that_cannot_be_read(here):
    np.save("pickled.npy", np.array([{}]), allow_pickle=True)
    np.savez("archive.npz", rows=np.zeros((2, 2)))
    (here / "archive.npz").rename("archive.npy")
    (here / "text.npy").write_bytes(b"1,2")
    (here / "empty.npy").touch()
    for name in ("text.npy", "empty.npy", "pickled.npy", "archive.npy"):
        with pytest.raises(FormatError, match=name):
            read_rows(name)
    (here / "folder.npy").mkdir()
    with pytest.raises(InputError, match=r"folder\.npy: cannot be read"):
        read_rows("folder.npy")
    with pytest.raises(NotFoundError, match=r"gone\.npy: no such file"):
        read_rows("gone.npy")


def test_options_are_json_or_a_file_of_it(here):
    (here / "options.json").write_text('{"crop": 224}', encoding="utf-8")
    assert read_options("options.json") == read_options(' {"crop": 224}') == {"crop": 224}
    (here / "list.json").write_text("[1]", encoding="utf-8")
    for source in ('{"crop": }', "list.json", "gone.json", '{"a": 1, "a": 2}'):
        with pytest.raises(NBDTError) as error:
            read_options(source)
        assert str(error.value).startswith(f"{source}: ")
