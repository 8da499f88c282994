"""Labeled samples in one file, and in folders of files that are no images."""

import json

import numpy as np
import pytest
import torch

from nbdt.data import LabelledImages, LabelledSamples, load_dataset
from nbdt.data.rows import targets_of, unlabelled_rows
from nbdt.errors import InputError, NBDTError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.inputs import ArrayInput, TableInput, TextInput
from nbdt.inputs.image import Preprocessing

CSV = "age,job,income\n39, clerk, >50K\n50, ?, <=50K\n38, tech, <=50K\n61, clerk, >50K\n"
TABLE = TableInput.from_frame({"job": ["clerk", "tech", "?"], "age": [1, 2, 3]})
CLASSES = (">50K", "<=50K")


@pytest.fixture
def adult(tmp_path):
    path = tmp_path / "adult.csv"
    path.write_text(CSV)
    return path


def test_rows_of_a_table_as_the_model_reads_them(adult):
    data = load_dataset(adult, label="income", classes=CLASSES, preprocessing=TABLE)
    assert data[0] == ({"job": "clerk", "age": 39}, 0)
    assert data.targets.tolist() == [0, 1, 1, 0]
    assert data.names() == [f"{adult}, row {i}" for i in (1, 2, 3, 4)]
    assert repr(data) == "LabelledSamples(4 samples, 2 classes: >50K, <=50K)"


def test_without_a_model_columns_have_the_types_that_they_look_of(adult):
    data = load_dataset(adult, label="income", ignore=["job"])
    assert data[3] == ({"age": 61}, 1)
    assert data.classes == ("<=50K", ">50K")
    assert data.with_preprocessing(TableInput.from_names(["age"]))[3][0] == {"age": 61}


