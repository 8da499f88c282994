"""`labelled_logits` and what it is made of: batches, devices, modes, refusals."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbdt.data import load_dataset
from nbdt.errors import InputError
from nbdt.evaluation import labelled_logits
from nbdt.evaluation.answers import in_blocks
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
X, Y = torch.randn(7, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0])


def model() -> NBDT:
    torch.manual_seed(0)
    return NBDT(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)), TREE)


def test_samples_a_loader_and_batches_give_the_same() -> None:
    network = model().eval()
    with torch.no_grad():
        expected = network.logits(X)
    data = TensorDataset(X, Y)
    batches = [(X[:4], Y[:4]), (X[4:], [1, 2, 0])]
    for source in (data, list(data), DataLoader(data, batch_size=5), batches):
        logits, labels = zip(*labelled_logits(network, source, batch_size=3), strict=True)
        torch.testing.assert_close(torch.cat(logits), expected)
        assert torch.equal(torch.cat(labels), Y)
    assert [len(y) for _, y in labelled_logits(network, data, batch_size=3)] == [3, 3, 1]


def test_inputs_may_be_mappings() -> None:
    class Text(nn.Module):
        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return words

    data = [({"words": torch.eye(3)}, torch.arange(3))]
    ((logits, _),) = labelled_logits(NBDT(Text(), TREE), data)
    assert torch.equal(logits, torch.eye(3))


def test_the_mode_is_eval_inside_and_restored_between_batches() -> None:
    network = model().train()
    network.network[0].eval()  # type: ignore[index,union-attr]
    network.network[0].train()  # type: ignore[index,union-attr]
    found = list(labelled_logits(network, [(X, Y), (X, Y)]))
    assert torch.equal(found[0][0], found[1][0])
    assert not found[0][0].requires_grad
    assert network.training
    assert network.network[0].training  # type: ignore[index,union-attr]


def test_blocks_hold_all_in_order() -> None:
    batches = [(torch.full((n, 1), n), torch.full((n,), n)) for n in (3, 1, 5, 2, 1)]
    blocks = list(in_blocks(batches, rows=4))
    assert [len(labels) for _, labels in blocks] == [4, 5, 3]
    assert torch.equal(torch.cat([y for _, y in blocks]), torch.cat([y for _, y in batches]))
    assert list(in_blocks([])) == []


def test_a_data_set_of_other_classes_is_refused() -> None:
    with pytest.raises(InputError, match="data set"):
        next(iter(labelled_logits(model(), load_dataset("digits"))))
