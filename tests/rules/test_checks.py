import numpy as np
import pytest
import torch

from nbdt.errors import InputError
from nbdt.rules.checks import check_logits, checked_ids, describe


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_of_any_width_become_int64(dtype: torch.dtype) -> None:
    found = checked_ids(torch.tensor([0, 2, 1], dtype=dtype), 3, 3)
    assert found.dtype == torch.int64
    assert found.tolist() == [0, 2, 1]
    assert len(checked_ids(torch.zeros(0, dtype=dtype), 0, 3)) == 0


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (torch.tensor([0, 3]), "an answer is 3; with 3 nodes answers go from 0 to 2"),
        (torch.tensor([-1, 3]), "an answer is -1; with 3 nodes answers go from 0 to 2"),
        (torch.tensor([0]), r"of shape \(2,\), one per sample; got torch.int64 of shape \(1,\)"),
        (torch.tensor([[0, 1]]), r"got torch.int64 of shape \(1, 2\)"),
        (torch.tensor([0.0, 1.0]), "got torch.float32"),
        (torch.tensor([True, False]), "got torch.bool"),
        (torch.zeros(2, dtype=torch.complex64), "got torch.complex64"),
        ([0, 1], "answers must be a tensor of whole numbers .*; got a list"),
        (np.array([0, 1]), "got a ndarray|got an ndarray"),
        (None, "got None"),
    ],
)
def test_all_else_is_refused_with_what_was_got(ids: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked_ids(ids, 2, 3, one="answer", of="nodes")


def test_a_value_is_described() -> None:
    assert describe(torch.zeros(2, 0, dtype=torch.int32)) == "torch.int32 of shape (2, 0)"
    assert describe("yes") == "'yes'"


def test_a_map_of_classes_is_called_one():
    with pytest.raises(InputError, match=r"gives a map of classes, \(1, 3, 4, 5\), where one"):
        check_logits(torch.zeros(1, 3, 4, 5), num_classes=3)
