import hashlib

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nbdt.errors import InputError
from nbdt.selective.samples import Fingerprint, labelled_batches

INPUTS, LABELS = torch.arange(12.0).view(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])


def joined(data, batch_size=4):
    batches = list(labelled_batches(data, batch_size))
    inputs, labels = zip(*batches, strict=True)
    return [len(one) for one in labels], torch.cat(inputs), torch.cat(labels)


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (TensorDataset(INPUTS, LABELS), [4, 2]),
        (list(zip(INPUTS, LABELS.tolist(), strict=True)), [4, 2]),
        (DataLoader(TensorDataset(INPUTS, LABELS), 5), [5, 1]),
        (((INPUTS[i : i + 3], LABELS[i : i + 3]) for i in (0, 3)), [3, 3]),
    ],
    ids=["data set", "list", "loader", "generator"],
)
def test_data_sets_and_loaders_give_the_same_samples(data, sizes):
    found, inputs, labels = joined(data)
    assert found == sizes
    assert torch.equal(inputs, INPUTS)
    assert torch.equal(labels, LABELS)


def test_inputs_may_be_mappings():
    samples = [({"x": row, "n": 1}, 0) for row in INPUTS]
    ((inputs, labels),) = labelled_batches(samples, 8)
    assert torch.equal(inputs["x"], INPUTS)
    assert labels.tolist() == [0] * 6


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (5, "data has to be a data set or a loader of labelled samples, got int"),
        ([torch.zeros(2), torch.zeros(2)], "pairs .* got Tensor"),
        ([(torch.zeros(2), 0, 1)], "pairs .* got"),
        ([(torch.zeros(2), "cat")], "pairs .* got"),
        ([(torch.zeros(2), 0), (torch.zeros(3), 0)], "cannot be made a batch: .* batch_size=1"),
        ([(object(), 0)], "cannot be made a batch"),
        (iter([torch.zeros(2, 2)]), "pairs .* got Tensor"),
    ],
)
def test_what_gives_no_labelled_samples_is_refused(data, said):
    with pytest.raises(InputError, match=said):
        list(labelled_batches(data))


def fingerprint(*batches):
    found = Fingerprint()
    for inputs, labels in batches:
        found.add(inputs, labels)
    return found.digest()


def test_a_fingerprint_is_the_hash_of_the_bytes():
    expected = hashlib.sha256(INPUTS.numpy().tobytes() + LABELS.numpy().astype("<i8").tobytes())
    assert fingerprint((INPUTS, LABELS)) == expected.hexdigest()


def test_batches_make_no_difference_to_it_and_all_else_does():
    whole = fingerprint((INPUTS, LABELS))
    assert whole == fingerprint((INPUTS[:1], LABELS[:1]), (INPUTS[1:], LABELS[1:]))
    assert whole == fingerprint((INPUTS.t().contiguous().t(), LABELS))
    order = torch.tensor([1, 0, 2, 3, 4, 5])
    others = [(INPUTS[order], LABELS[order]), (INPUTS, LABELS[order]), (INPUTS[order], LABELS)]
    assert len({whole, *map(fingerprint, others)}) == 4


def test_the_tensors_of_mappings_are_hashed_sample_by_sample():
    def mapping(part):
        return {"b": INPUTS[part, 1], "a": INPUTS[part, 0].to(torch.bfloat16), "note": "x"}

    whole = fingerprint((mapping(slice(None)), LABELS))
    parts = [(mapping(slice(i, i + 2)), LABELS[i : i + 2]) for i in (0, 2, 4)]
    assert whole == fingerprint(*parts)
    raw = b"".join(
        INPUTS[i, :1].to(torch.bfloat16).view(torch.uint8).numpy().tobytes()
        + INPUTS[i, 1].numpy().tobytes()
        for i in range(6)
    )
    assert whole == hashlib.sha256(raw + LABELS.numpy().astype("<i8").tobytes()).hexdigest()
