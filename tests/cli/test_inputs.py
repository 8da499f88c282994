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
    rows_in_order,
)
from nbdt.errors import FormatError, InputError, NBDTError, Note, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.classfile import ClassInfo
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
    with pytest.raises(NotFoundError, match="nor a data set with bundled classes; those are"):
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


def test_classes_come_from_a_list_or_a_folder_of_class_folders(here):
    for name in ("data/train/n01440764/x", "data/train/lime/x", "data/test/lime/x", ".git/x"):
        (here / name).mkdir(parents=True)
    assert read_classes("lemon, lime") == read_classes('"lemon",lime') == ["lemon", "lime"]
    assert read_classes("data") == read_classes("data/train") == ["lime", "n01440764"]
    assert [row.wnid for row in read_class_table("data")] == ["", "n01440764"]
    with pytest.raises(InputError, match="a class without a name"):
        read_classes("lemon,,lime")
    with pytest.raises(InputError, match="expected one subfolder for every class"):
        read_classes("data/test/lime/x")
    for name in ("lemon", "names,v2.txt"):
        with pytest.raises(NotFoundError, match="neither a file"):
            read_classes(name)


def test_equal_classes_are_made_distinct(here):
    (here / "names.txt").write_text("crane\ndog\ncrane\n", encoding="utf-8")
    (here / "names.csv").write_text("name,wnid\ncrane,n02012849\ncrane,n03126707\n", "utf-8")
    for source, expected in (
        ("names.txt", ["crane (0)", "dog", "crane (2)"]),
        ("crane,dog,crane", ["crane (0)", "dog", "crane (2)"]),
        ("names.csv", ["crane (n02012849)", "crane (n03126707)"]),
    ):
        with pytest.warns(Note, match="several classes are called 'crane'; they are now"):
            assert read_classes(source) == expected


WEIGHTS = np.array([[1, 0.1], [0.9, 0.2], [0.1, 1], [0, 0.9]])
NAMES, IDS = ["cat", "dog", "car", "bus"], ["3", "0", "2", "1"]


@pytest.mark.parametrize(("header", "names"), [
    ("class,0,1", NAMES), (",0,1", NAMES), ("species,f0,f1", NAMES), ("species,0,1", NAMES),
    ("f0,f1", None), ("0,1", None), (",0,1", IDS), ("id,a,b", IDS),
])  # fmt: skip
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.filterwarnings("ignore::nbdt.errors.Note")
def test_headings_and_ids_are_no_rows(header, names, delimiter, here):
    rows = [[*([name] if names else []), *map(str, row)]
            for name, row in zip(names or NAMES, WEIGHTS, strict=True)]  # fmt: skip
    lines = [header.split(","), *rows]
    text = "".join(delimiter.join(line) + "\r\n" for line in lines)
    (here / "rows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found, array = read_rows("rows.csv")
    assert found == names
    np.testing.assert_array_equal(array, WEIGHTS)


@pytest.mark.parametrize("names", [["nan", "cat", "inf", "7"], ["3", "0", "2", "1"]])
@pytest.mark.filterwarnings("ignore::nbdt.errors.Note")
def test_names_may_look_like_numbers(names, here):
    lines = [f"{n},{a},{b}\n" for n, (a, b) in zip(names, WEIGHTS, strict=True)]
    (here / "rows.csv").write_text("".join(lines), encoding="utf-8")
    found, array = read_rows("rows.csv")
    assert found == names
    np.testing.assert_array_equal(array, WEIGHTS)
    table = [ClassInfo(i, name, "") for i, name in enumerate(sorted(names))]
    expected = array[[names.index(row.name) for row in table]]
    np.testing.assert_array_equal(rows_in_order(array, names, table, "rows.csv"), expected)
    with pytest.raises(InputError, match="not those of the 4 classes: 'owl'"):
        rows_in_order(array, [*names[:3], "owl"], table, "rows.csv")


def test_whole_numbers_stay_rows(here):
    (here / "confusion.csv").write_text("5,1,0\n0,7,2\n1,1,9\n", encoding="utf-8")
    assert read_rows("confusion.csv")[0] is None
    (here / "confusion.csv").write_text("cat,0,1\ndog,1,0\n", encoding="utf-8")
    assert read_rows("confusion.csv")[0] == ["cat", "dog"]


@pytest.mark.parametrize(("text", "said"), [
    ("1,2\n3\n", "all of the same length"),
    ("1,x\n3,4\n", "'x' is not a number"),
    ("1.5,2\ncat,4\n", "'cat' is not a number"),
    ("", "is empty"),
    ("1.0 0.1\n0.9 0.2\n", "has blanks between its numbers, and commas are expected"),
    ("cat,1_0,0.1\ndog,0.9,0.2\n", "'1_0' is not a number"),
    ("cat,٣,1\ndog,1,1\n", "'٣' is not a number"),
    ("0,5;0,2\n0,1;0,3\n", "is not a number"),
    ("cat\ndog\n", "no numbers"),
    ('cat,"1\n', "not valid CSV"),
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
