"""The one loop over samples: what it goes over, in which blocks, and how it ends."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nbdt.data import load_dataset
from nbdt.data.samples import Fingerprint
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.run import Part, Run, Work, answers

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
X, Y = torch.randn(7, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0])
IDENTITY = NBDT(nn.Identity(), TREE)


@pytest.fixture
def model() -> NBDT:
    return NBDT(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)), TREE)


def joined(run: Run) -> tuple[Tensor, Tensor, list[int]]:
    logits, labels, indices, _, _ = zip(*run, strict=True)
    return torch.cat(logits), torch.cat(labels), torch.cat(indices).tolist()


@pytest.mark.parametrize("on_failure", ["raise", "keep"])
@pytest.mark.parametrize(
    "data",
    [
        TensorDataset(X, Y),
        list(TensorDataset(X, Y)),
        DataLoader(TensorDataset(X, Y), batch_size=5),
        [(X[:4], Y[:4]), (X[4:], [1, 2, 0])],
    ],
    ids=["data set", "samples", "loader", "batches"],
)
def test_whatever_holds_the_samples_the_answers_are_the_same(model, data, on_failure):
    expected = Fingerprint()
    expected.add(X, Y)
    run = answers(model, data, batch_size=3, rows=1, on_failure=on_failure, fingerprint=True)
    logits, labels, indices = joined(run)
    torch.testing.assert_close(logits, model.eval().logits(X).detach())
    assert torch.equal(labels, Y)
    assert indices == list(range(7))
    assert (run.fingerprint, run.answered) == (expected.digest(), 7)


@pytest.mark.parametrize("rows", [1, 4, 512])
def test_blocks_join_whole_batches_in_order(rows: int) -> None:
    sizes = (3, 1, 5, 2, 1)
    batches = [(torch.full((n, 3), float(n)), torch.full((n,), n)) for n in sizes]
    seen: list[int] = []
    blocks = list(answers(IDENTITY, batches, rows=rows, progress=seen.append))
    assert seen == list(sizes)
    expected = {1: [3, 1, 5, 2, 1], 4: [4, 5, 3], 512: [12]}
    assert [len(block.labels) for block in blocks] == expected[rows]
    assert torch.equal(
        torch.cat([block.labels for block in blocks]), torch.cat([y for _, y in batches])
    )


def test_no_more_is_read_than_a_block() -> None:
    read: list[int] = []

    def batches() -> Iterator[Any]:
        for place in range(100):
            read.append(place)
            yield torch.zeros(4, 3), torch.zeros(4)

    next(iter(answers(IDENTITY, batches(), rows=8)))
    assert read == [0, 1]


def test_samples_may_have_other_classes_or_none(model: NBDT) -> None:
    digits = load_dataset("digits")
    with pytest.raises(InputError, match="data set"):
        answers(model, digits)
    logits = torch.eye(3)
    foreign = [(logits, torch.tensor([7, 8, 9]))]
    assert joined(answers(IDENTITY, foreign, labels="other"))[1].tolist() == [7, 8, 9]
    for data in ([logits], [(logits, ["any"] * 3)], [{"input": logits}]):
        network = nn.Identity() if not isinstance(data[0], dict) else Named()
        found = joined(answers(NBDT(network, TREE), data, labels="none"))
        assert torch.equal(found[0], logits)
        assert found[1:] == (found[1], [0, 1, 2])
        assert found[1].tolist() == [-1, -1, -1]


class Named(nn.Module):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return input


def test_there_may_be_no_sample() -> None:
    assert list(answers(IDENTITY, [])) == []
    assert list(answers(IDENTITY, TensorDataset(X[:0, :3], Y[:0]))) == []


def test_a_block_may_hold_failures_only() -> None:
    (block,) = answers(IDENTITY, [(torch.full((2, 3), torch.nan), Y[:2])], on_failure="keep")
    assert (block.logits.shape, len(block.labels), len(block.indices)) == ((0, 3), 0, 0)
    assert list(block.failures) == [0, 1]
    assert (block.labels.dtype, block.indices.dtype) == (torch.int64, torch.int64)


def test_labels_that_do_not_fit_the_samples_are_refused() -> None:
    with pytest.raises(InputError, match="2 labels were given for 3 samples"):
        list(answers(IDENTITY, [(torch.eye(3), Y[:2])]))
    with pytest.raises(InputError, match="batch_size"):
        answers(IDENTITY, [], batch_size=0)


def test_a_forward_function_may_give_more_than_logits() -> None:
    def doubled(model: NBDT, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return model.logits(inputs), 2 * inputs

    data = TensorDataset(X[:, :3], Y)
    (block,) = answers(IDENTITY, data, batch_size=2, forward=doubled)
    assert torch.equal(block.others[0], 2 * block.logits)


def test_after_an_interrupt_what_is_done_is_counted() -> None:
    def batches() -> Iterator[Any]:
        yield torch.eye(3), Y[:3]
        yield torch.eye(3), Y[:3]
        raise KeyboardInterrupt

    run = answers(IDENTITY, batches(), fingerprint=True)
    blocks = iter(run)
    assert len(next(blocks).labels) == run.answered == 6
    with pytest.raises(KeyboardInterrupt):
        next(blocks)


def test_an_engine_may_work_on_batches_wherever_it_likes() -> None:
    def threads(work: Work, batches: Iterable[Any]) -> Iterator[Part]:
        with ThreadPoolExecutor(3) as pool:
            yield from pool.map(work, batches)

    data = TensorDataset(torch.randn(50, 3), torch.randint(0, 3, (50,)))

    def found(**engine: Callable[..., Any]) -> tuple[Any, ...]:
        run = answers(IDENTITY, data, batch_size=4, rows=8, fingerprint=True, **engine)
        return *map(Tensor.tolist, joined(run)[:2]), run.fingerprint

    assert found(engine=threads) == found()
