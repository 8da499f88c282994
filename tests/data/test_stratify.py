"""Samples drawn at random, each class in the same share."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.data.stratify import MAX_SEED, stratified_split
from nbdt.errors import InputError


@given(
    counts=st.lists(st.integers(5, 40), min_size=1, max_size=6),
    share=st.floats(0.2, 0.8),
    seed=st.integers(0, MAX_SEED),
)
def test_a_split_holds_everything_once_and_each_class_in_its_share(
    counts: list[int], share: float, seed: int
) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)[::-1].copy()
    left, drawn = stratified_split(targets, share, seed=seed)
    assert sorted([*left, *drawn]) == list(range(len(targets)))
    assert (np.diff(left) > 0).all()
    assert (np.diff(drawn) > 0).all()
    assert len(drawn) == np.ceil(share * len(targets))
    expected = np.array(counts) * len(drawn) / len(targets)
    assert (np.abs(np.bincount(targets[drawn], minlength=len(counts)) - expected) <= 1).all()


def test_a_number_of_samples_is_drawn() -> None:
    targets = np.repeat(np.arange(4), 25)
    left, drawn = stratified_split(targets, 20, seed=1)
    assert (len(left), len(drawn)) == (80, 20)
    assert np.bincount(targets[drawn]).tolist() == [5, 5, 5, 5]


def test_a_seed_gives_its_split_on_every_machine() -> None:
    # Were it to change, a resumed training would see its validation data.
    targets = np.arange(20) % 2
    assert stratified_split(targets, 0.2, seed=3)[1].tolist() == [6, 11, 15, 16]
    assert stratified_split(targets, 0.2, seed=4)[1].tolist() != [6, 11, 15, 16]


def test_the_global_random_numbers_are_left_alone() -> None:
    before = np.random.get_state(legacy=True)[1].tolist()
    stratified_split(np.arange(20) % 2, 0.2, seed=3)
    assert np.random.get_state(legacy=True)[1].tolist() == before


@pytest.mark.parametrize("drawn", [0, 0.0, 1.0, -0.5, -3, "half", None, float("nan"), True])
def test_what_is_neither_share_nor_number_is_refused(drawn: float) -> None:
    with pytest.raises(InputError, match="expected a share between 0 and 1, or a number of sam"):
        stratified_split(np.arange(20) % 2, drawn)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 0.5, "0", None, True])
def test_what_is_no_seed_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match="a seed has to be a whole number from 0 to 4294967295"):
        stratified_split(np.arange(20) % 2, 0.5, seed=seed)


@pytest.mark.parametrize("drawn", [0.001, 0.999, 1, 19, 20, 1000])
def test_a_side_without_every_class_is_refused(drawn: float) -> None:
    with warnings.catch_warnings(), pytest.raises(InputError, match="20 samples cannot be split"):
        stratified_split(np.arange(20) % 2, drawn)
