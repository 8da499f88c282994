"""Samples drawn at random, each class in the same share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.data.stratify import (
    MAX_SEED,
    stratified_draw,
    stratified_parts,
    stratified_split,
)
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


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=6).filter(lambda c: max(c) > 1),
    share=st.floats(0.001, 0.999),
    seed=st.integers(0, 1000),
)
def test_however_few_samples_a_class_is_on_both_sides_where_it_can_be(
    counts: list[int], share: float, seed: int
) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)
    left, drawn = stratified_split(targets, share, seed=seed)
    assert sorted([*left, *drawn]) == list(range(len(targets)))
    for label, count in enumerate(counts):
        assert (targets[left] == label).any()
        assert (targets[drawn] == label).any() == (count > 1)
    number = len(drawn)
    again = stratified_split(targets, np.int64(number), seed=seed)
    assert np.array_equal(again[1], drawn)
    some = targets[stratified_draw(targets, share, seed=seed)]
    assert set(some) == set(range(len(counts)))


def test_a_draw_is_the_split_where_both_can_be_had() -> None:
    targets = np.arange(60) % 3
    for drawn in (6, 0.5, np.float32(0.5), np.int32(30)):
        split = stratified_split(targets, drawn, seed=5)[1]
        assert np.array_equal(stratified_draw(targets, drawn, seed=np.int64(5)), split)


@pytest.mark.parametrize("everything", [1.0, 20, np.int64(20), np.float64(1)])
def test_a_draw_may_be_all_and_a_split_may_not(everything: float) -> None:
    targets = np.arange(20) % 2
    assert stratified_draw(targets, everything).tolist() == list(range(20))
    with pytest.raises(InputError, match=r"20 of 20 samples cannot .* draw 2 to 18"):
        stratified_split(targets, everything)
    assert len(stratified_draw(targets, 19)) == 19


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(lambda c: sum(c) > 5),
    number=st.integers(1, 6),
    seed=st.integers(0, MAX_SEED),
)
def test_parts_hold_everything_once_and_each_class_evenly(
    counts: list[int], number: int, seed: int
) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)[::-1].copy()
    parts = stratified_parts(targets, number, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(len(targets)))
    assert all((np.diff(part) > 0).all() for part in parts)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    shares = np.stack([np.bincount(targets[part], minlength=len(counts)) for part in parts])
    assert (shares.max(axis=0) - shares.min(axis=0) <= 1).all()


def test_parts_are_the_same_on_every_machine() -> None:
    # Were they to change, a part that was calibrated with would be judged by.
    parts = stratified_parts(np.arange(12) % 3, 2)
    assert [part.tolist() for part in parts] == [[1, 3, 4, 6, 8, 11], [0, 2, 5, 7, 9, 10]]
    assert not np.array_equal(parts[0], stratified_parts(np.arange(12) % 3, 2, seed=1)[0])


@pytest.mark.parametrize("number", [0, -1, 1.0, "2", None, True])
def test_what_is_no_number_of_parts_is_refused(number: int) -> None:
    with pytest.raises(InputError, match="the number of parts must be at least 1, got"):
        stratified_parts(np.arange(20) % 2, number)


def test_there_are_no_empty_parts() -> None:
    assert [part.tolist() for part in stratified_parts(np.zeros(1, np.int64), np.int64(1))] == [[0]]
    with pytest.raises(InputError, match="3 samples cannot be shared out to 4 parts"):
        stratified_parts(np.arange(3), 4)


@pytest.mark.parametrize(
    "drawn", [0, 0.0, -0.5, 1.5, -3, "half", None, float("nan"), True, np.True_, [0.5]]
)
def test_what_is_neither_share_nor_number_is_refused(drawn: float) -> None:
    for function in (stratified_split, stratified_draw):
        with pytest.raises(InputError, match="expected a share above 0 and at most 1, or a number"):
            function(np.arange(20) % 2, drawn)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 0.5, "0", None, True])
def test_what_is_no_seed_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match="a seed must be a whole number from 0 to 4294967295"):
        stratified_split(np.arange(20) % 2, 0.5, seed=seed)


@pytest.mark.parametrize(
    ("targets", "drawn", "said"),
    [
        ([0, 0, 1, 1], 1, "1 of 4 samples cannot be drawn .*: with 2 classes draw 2 to 2"),
        ([0, 0, 1, 1], 3, "3 of 4 samples cannot be drawn"),
        ([0, 0, 1, 1], 1000, "there are only 4 samples, so 1000 cannot be drawn"),
        ([0, 1, 2], 0.5, "3 samples cannot be split: no class has two of them"),
        ([], 0.5, "0 samples cannot be split"),
    ],
)
def test_a_side_without_every_class_is_refused(targets: list[int], drawn: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        stratified_split(np.array(targets, np.int64), drawn)


@pytest.mark.parametrize(
    ("targets", "drawn", "said"),
    [
        (range(10), 5, "5 of 10 samples cannot be drawn .*: with 10 classes draw 10 to 10"),
        (range(10), 11, "there are only 10 samples, so 11 cannot be drawn"),
        ([], 0.5, "no samples to draw from"),
    ],
)
def test_a_draw_without_every_class_is_refused(targets: list[int], drawn: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        stratified_draw(np.array(targets, np.int64), drawn)
