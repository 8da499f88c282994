import codecs
import json

import pytest

from nbdt.errors import FormatError
from nbdt.hierarchy.classfile import ClassInfo, read_class_file
from nbdt.hierarchy.taxonomy import read_parents

PETS = [ClassInfo(0, "cat", "n1"), ClassInfo(1, "dog, tame", ""), ClassInfo(2, "fox", "")]


def read(folder, name, text):
    (folder / name).write_bytes(text.encode())
    return read_class_file(folder / name)


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.tsv", "a.txt"])
def test_tables_of_classes(tmp_path, delimiter, end, name):
    for rows in (
        ["name,wnid", "cat,n1", '"dog, tame",', "fox,"],
        ["Index,Name,WNID", "2,fox,", "0,cat,n1", '1,"dog, tame",'],
        [",name,wnid", '1,"dog, tame",', "2,fox,", "0,cat,n1", ""],
        ["id,wnid,name", "0,n1,cat", '1,,"dog, tame"', "2,,fox"],
    ):
        text = "\ufeff" + end.join(rows).replace(",", delimiter)
        assert read(tmp_path, name, text.replace(f"dog{delimiter} tame", "dog, tame")) == PETS


@pytest.mark.parametrize("value", [
    ["cat", "dog, tame", "fox"],
    {"2": "fox", "0": "cat", "1": "dog, tame"},
    {"fox": 2, "cat": 0, "dog, tame": 1},
    {"0": ["", "cat"], "1": ["", "dog, tame"], "2": ["", "fox"]},
    {"model_type": "resnet", "id2label": {"0": "cat", "1": "dog, tame", "2": "fox"}},
])  # fmt: skip
def test_json(tmp_path, value):
    for name, indent in (("a.json", None), ("A.JSON", 1), ("a.txt", 1)):
        found = read(tmp_path, name, json.dumps(value, indent=indent))
        assert [row.name for row in found] == [row.name for row in PETS]


def test_text_is_cut_at_line_breaks_only(tmp_path):
    odd = ["cat\u2028black", "dog\x85", "a\x0bb\x0cc\x1cd", "[fox", "{"]
    names = [name.strip() for name in odd]
    for end in ("\n", "\r\n", "\r"):
        assert [r.name for r in read(tmp_path, "a.txt", end.join(odd) + end * 2)] == names
    quoted = read(tmp_path, "a.csv", 'name\n"two\nlines"\n"cat\x85black"\n')
    assert [row.name for row in quoted] == ["two\nlines", "cat\x85black"]
    synsets = read(tmp_path, "a.txt", "n01440764 tench, Tinca tinca\nn02123045\ttabby\n")
    assert synsets == [
        ClassInfo(0, "tench, Tinca tinca", "n01440764"),
        ClassInfo(1, "tabby", "n02123045"),
    ]


@pytest.mark.parametrize(("name", "text", "said"), [
    ("a.csv", "index,name\n0,cat\n2,dog\n5,bird\n", "must be 0 to 2, .*but 1 is missing"),
    ("a.csv", "index,name\n3,bird\n1,cat\n2,dog\n", "0 is missing and there is 3"),
    ("a.csv", "index,name\n0,bird\n0,cat\n", "the index 0 twice"),
    ("a.csv", "index,name\n0,bird\n1.0,cat\n", "line 3: index is '1.0'; expected a class's index"),
    ("a.csv", "index,name\n0,bird\n,cat\n", "line 3: index is ''"),
    ("a.csv", "label,wnid\ncat,\n", "including 'name'; it has 'label', 'wnid'"),
    ("a.csv", "name,name\ncat,dog\n", "names a column twice"),
    ("a.csv", "name,wnid\ncat\n", "line 2: expected 2 values, got 1"),
    ("a.csv", 'name\n"cat\n', "not valid CSV"),
    ("a.csv", "name,wnid\n,n1\n", "class 0 has no name"),
    ("a.csv", "name\n", "lists no classes"),
    ("a.csv", "", "including 'name'"),
    ("a.txt", "\n\n", "lists no classes"),
    ("a.json", '{"0": "cat", "2": "dog"}', "1 is missing"),
    ("a.json", '{"cat": 0, "dog": 0}', "the index 0 twice"),
    ("a.json", '{"a": "cat"}', "a key is 'a'"),
    ("a.json", '[{"id": 0}]', "expected a list of names"),
    ("a.json", '"cat"', "expected a list of names"),
    ("a.json", '["cat",', "not valid JSON"),
    ("a.yaml", "- cat\n- dog\n", "is YAML, which is not read"),
    ("a.YML", "0: cat\n", "is YAML, which is not read"),
])  # fmt: skip
def test_lists_that_are_refused(tmp_path, name, text, said):
    with pytest.raises(FormatError, match=rf"{name}: .*{said}"):
        read(tmp_path, name, text)


def test_parents_are_read_like_every_table(tmp_path):
    text = '\ufeffchild;parent\r\n"cat\u2028black";pet\r\npet;\r\n'
    (tmp_path / "kinds.csv").write_bytes(text.encode())
    assert (tmp_path / "kinds.csv").read_bytes().startswith(codecs.BOM_UTF8)
    assert read_parents(tmp_path / "kinds.csv") == [("cat\u2028black", "pet"), ("pet", None)]
