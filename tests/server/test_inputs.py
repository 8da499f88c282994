"""From what is sent to rows: each refusal names the row, and none costs much."""

import tracemalloc

import numpy as np
import pytest
import torch

from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing
from nbdt.server.errors import TooLargeError
from nbdt.server.inputs import (
    RowReader,
    as_array,
    checked_rule,
    parse_instances,
    parse_json,
    parse_object,
)
from nbdt.server.settings import Settings
from tests.server.conftest import b64, png

GREY = Preprocessing(mode="L", resize=(8, 8))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not valid JSON"),
        (b"[" * 10_000, "nested too deeply"),
        (b'{"a": ' * 10_000, "nested too deeply"),
        (b"[NaN]", "the number NaN"),
        (b"[Infinity]", "the number Infinity"),
        (b"[1e999]", "64 bits cannot hold"),
        (b"[" + b"9" * 50 + b"]", "64 bits cannot hold"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b'\xff\xfe{\x00"', "UTF-16"),
        (b'"\xc3"', "not UTF-8"),
    ],
)
def test_json_is_read_strictly(body, said):
    with pytest.raises(InputError, match=said):
        parse_json(body)


def test_the_body_has_to_be_an_object():
    with pytest.raises(InputError, match="has to be a JSON object, got a list"):
        parse_object(b"[]")


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        ("text", "expected an image"),
        (None, "expected an image"),
        ({"b64": 3}, "expected an image"),
        ({"b64": "AA==", "more": 1}, "expected an image"),
        ({"url": "http://127.0.0.1/secret"}, "expected an image"),
        ({"b64": "not base64!"}, "this is not base64"),
        ({"b64": "Ä"}, "this is not base64"),
        ([], "no array of numbers"),
        ([[1, 2], [3]], "no array of numbers"),
        ([["1"]], "no array of numbers"),
        ([[True]], "no array of numbers"),
        ([1, [2]], "no array of numbers"),
        ([[1, {}]], "no array of numbers"),
        ([[None]], "no array of numbers"),
        ([[1e39]], "32 bits cannot hold"),
        ([[[[1]], []]], "no array of numbers"),
    ],
)
def test_instances_that_are_none_are_named(instance, said):
    with pytest.raises(InputError, match=f"instance 1: .*{said}"):
        parse_instances({"instances": [[0.5], instance]}, 64)


def test_texts_are_refused_before_they_are_padded_to_the_longest():
    texts = ["x" * 50_000, *[""] * 200]  # 40 MB, if each took as much as the first
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="no array of numbers"):
            as_array([texts], "instance 0")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    many = [["x" * 5_000_000, *[""] * 100_000]]  # 1.8 TiB
    with pytest.raises(InputError, match="no array of numbers"):
        as_array(many, "instance 0")


@pytest.mark.parametrize("value", [[1, 2.5], [[1], [True]], [[[0]]], [list(range(1000))] * 1000])
def test_numbers_in_lists_are_read_as_numpy_reads_them(value):
    assert np.array_equal(as_array(value, "a"), np.asarray(value, np.float32))


def test_there_may_be_so_many_instances():
    assert len(parse_instances({"instances": [[1.0]] * 3}, 3)) == 3
    with pytest.raises(TooLargeError, match="4 rows; one may have 3"):
        parse_instances({"instances": [[1.0]] * 4}, 3)
    for nothing in ({}, {"instances": None}, {"instances": {}}):
        with pytest.raises(InputError, match="a list of images or arrays"):
            parse_instances(nothing, 3)


def test_an_image_becomes_what_preprocessing_makes_of_it():
    image = png(1)
    (source,) = parse_instances({"instances": [b64(image)]}, 1)
    assert source == image
    (row,) = RowReader(GREY, Settings())([source])
    from nbdt.data import decode_image

    assert torch.equal(row, GREY(decode_image(image, "L")))


@pytest.mark.parametrize(
    ("preprocessing", "shape"),
    [
        (None, None),
        (GREY, (1, 8, 8)),
        (Preprocessing(resize=8), (3, None, None)),
        (Preprocessing(resize=9, crop=8), (3, 8, 8)),
        (Preprocessing(crop=(4, 6), rotate=90), (3, 6, 4)),
        (Preprocessing(), (3, None, None)),
    ],
)
def test_the_shape_of_rows(preprocessing, shape):
    assert RowReader(preprocessing, Settings()).shape == shape


def test_arrays_have_to_be_of_that_shape():
    reader = RowReader(GREY, Settings())
    with pytest.raises(InputError, match=r"row 1: the network takes 1 × 8 × 8 numbers, got \(8,\)"):
        reader([np.zeros((1, 8, 8), np.float32), np.zeros(8, np.float32)])
    anything = RowReader(Preprocessing(), Settings())
    assert anything([np.zeros((3, 2, 5), np.float32)])[0].shape == (3, 2, 5)
    with pytest.raises(InputError, match="3 × any × any"):
        anything([np.zeros((1, 2, 5), np.float32)])


def test_a_row_may_have_so_many_numbers():
    reader = RowReader(None, Settings(row_values=10))
    with pytest.raises(TooLargeError, match="row 0: 11 numbers are more than the 10"):
        reader([np.zeros(11, np.float32)])


def test_without_preprocessing_images_are_refused():
    with pytest.raises(InputError, match="send arrays"):
        RowReader(None, Settings())([png()])


def test_what_preprocessing_refuses_names_the_row():
    wide = Preprocessing(resize=8000)
    with pytest.raises(InputError, match="row 0: "):
        RowReader(wide, Settings())([png(size=(400, 1))])


def test_rules_are_checked():
    assert [checked_rule(one) for one in ("soft", "hard", None)] == ["soft", "hard", None]
    with pytest.raises(InputError, match="rule has to be soft or hard, got 'x'"):
        checked_rule("x")
