import tracemalloc

import numpy as np
import pytest
import torch

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.inputs import ArrayInput, Input, Preprocessing
from nbdt.inputs.array import as_array


@pytest.mark.parametrize("value", [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], dtype=np.int8)])
def test_numbers_become_float32(value):
    found = ArrayInput(row=(2, None)).read(value)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("value", [[], [[1], [2, 3]], [["1"]], [[True]], "cat", {"a": 1}, None])
def test_what_is_not_an_array_of_numbers_is_refused(value):
    with pytest.raises(InputError, match="expected an array of numbers"):
        ArrayInput().read(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_numbers_have_to_be_finite_in_32_bits(value):
    with pytest.raises(InputError, match="32 bits cannot hold"):
        ArrayInput().read([value])


@pytest.mark.parametrize("row", [(2,), (1, 2), (3, None)])
def test_the_shape_is_checked_where_it_is_known(row):
    with pytest.raises(InputError, match=r"takes .* numbers, got \(2, 2\)"):
        ArrayInput(row=row).read([[1, 2], [3, 4]])


def test_a_batch_is_of_one_shape():
    assert torch.equal(ArrayInput().batch([[1, 2], [3, 4]]), torch.tensor([[1.0, 2], [3, 4]]))
    for samples in ([], [[1], [2, 3]]):
        with pytest.raises(InputError, match="all of one shape"):
            ArrayInput().batch(samples)


def test_arrays_in_files(tmp_path):
    np.save(tmp_path / "row.npy", [1.0, 2.0])
    assert ArrayInput(row=(2,)).prepared(str(tmp_path / "row.npy")).tolist() == [[1.0, 2.0]]
    (tmp_path / "text.npy").write_text("1, 2")
    with pytest.raises(InputError, match=r"text\.npy: not an array of numbers in numpy's"):
        ArrayInput().open(tmp_path / "text.npy")
    with pytest.raises(NotFoundError, match=r"cat\.npy: no such file"):
        ArrayInput().open("cat.npy")


@pytest.mark.parametrize("one", [ArrayInput(row=(3, None)), Preprocessing(mode="L", crop=8)])
def test_a_folder_says_of_what_kind_an_input_is(one):
    assert Input.from_config(one.to_config()) == one


@pytest.mark.parametrize("document", [None, {"kind": "smell"}, {"kind": 3}, {"row": None}])
def test_other_records_are_refused(document):
    with pytest.raises(FormatError):
        Input.from_config(document)


def test_texts_are_refused_before_they_are_padded_to_the_longest():
    texts = ["x" * 50_000, *[""] * 200]  # 40 MB, if each took as much as the first
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="expected an array of numbers"):
            as_array([texts], "instance 0")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    many = [["x" * 5_000_000, *[""] * 100_000]]  # 1.8 TiB
    with pytest.raises(InputError, match="expected an array of numbers"):
        as_array(many, "instance 0")


@pytest.mark.parametrize("value", [[1, 2.5], [[1], [True]], [[[0]]], [list(range(1000))] * 1000])
def test_numbers_in_lists_are_read_as_numpy_reads_them(value):
    assert np.array_equal(as_array(value, "a"), np.asarray(value, np.float32))


@pytest.mark.parametrize(("shape", "count"), [((1000,), 64), ((3, 48, 100), 64), ((2, 5, 300), 40)])
def test_large_arrays_are_divided_into_blocks(shape, count):
    row = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1
    parts = ArrayInput(row=shape).parts(row)
    assert len(parts) == count
    lacking = np.stack(parts.without(np.eye(count, dtype=bool))) == 0
    assert (lacking.sum(axis=0) == 1).all()  # every value belongs to one block
    assert (lacking.reshape(count, -1).argmax(axis=0) == parts.groups).all()


def test_a_file_holds_one_sample_or_several(tmp_path):
    reader = ArrayInput(row=(2,))
    np.save(tmp_path / "several.npy", np.eye(2))
    assert reader.prepared(str(tmp_path / "several.npy")).tolist() == [[1, 0], [0, 1]]
    sources = reader.sources(str(tmp_path / "several.npy"))
    assert [source.open().tolist() for source in sources] == [[1, 0], [0, 1]]
    np.save(tmp_path / "one.npy", np.ones(2))
    (source,) = reader.sources(str(tmp_path / "one.npy"))
    assert source.open().tolist() == [1, 1]
    np.save(tmp_path / "wrong.npy", np.ones((2, 3)))
    (source,) = reader.sources(str(tmp_path / "wrong.npy"))
    with pytest.raises(InputError, match="the network takes 2 numbers"):
        source.open()
