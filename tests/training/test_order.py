"""Each sample once an epoch, whoever takes part; and what is random depends on nothing else."""

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from nbdt.training.order import Batches, SeededSamples, derived_seed
from tests.process_state import random_states

sizes = st.integers(1, 40)
counts = st.integers(1, 5)
seeds = st.integers(0, 2**63 - 1)


def indices(batches):
    return [[index for _, index in batch] for batch in batches]


@given(samples=sizes, batch_size=sizes, seed=seeds, epoch=st.integers(0, 1000))
def test_every_sample_comes_once_an_epoch(samples, batch_size, seed, epoch):
    batches = Batches(samples, batch_size, seed)
    batches.epoch = epoch
    found = indices(batches)
    assert sorted(itertools.chain(*found)) == list(range(samples))
    assert [len(batch) for batch in found] == batches.sizes
    assert len(found) == len(batches)
    assert set(map(len, found[:-1])) <= {batch_size}
    assert len(found[-1]) > 1 or batch_size == 1 or samples == 1
    assert {at for batch in batches for at, _ in batch} == {epoch}


@given(samples=sizes, batch_size=sizes, parts=counts, world=counts, seed=seeds)
def test_shares_of_processes_and_parts_are_a_partition_of_each_batch(
    samples, batch_size, parts, world, seed
):
    whole = indices(Batches(samples, batch_size, seed))
    ranks = [
        Batches(samples, batch_size, seed, parts=parts, rank=rank, world=world)
        for rank in range(world)
    ]
    shares = [indices(rank) for rank in ranks]
    assert {len(share) for share in shares} == {len(whole) * parts}
    for at, batch in enumerate(whole):
        counted = []
        for rank, share in zip(ranks, shares, strict=True):
            for part in range(parts):
                own = share[at * parts + part]
                told = rank.share(len(batch), part)
                # What stands in for nothing is one sample, which does not count.
                assert len(own) == max(told, 1)
                assert set(own) <= set(batch)
                counted += own[:told]
        assert sorted(counted) == sorted(batch)


@given(samples=st.integers(1, 40), batch_size=sizes, seed=seeds, data=st.data())
def test_an_epoch_can_begin_in_its_middle(samples, batch_size, seed, data):
    batches = Batches(samples, batch_size, seed, parts=2)
    everything = list(batches)
    start = data.draw(st.integers(0, len(batches)))
    batches.start = start
    assert list(batches) == everything[2 * start :]


def test_the_order_depends_on_the_seed_and_the_epoch_and_on_nothing_else():
    def order(seed, epoch, batch_size=7, parts=1):
        batches = Batches(50, batch_size, seed, parts=parts)
        batches.epoch = epoch
        return list(itertools.chain(*indices(batches)))

    torch.manual_seed(1)
    first = order(0, 0)
    torch.manual_seed(2)
    assert order(0, 0) == first == order(0, 0, batch_size=3)
    others = [order(0, 1), order(1, 0), order(2, 0), order(0, 2)]
    assert len({tuple(one) for one in [first, *others]}) == 5
    assert first != sorted(first)


def test_the_order_is_a_fair_shuffle():
    # Over many epochs every sample stands at every place about equally often.
    places = np.zeros((5, 5))
    batches = Batches(5, 5, seed=3)
    for epoch in range(2000):
        batches.epoch = epoch
        for place, (_, index) in enumerate(next(iter(batches))):
            places[index, place] += 1
    assert abs(places / 2000 - 0.2).max() < 0.04


@given(st.lists(st.tuples(*[st.integers(0, 2**63 - 1)] * 3), min_size=2, max_size=20, unique=True))
def test_derived_seeds_differ_and_fit_into_63_bits(numbers):
    found = [derived_seed(*three) for three in numbers]
    assert len(set(found)) == len(found)
    assert all(0 <= seed < 2**63 for seed in found)
    assert derived_seed(*numbers[0][:2]) != found[0]


class Random(Dataset):
    """A sample is what the three generators give next."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        own = torch.rand(3, dtype=torch.float64)
        return torch.cat([own, torch.tensor([np.random.rand(), random.random()])]), index


def drawn(seed, epoch, index):
    return tuple(SeededSamples(Random(), seed)[epoch, index][0].tolist())


def test_the_randomness_of_a_sample_depends_on_seed_epoch_and_index():
    everything = {
        (seed, epoch, index): drawn(seed, epoch, index)
        for seed, epoch, index in itertools.product(range(3), range(3), range(12))
    }
    for numbers in zip(*everything.values(), strict=True):
        assert len(set(numbers)) == len(everything)
    torch.manual_seed(5)
    np.random.seed(6)
    random.seed(7)
    assert drawn(2, 1, 3) == everything[2, 1, 3]


def test_neighbours_in_a_batch_do_not_matter():
    samples = SeededSamples(Random(), seed=0)
    together = samples.__getitems__([(4, index) for index in (3, 1, 7)])
    for index, (values, label) in zip((3, 1, 7), together, strict=True):
        assert label == index
        assert torch.equal(values, samples[4, index][0])


def test_the_callers_generators_are_as_they_were():
    class Broken(Random):
        def __getitem__(self, index):
            torch.rand(1)
            raise ZeroDivisionError

    before = random_states()
    SeededSamples(Random(), seed=0)[0, 0]
    with pytest.raises(ZeroDivisionError):
        SeededSamples(Broken(), seed=0)[0, 0]
    assert random_states() == before


def test_worker_processes_change_nothing():
    batches = Batches(12, 5, seed=0)
    samples = SeededSamples(Random(), seed=0)
    alone, shared = (
        [values for values, _ in DataLoader(samples, batch_sampler=batches, num_workers=workers)]
        for workers in (0, 2)
    )
    assert all(torch.equal(one, other) for one, other in zip(alone, shared, strict=True))
