"""`Evaluation` as text: brief, in full, and where nothing is wrong."""

import pytest
import torch

from nbdt.errors import InputError
from nbdt.evaluation import Evaluation, Evaluator, Temperature
from nbdt.hierarchy import Hierarchy

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
LOGITS = torch.tensor([[3.0, 2, 0], [1.0, 0, 5], [0, 4.0, 0], [0, 0, 4.0], [1.5, 2, 0]])
LABELS = torch.tensor([0, 0, 1, 2, 0])


def evaluation(logits=LOGITS, labels=LABELS, **options) -> Evaluation:  # type: ignore[no-untyped-def]
    evaluator = Evaluator(TREE, **{"score": "logsumexp", **options})
    evaluator.update(logits, labels)
    return evaluator.result()


def test_the_brief_text() -> None:
    found = evaluation()
    assert str(found) == found.to_text()
    assert str(found).startswith(str(found.accuracy))
    assert str(found).removeprefix(str(found.accuracy)).splitlines() == [
        "",
        "",
        "Nodes that are wrong most often",
        "node    right  accuracy  95 % interval",
        "──────  ─────  ────────  ─────────────",
        "animal    3/4    75.0 %  30.1 – 95.4 %",
        "thing     4/5    80.0 %  37.6 – 96.4 %",
        "",
        "Where most mistakes are made",
        "at node  it is   taken for  count  of mistakes  such as",
        "───────  ──────  ─────────  ─────  ───────────  ───────",
        "animal   cat     dog            1       50.0 %        4",
        "thing    animal  car            1       50.0 %        1",
        "",
        "By soft logsumexp:",
        "Mistakes     2 of 5; height of the common node 1.50 of 2 on average, distance 2.50",
        "Hierarchy    precision 75.0 %, recall 66.7 %, F1 70.6 %",
        "Calibration  error of the answers "
        f"{100 * found.calibration.answer.error:.1f} %, of decisions "
        f"{100 * found.calibration.node_error:.1f} %, of classes "
        f"{100 * found.calibration.class_error:.1f} % (15 bins)",
        "Uncertainty  path entropy "
        f"{found.uncertainty.mean_entropy_right:.3f} where right, "
        f"{found.uncertainty.mean_entropy_wrong:.3f} where wrong (nats)",
    ]


def test_in_full_it_lists_more() -> None:
    text = evaluation().to_text(full=True, sample_name="picture {}".format)
    for part in (
        "Classes that are wrong most often\nclass  right",
        "cat      1/3",
        "Most uncertain samples",
        "picture 4",
        "Reliability of the answers\nprobability of the answer  samples",
    ):
        assert part in text
    brief = evaluation().to_text()
    assert "Classes" not in brief
    assert "Reliability" not in brief


def test_rows_are_limited_and_counted() -> None:
    text = evaluation().to_text(rows=1)
    assert "Nodes that are wrong most often (1 of 2)" in text
    assert "thing     4/5" not in text
    assert "(1 of 2)" not in evaluation().to_text(rows=0)
    with pytest.raises(InputError, match="rows has to be at least 0"):
        evaluation().to_text(rows=-1)


def test_where_nothing_is_wrong_no_list_is_empty() -> None:
    text = evaluation(10 * torch.eye(3), torch.arange(3)).to_text(full=True)
    assert "wrong" not in text
    assert "Mistakes" not in text
    assert "Where" not in text
    assert "precision 100.0 %" in text


def test_a_temperature_is_told() -> None:
    assert "Temperature" not in str(evaluation())
    assert "Temperature  2.000" in str(evaluation(temperature=Temperature(2.0)))
