"""Labeled samples, one by one and in batches, from all that people have them in."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from nbdt.data.samples import Fingerprint, batches_of, is_indexed
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.run import answers

INPUTS, LABELS = torch.arange(12.0).view(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
SAMPLES = list(zip(INPUTS, LABELS.tolist(), strict=True))


class Sequence:
    """A data set that does not say so."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        return SAMPLES[index]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(SAMPLES)


MODEL = NBDT(torch.nn.Identity(), Hierarchy([2, 2, -1], ["cat", "dog"]))


def joined(data, batch_size=4):
    blocks = list(answers(MODEL, data, batch_size=batch_size, rows=1))
    labels = [block.labels for block in blocks]
    inputs = torch.cat([block.logits for block in blocks])
    return [len(one) for one in labels], inputs, torch.cat(labels)


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (TensorDataset(INPUTS, LABELS), [4, 2]),
        (Sequence(), [4, 2]),
        (Stream(), [4, 2]),
        (SAMPLES, [4, 2]),
        (iter(SAMPLES), [4, 2]),
        (list(zip(INPUTS, LABELS, strict=True)), [4, 2]),
        (list(zip(INPUTS.numpy(), LABELS.numpy(), strict=True)), [4, 2]),
        (DataLoader(TensorDataset(INPUTS, LABELS), 5), [5, 1]),
        ([(INPUTS[:3], LABELS[:3]), [INPUTS[3:], [0, 1, 2]]], [3, 3]),
        ([(INPUTS[:1], np.array([0])), (INPUTS[1:], LABELS[1:])], [1, 5]),
        (((INPUTS[i : i + 3], LABELS[i : i + 3]) for i in (0, 3)), [3, 3]),
    ],
    ids=[
        *("data set", "sequence", "stream", "list", "iterator", "0-d labels", "numpy", "loader"),
        *("list of batches", "batch of one", "generator of batches"),
    ],
)
def test_whatever_gives_them_the_samples_are_the_same(data, sizes):
    found, inputs, labels = joined(data)
    assert found == sizes
    assert torch.equal(inputs, INPUTS)
    assert torch.equal(labels, LABELS)


def test_no_number_is_taken_from_the_generator_of_others():
    before = torch.get_rng_state()
    assert joined(TensorDataset(INPUTS, LABELS), 1)[0] == [1] * 6
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("data", [[], iter(()), TensorDataset(INPUTS[:0], LABELS[:0])])
def test_there_may_be_none(data):
    assert list(answers(MODEL, data)) == []


def test_batches_without_labels_stay_as_they_are():
    batches = [INPUTS[:4], INPUTS[4:]]
    assert list(batches_of(batches, 2)) == batches


@pytest.mark.parametrize(
    ("data", "size", "said"),
    [
        (5, 2, "a data set of samples .* got int"),
        ([torch.zeros(2), torch.zeros(2)], 2, "pairs .* got Tensor"),
        ([(torch.zeros(2), 0, 1)], 2, "pairs .*; got tuple of 3"),
        ([(torch.zeros(2), "cat")], 2, "labels must be numbers; got .'cat'"),
        ([(torch.zeros(2, 1), ["cat", "dog"])], 2, "labels must be numbers; got .'cat'"),
        ([(torch.zeros(2), 0), (torch.zeros(3), 0)], 2, "be made a batch: .* batch_size=1"),
        ([(object(), 0)], 2, "the classifier returned list; expected numbers"),
        ([(INPUTS, LABELS)], 0, "batch_size must be a whole number above 0; got 0"),
        ([(INPUTS, LABELS)], True, "batch_size must be a whole number above 0; got True"),
    ],
)
def test_what_gives_no_labelled_samples_is_refused(data, size, said):
    with pytest.raises(InputError, match=said):
        list(answers(MODEL, data, batch_size=size))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (TensorDataset(INPUTS, LABELS), True),
        (Sequence(), True),
        (SAMPLES, True),
        (Stream(), False),
        (iter(SAMPLES), False),
        ([], False),
        ([INPUTS, INPUTS], False),
        ([(INPUTS, LABELS)], False),
        (DataLoader(TensorDataset(INPUTS, LABELS)), False),
        (5, False),
    ],
)
def test_what_has_single_samples_by_their_index(data, expected):
    assert is_indexed(data) is expected


# ── fingerprints ──────────────────────────────────────────────────────────────────────────────


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
