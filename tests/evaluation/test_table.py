"""`AccuracyTable`: what follows from the counts, as data and as text."""

import json

import pytest

from nbdt.errors import InputError
from nbdt.evaluation import AccuracyRow, AccuracyTable, wilson_interval


def table(*, num_classes: int = 10, samples: int = 4000) -> AccuracyTable:
    top = samples if num_classes > 5 else None
    return AccuracyTable(
        (
            AccuracyRow(None, None, samples, samples - 1, samples, top),
            AccuracyRow("soft", "logsumexp", samples, samples, samples - 1, top),
            AccuracyRow("hard", "logsumexp", samples, 1, 1),
            AccuracyRow("soft", "mean", samples, 0, 0, top),
            AccuracyRow("hard", "mean", samples, samples // 2, samples // 4),
        ),
        num_classes,
    )


def test_shares_follow_from_counts() -> None:
    row = AccuracyRow("soft", "mean", samples=80, correct=60, agreeing=70, top5_correct=76)
    assert (row.accuracy, row.agreement, row.top5_accuracy) == (0.75, 0.875, 0.95)
    assert row.interval == wilson_interval(60, 80)
    assert AccuracyRow("hard", "mean", 80, 60, 70).top5_accuracy is None


def test_rows_are_found_by_rule_and_score() -> None:
    found = table()
    assert found.network is found.rows[0]
    assert found.row("hard", "logsumexp") is found.rows[2]
    assert found.samples == 4000


@pytest.mark.parametrize(("rule", "score"), [("firm", "mean"), ("soft", "median"), (None, None)])
def test_an_unknown_row_is_refused(rule, score) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="the rules are soft and hard, the scores mean and logsum"):
        table().row(rule, score)


def test_as_a_document_it_says_everything() -> None:
    document = json.loads(json.dumps(table().to_dict(), allow_nan=False))
    assert (document["samples"], document["classes"]) == (4000, 10)
    assert document["rows"][4] == {
        "rule": "hard",
        "score": "mean",
        "samples": 4000,
        "correct": 2000,
        "accuracy": 0.5,
        "interval": list(wilson_interval(2000, 4000)),
        "top5_correct": None,
        "top5_accuracy": None,
        "agreeing": 1000,
        "agreement": 0.25,
    }


def test_as_text_it_rounds_nothing_to_all_or_none() -> None:
    assert str(table()).splitlines() == [
        "rule     score        correct  accuracy   95 % interval    top-5  same as network",
        "───────  ─────────  ─────────  ────────  ──────────────  ───────  ───────────────",
        "network             3999/4000   >99.9 %  99.9 – >99.9 %  100.0 %",
        "soft     logsumexp  4000/4000   100.0 %  99.9 – 100.0 %  100.0 %          >99.9 %",
        "hard     logsumexp     1/4000    <0.1 %    <0.1 – 0.1 %                    <0.1 %",
        "soft     mean          0/4000     0.0 %     0.0 – 0.1 %  100.0 %            0.0 %",
        "hard     mean       2000/4000    50.0 %   48.5 – 51.5 %                    25.0 %",
        "4,000 samples, 10 classes",
    ]


def test_a_column_that_nothing_is_in_is_left_out() -> None:
    assert "top-5" in str(table())
    assert "top-5" not in str(table(num_classes=5))
