"""Which dimension holds the classes, and what is refused."""

import pytest
import torch

from nbdt.errors import InputError
from nbdt.losses.targets import as_torch_has_them


def given(logits_shape, target_shape, soft=False):
    dtype = torch.float32 if soft else torch.int64
    return torch.zeros(logits_shape), torch.zeros(target_shape, dtype=dtype)


@pytest.mark.parametrize(
    ("logits", "target", "gives"),
    [
        ((3,), (), (3,)),
        ((5, 3), (5,), (5, 3)),
        ((0, 3), (0,), (0, 3)),
        ((5, 3, 7), (5, 7), (5, 3, 7)),
        ((5, 3, 7, 2), (5, 7, 2), (5, 3, 7, 2)),
        ((5, 7, 3), (5, 7), (35, 3)),
        ((5, 7, 2, 3), (5, 7, 2), (70, 3)),
        ((5, 3, 3), (5, 3), (5, 3, 3)),  # both fit: as torch
        ((5, 3, 7, 3), (5, 3, 7), (105, 3)),  # sizes allow one
        ((5, 3, 7, 3), (5, 7, 3), (5, 3, 7, 3)),
    ],
)
def test_where_the_classes_are(logits, target, gives):
    samples = as_torch_has_them(*given(logits, target), 3, -100)
    assert samples.logits.shape == gives
    assert samples.target.shape == gives[:1] * (len(gives) > 1) + gives[2:]
    assert samples.shape == target


@pytest.mark.parametrize(
    ("shape", "gives", "samples_shape"),
    [
        ((3,), (3,), ()),
        ((5, 3), (5, 3), (5,)),
        ((5, 3, 7), (5, 3, 7), (5, 7)),
        ((5, 7, 3), (35, 3), (5, 7)),
        ((5, 3, 3), (5, 3, 3), (5, 3)),
    ],
)
def test_where_the_classes_of_probabilities_are(shape, gives, samples_shape):
    samples = as_torch_has_them(*given(shape, shape, soft=True), 3, -100)
    assert samples.logits.shape == samples.target.shape == gives
    assert samples.shape == samples_shape


@pytest.mark.parametrize(
    ("logits", "target", "soft"),
    [
        ((), (), False),
        ((5, 4), (5,), False),
        ((5, 3), (4,), False),
        ((5, 3), (5, 3), False),
        ((5, 3), (5,), True),
        ((3, 5), (5,), False),
        ((5, 3, 7), (7, 5), False),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, target, soft):
    with pytest.raises(InputError, match="the tree has 3 classes"):
        as_torch_has_them(*given(logits, target, soft), 3, -100)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_integers_of_any_type_are_class_indices(dtype):
    samples = as_torch_has_them(torch.zeros(2, 3), torch.tensor([0, 2], dtype=dtype), 3, -100)
    assert samples.target.dtype == torch.int64


def test_types_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="logits must be floating"):
        as_torch_has_them(torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 2]), 3, -100)
    for dtype in (torch.bool, torch.complex64):
        with pytest.raises(InputError, match="class indices"):
            as_torch_has_them(torch.zeros(2, 3), torch.zeros(2, dtype=dtype), 3, -100)


@pytest.mark.parametrize("wrong", [3, -1, -100])
def test_a_class_out_of_range_is_named(wrong):
    target = torch.tensor([0, wrong, 255])
    with pytest.raises(InputError, match=rf"from 0 to 2.*=255; got {wrong} \(and 0 more"):
        as_torch_has_them(torch.zeros(3, 3), target, 3, 255)


@pytest.mark.parametrize(
    ("target", "ignore_index", "some"),
    [([0, 2], -100, False), ([0, -100], -100, True), ([0, 2], 2, True), ([0, 255], 255, True)],
)
def test_whether_some_are_ignored(target, ignore_index, some):
    samples = as_torch_has_them(torch.zeros(2, 3), torch.tensor(target), 3, ignore_index)
    assert samples.some_ignored is some
