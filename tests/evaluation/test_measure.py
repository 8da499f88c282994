"""All measures: any split and merge gives the same; a new one needs its own file only."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.evaluation import Evaluator, Measure, OodScorer, Result, measures
from nbdt.evaluation.controls import ControlCounter
from nbdt.evaluation.measure import _REGISTERED, Extremes, Section, TextOptions, measure
from nbdt.hierarchy import shapes
from nbdt.rules import Predictions
from tests.evaluation.oracle import batches, cases, counted, samples

ALL = {**measures(), "ood": OodScorer, "controls": ControlCounter}


def plain(found: Any) -> Any:
    """A result as nested lists and mappings."""
    if isinstance(found, tuple):
        return [plain(one) for one in found]
    return found.tolist() if isinstance(found, np.ndarray) else found.to_dict()


def alike(one: Any, other: Any) -> None:
    """Counts and examples are the same, sums of floats but for rounding."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            alike(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            alike(mine, theirs)
    else:
        assert one == (pytest.approx(other, abs=1e-12) if isinstance(one, float) else other)


@settings(max_examples=25)
@pytest.mark.parametrize("name", ALL)
@given(case=cases(max_classes=8), data=st.data())
def test_any_split_and_merge_gives_what_one_pass_gives(name: str, case, data) -> None:  # type: ignore[no-untyped-def]
    tree, seed, score, rule = case
    logits, labels = samples(tree, 24, seed)
    options = {"trees": 2} if name == "controls" else {"examples": 2} if name != "ood" else {}
    whole = ALL[name](tree, **options)
    at_once = plain(counted(whole, logits, labels, score, rule, size=24))

    size = data.draw(st.integers(1, 24))
    machines = [ALL[name](tree, **options) for _ in range(data.draw(st.integers(1, 3)))]
    parts = list(batches(tree, logits, labels, score, rule, size=size))
    bounds = sorted(data.draw(st.integers(0, len(parts))) for _ in machines[1:])
    for machine, start, stop in zip(machines, [0, *bounds], [*bounds, len(parts)], strict=True):
        for part in parts[start:stop]:
            machine.update(part)
    for other in machines[1:]:
        machines[0].merge(other)
    alike(plain(machines[0].compute()), at_once)


@pytest.mark.parametrize("name", measures())
def test_a_result_can_be_stored_and_does_not_change_afterwards(name: str) -> None:
    tree = shapes.random(6, branching=3, seed=1)
    one = measures()[name](tree)
    found = counted(one, *samples(tree, 40))
    before = found.to_dict()
    assert json.loads(json.dumps(before, allow_nan=False)) == before
    assert plain(counted(one, *samples(tree, 40, seed=1))) != before == found.to_dict()


@pytest.mark.parametrize("name", sorted(set(measures()) - {"shares", "prototypes"}))
def test_without_a_sample_there_is_nothing_to_say(name: str) -> None:
    with pytest.raises(InputError, match="at least one sample"):
        measures()[name](shapes.flat(3)).compute()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bins": 1}, "bins must be an integer ≥ 2; got 1"),
        ({"bins": 2.5}, "bins must be an integer ≥ 2; got 2.5"),
        ({"bins": True}, "got True"),
        ({"examples": -1}, "examples must be an integer ≥ 0; got -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Evaluator(shapes.flat(3), score="mean", **options)


# ── the registry ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Agreement(Result):
    """How often tree and network agree."""

    agreeing: int

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """One table."""
        yield Section(60, ["Agreement", str(self.agreeing)], full=True)

    def summary(self) -> Iterable[str]:
        """One line."""
        yield f"Agreement    {self.agreeing}"

    def examples(self) -> Iterable[int]:
        """One sample."""
        yield 99


class AgreementCounter(Measure[Agreement]):
    """Counts agreement."""

    def start(self) -> None:
        """Starts at 0."""
        self.agreeing = 0

    def update(self, batch: Predictions) -> None:
        """Counts."""
        self.agreeing += int((batch.answer_classes == batch.network_answers).sum())

    def merge(self, other: "AgreementCounter") -> None:
        """Adds."""
        self.agreeing += other.agreeing

    def compute(self) -> Agreement:
        """The count."""
        return Agreement(self.agreeing)


def test_a_registered_measure_is_measured_printed_and_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(_REGISTERED, "mine", None)  # taken out again afterwards
    del _REGISTERED["mine"]
    measure("mine")(AgreementCounter)
    assert list(measures())[-1] == "mine"
    tree = shapes.balanced(4)
    halves = [Evaluator(tree, score="logsumexp") for _ in range(2)]
    for half, seed in zip(halves, (0, 1), strict=True):
        half.update(*samples(tree, 20, seed))
    halves[0].merge(halves[1])
    found = halves[0].compute()
    assert found.samples == 40
    assert found.to_dict()["mine"] == {"agreeing": 40}
    assert found.results["mine"] == Agreement(40)
    assert "Agreement    40" in str(found)
    assert "Agreement\n40" in found.to_text(full=True)
    assert "Agreement\n40" not in str(found)
    assert 99 in found.examples()


def test_a_name_belongs_to_one_measure() -> None:
    with pytest.raises(InputError, match="'mistakes' is taken by the measure MistakeCounter"):
        measure("mistakes")(AgreementCounter)


# ── extremes ──────────────────────────────────────────────────────────────────────────────────

ENTRY = st.tuples(st.integers(0, 3), st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf]))


@given(
    batches=st.lists(st.lists(ENTRY, max_size=12), max_size=5),
    k=st.integers(0, 4),
    first=st.integers(0, 5),
)
def test_extremes_are_those_that_sorting_everything_gives(
    batches: list[list[tuple[int, float]]], k: int, first: int
) -> None:
    kept, other = Extremes(4, k, {"sample": -1}), Extremes(4, k, {"sample": -1})
    everything: list[tuple[int, float, int]] = []
    for place, batch in enumerate(batches):
        start = len(everything)
        everything += [(group, key, start + i) for i, (group, key) in enumerate(batch)]
        (kept if place < first else other).update(
            np.array([group for group, _ in batch], dtype=np.int64),
            np.array([key for _, key in batch]),
            sample=np.arange(start, start + len(batch)),
        )
    kept.merge(other)
    for group in range(4):
        mine = sorted((e for e in everything if e[0] == group), key=lambda e: (-e[1], e[2]))[:k]
        empty = [-1] * (k - len(mine))
        assert kept.columns["sample"][group].tolist() == [e[2] for e in mine] + empty
        assert kept.keys[group, : len(mine)].tolist() == [e[1] for e in mine]
