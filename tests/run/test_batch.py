"""One batch through a model, and what becomes of samples that cannot be read or answered."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nbdt.classifiers import moved, weights_device
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.run import Run, answers, forward, forward_with_inputs_of

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])


class Numbered:
    """Samples whose first number is their index; some cannot be read, later ones are longer."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index % 10 == 3:
            raise InputError(f"{index} cannot be read.")
        return torch.full((3 + (index >= 20),), float(index)), index % 3


class First(nn.Module):
    """The first three numbers of a row, unless `error` is raised for one of the rows."""

    def __init__(self, error: Exception | None = None, bad: set[int] | None = None) -> None:
        super().__init__()
        self.error, self.bad = error, bad or set()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        if self.error is not None and self.bad & set(x[:, 0].tolist()):
            raise self.error
        return x[:, :3]


def run(network: nn.Module, data: Any, **options: Any) -> Run:
    return answers(NBDT(network, TREE), data, on_failure="keep", **options)


def found(passed: Run) -> dict[int, Any]:
    """The first logit or the failure of each sample, in the order they came in."""
    seen: dict[int, Any] = {}
    for block in passed:
        rows = dict(zip(block.indices.tolist(), block.logits[:, 0].tolist(), strict=True))
        assert block.labels.tolist() == [index % 3 for index in rows]
        seen |= {index: (rows | block.failures)[index] for index in sorted(rows | block.failures)}
    return seen


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("rows", [1, 7, 512])
def test_every_sample_has_its_answer_or_its_failure_in_order(batch_size: int, rows: int) -> None:
    passed = run(First(), Numbered(30), batch_size=batch_size, rows=rows)
    expected = {i: f"{i} cannot be read." if i % 10 == 3 else i for i in range(30)}
    assert list(found(passed).items()) == list(expected.items())
    assert passed.failures == {i: expected[i] for i in (3, 13, 23)}
    assert (passed.answered, passed.total) == (27, 30)


def test_readable_neighbors_of_one_shape_share_a_batch() -> None:
    network = First()
    found(run(network, Numbered(28), batch_size=28))
    assert network.shapes == [(18, 3), (7, 4)]


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
    network = First(error, bad={1})
    passed = run(network, Numbered(18), batch_size=18)
    assert found(passed)[1] == said
    assert list(passed.failures) == [1, 3, 13]
    assert [len_ for len_, _ in network.shapes] == [16, 8, 4, 2, 1, 1, 2, 4, 8]


def test_answers_that_are_not_finite_are_failures_and_cost_nothing_more() -> None:
    logits = torch.ones(6, 3)
    logits[2, 1], logits[4] = torch.nan, -torch.inf
    logits[0, 2] = -torch.inf  # a class that is masked
    network = First()
    passed = run(network, [(row, index % 3) for index, row in enumerate(logits)])
    assert [index for index in found(passed) if index not in passed.failures] == [0, 1, 3, 5]
    assert set(passed.failures.values()) == {"the network's answer to it holds NaN or infinity."}
    assert network.shapes == [(6, 3)]


def test_ready_batches_lose_single_rows_too() -> None:
    class Words(nn.Module):
        def forward(self, words: Tensor, names: list[str]) -> Tensor:
            if "bad" in names:
                raise RuntimeError("no such word")
            return words

    words = torch.arange(12.0).view(4, 3)
    words[3, 0] = torch.nan
    batch = {"words": words, "names": ["a", "bad", "c", "d"]}
    passed = run(Words(), [(batch, torch.tensor([0, 1, 2, 0]))])
    (block,) = passed
    assert torch.equal(block.logits, words[[0, 2]])
    assert (block.labels.tolist(), block.indices.tolist()) == ([0, 2], [0, 2])
    assert list(passed.failures) == [1, 3]


def test_a_mistake_in_the_code_is_not_taken_for_a_bad_sample() -> None:
    with pytest.raises(TypeError, match="a bug"):
        list(run(First(TypeError("a bug"), bad={1}), Numbered(3)))


def test_unless_failures_are_kept_they_are_raised() -> None:
    with pytest.raises(InputError, match=r"3 cannot be read\."):
        list(answers(NBDT(First(), TREE), Numbered(5)))
    with pytest.raises(RuntimeError, match="sizes"):
        list(answers(NBDT(First(RuntimeError("sizes"), bad={1}), TREE), Numbered(3)))


X = torch.randn(7, 4)


def test_the_mode_is_eval_inside_and_each_part_is_in_its_own_afterwards() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))
    model = NBDT(network, TREE).train()
    network[1].eval()
    first = forward(model, X)
    assert torch.equal(first, forward(model, X))
    assert not first.requires_grad
    assert (model.training, network[0].training, network[1].training) == (True, True, False)


def test_inputs_may_be_mappings() -> None:
    class Text(nn.Module):
        def forward(self, words: Tensor) -> Tensor:
            return words

    assert torch.equal(forward(NBDT(Text(), TREE), {"words": torch.eye(3)}), torch.eye(3))


def test_what_a_layer_is_given_is_seen_once_a_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            both: Tensor = self.head(x) + self.head(2 * x)
            return both

    network = Twice()
    model = NBDT(network, TREE)
    logits, seen = forward_with_inputs_of(network.head, model, X)
    assert torch.equal(logits, forward(model, X))
    assert [torch.equal(one, n * X) for n, one in enumerate(seen, start=1)] == [True, True]
    assert not network.head._forward_pre_hooks


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
    assert moved(torch.zeros(2, 3), device, channels_last=True).is_contiguous()
    assert moved(images, device).is_contiguous()


def test_a_network_without_weights_is_anywhere() -> None:
    assert weights_device(nn.Linear(2, 3)) == torch.device("cpu")
    assert weights_device(nn.Identity()) is None
    assert moved(X, None) is X
