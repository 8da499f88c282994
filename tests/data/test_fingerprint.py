import hashlib

import torch

from nbdt.data.fingerprint import Fingerprint

INPUTS, LABELS = torch.arange(12.0).view(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])


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
