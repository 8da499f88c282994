from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nbdt.data.batches import answer_in_batches, moved
from nbdt.errors import InputError, NBDTError


def load(source: int) -> Tensor:
    if source % 10 == 3:
        raise InputError(f"{source} cannot be read.")
    return torch.full((1 + (source >= 20),), float(source))


def answers(sources: Iterator[int] | range, batch_size: int = 4) -> list[tuple[int, object]]:
    return list(
        answer_in_batches(
            sources, load, lambda batch: batch.sum(dim=1).tolist(), batch_size=batch_size
        )
    )


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_source_gets_its_answer_or_its_error_in_order(batch_size: int) -> None:
    found = answers(range(30), batch_size)
    assert [source for source, _ in found] == list(range(30))
    for source, answer in found:
        if source % 10 == 3:
            assert isinstance(answer, InputError)
            assert str(answer) == f"{source} cannot be read."
        else:
            assert answer == (2 * source if source >= 20 else source)


def test_neighbours_of_one_shape_share_a_batch() -> None:
    shapes: list[tuple[int, ...]] = []

    def answer(batch: Tensor) -> list[float]:
        shapes.append(tuple(batch.shape))
        return batch[:, 0].tolist()

    list(answer_in_batches(range(16, 26), load, answer, batch_size=8))
    assert shapes == [(4, 1), (3, 2), (2, 2)]


def test_no_more_is_read_than_a_batch() -> None:
    read: list[int] = []

    def sources() -> Iterator[int]:
        for source in range(100):
            read.append(source)
            yield source

    pending = answer_in_batches(sources(), load, lambda batch: batch.tolist(), batch_size=4)
    next(pending)
    assert read == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("row 0 holds NaN."), "row 0 holds NaN."),
        (RuntimeError("sizes differ\nat aten::cat"), "the network cannot take it: sizes differ"),
        (RuntimeError(), "the network cannot take it: RuntimeError"),
    ],
)
def test_one_that_cannot_be_answered_does_not_take_its_batch_along(
    error: Exception, said: str
) -> None:
    def answer(batch: Tensor) -> list[float]:
        if (batch == 1).any():
            raise error
        return batch[:, 0].tolist()

    found = [one for _, one in answer_in_batches(range(3), load, answer)]
    assert found[0] == 0
    assert found[2] == 2
    assert isinstance(found[1], NBDTError)
    assert str(found[1]) == said


def test_a_mistake_in_the_code_is_not_taken_for_a_bad_sample() -> None:
    def answer(batch: Tensor) -> list[float]:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        list(answer_in_batches(range(3), load, answer))


def test_nothing_gives_nothing() -> None:
    assert answers(range(0)) == []


def test_tensors_of_mappings_are_moved_and_all_else_is_left() -> None:
    text = ["a", "b"]
    batch = {"ids": torch.zeros(2, 3), "inner": {"mask": torch.ones(2)}, "text": text}
    found = moved(batch, torch.device("meta"))
    assert found["ids"].device.type == found["inner"]["mask"].device.type == "meta"
    assert found["text"] is text
    assert batch["ids"].device.type == "cpu"


def test_only_images_are_stored_pixel_by_pixel() -> None:
    device = torch.device("cpu")
    images = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    found = moved(images, device, channels_last=True)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, images)
    rows = torch.zeros(2, 3)
    assert moved(rows, device, channels_last=True).is_contiguous()
    assert moved(images, device).is_contiguous()