def test_views_of_rows_share_what_views_of_images_do(adult):
    data = load_dataset(adult, label="income", classes=CLASSES, preprocessing=TABLE)
    left, right = data.split(0.5, seed=0)
    names = {*left.names(), *right.names()}
    assert (len(left), len(right), len(names)) == (2, 2, 4)
    assert data.filter_classes(["<=50K"])[0][0]["age"] == 50
    assert data.regroup(Hierarchy([2, 2, -1], CLASSES), [2]).targets.tolist() == [0] * 4
    assert len(data.subset(2)) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preprocessing": TABLE}, r"say which column has the classes \(--label, .*: income\."),
        ({"label": "incom"}, "no column 'incom'; did you mean 'income'"),
        ({"label": "income", "ignore": ["ages"]}, "no column 'ages'"),
        ({"label": "income", "classes": ["<=50K.", ">50K."]}, "'>50K' .2 samples. is not one of "
         "the model's 2 classes, nor is 1 other; did you mean '>50K.'"),
        ({"label": "age", "classes": CLASSES}, "label '39' .1 sample. is not one"),
        ({"label": "income", "preprocessing": TextInput()}, "say which column has it .--column"),
        ({"label": "income", "preprocessing": TextInput(), "column": "text"}, "no column 'text'"),
        ({"label": "income", "preprocessing": TABLE, "ignore": ["age"]}, "lacks the column 'age'"),
        ({"label": "income", "split": "train"}, "a file has no split 'train'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(adult, options, words):
    with pytest.raises(NBDTError, match=words) as caught:
        load_dataset(adult, **options)
    assert str(caught.value).startswith(str(adult))


def test_labels_by_name_wnid_or_index():
    classes = ["crane (n02012849)", "crane (n03126707)", "dog"]
    wnids = ["n02012849", "n03126707", "n02084071"]
    assert targets_of(["dog", "n03126707"], classes, wnids)[0].tolist() == [2, 1]
    assert targets_of([2, 0], classes)[0].tolist() == [2, 0]
    assert targets_of([1, 0], ["1", "0"])[0].tolist() == [0, 1]
    assert targets_of([10.0, 9, 2])[1] == ("2", "9", "10")
    for labels, words in (
        (["crane"], "may mean 'crane .n02012849.' or 'crane .n03126707.'"),
        (["dog", "cow"], "the label 'cow'"),
        (["dog", ""], "row 2 has no label"),
        ([3, 0], "the label '3'"),
    ):
        with pytest.raises(InputError, match=words):
            targets_of(labels, classes, wnids)


def test_texts_in_a_column_and_in_folders(tmp_path):
    rows = [{"text": "so good", "stars": 5}, {"text": "bad", "stars": 1}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = load_dataset(tmp_path / "a.jsonl", label="stars", preprocessing=TextInput())
    assert (data.classes, list(data)) == (("1", "5"), [("so good", 1), ("bad", 0)])
    (tmp_path / "b.csv").write_text('id,said,kind\n1,"so, good",praise\n2,bad,blame\n')
    data = load_dataset(tmp_path / "b.csv", label="kind", column="said", preprocessing=TextInput())
    assert data[0] == ("so, good", 1)
    found = unlabelled_rows(tmp_path / "b.csv", TextInput(), ignore=["kind", "id"])
    assert list(found) == ["so, good", "bad"]
    for name in ("praise", "blame"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        (tmp_path / "texts" / name / "1.txt").write_text(name)
    data = load_dataset(tmp_path / "texts", classes=["praise", "blame"], preprocessing=TextInput())
    assert list(data) == [("blame", 1), ("praise", 0)]
    assert data.names()[0] == str(tmp_path / "texts" / "blame" / "1.txt")
    with pytest.raises(InputError, match="digits has images; the model reads text"):
        load_dataset("digits", preprocessing=TextInput())


def test_arrays(tmp_path):
    x, y = np.arange(12.0).reshape(4, 3), np.array([1, 0, 1, 2])
    path = tmp_path / "a.npz"
    np.savez(path, x=x, y=y)
    data = load_dataset(path, classes=["a", "b", "c"])
    assert torch.equal(data[3][0], torch.tensor([9.0, 10, 11]))
    assert data.targets.tolist() == [1, 0, 1, 2]
    assert data.names()[3] == f"{path}[3]"
    data = data.with_preprocessing(ArrayInput(row=(3,)))
    assert data[3][0].dtype == np.float32
    assert load_dataset(path, preprocessing=TableInput.from_names(3))[3][0]["2"] == 11
    pixels = np.zeros((2, 8, 8), dtype=np.uint8)
    np.savez(path, images=pixels, labels=["a", "b"])
    steps = Preprocessing(mode="L")
    images = load_dataset(path, label="labels", preprocessing=steps)
    assert isinstance(images, LabelledImages)
    assert images[0][0].shape == (1, 8, 8)
    np.savez(path, a=x, b=y, c=y)
    with pytest.raises(InputError, match=r"np\.savez.*it has a, b, c"):
        load_dataset(path)
    np.savez(path, x=x, y=y[:2])
    with pytest.raises(InputError, match="one label per sample"):
        load_dataset(path)
    with pytest.raises(NotFoundError, match="no such file"):
        load_dataset(tmp_path / "b.npz")


def test_samples_in_memory():
    data = LabelledSamples(["so good", "bad"], [0, 1], ["praise", "blame"])
    assert data.names() == ["sample 0", "sample 1"]
    assert [*data[1:]] == [("bad", 1)]


def test_a_broken_line_is_one_failure_and_the_others_are_read(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,kind\n1,2,cat\n3\n5,6,dog\n7,8,9,10\n1,1,cat\n")
    reader = TableInput.from_frame({"a": [1, 2], "b": [3, 4]})
    data = load_dataset(path, label="kind", preprocessing=reader)
    assert len(data) == 5
    assert data[2] == ({"a": 5, "b": 6}, 1)
    for place, line in ((1, 3), (3, 5)):
        with pytest.raises(InputError, match=f"line {line} has .* cells; the first line names 3"):
            data[place]
    (tmp_path / "plain.csv").write_text("a,b\n1,2\n3\n5,6\n")
    first, broken, last = reader.sources(str(tmp_path / "plain.csv"))
    assert [first.open(), last.open()] == [{"a": 1, "b": 2}, {"a": 5, "b": 6}]
    with pytest.raises(InputError, match="line 3 has 1 cells"):
        broken.open()
