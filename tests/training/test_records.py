"""Records of epochs as a line for people, and a table for programs."""

import csv
import io

import pytest

from nbdt.training.records import RULE_SCORES, EpochRecord, as_csv

ACCURACY = {way: (i + 1) / 7 for i, way in enumerate(RULE_SCORES)}


def test_a_spreadsheet_reads_the_numbers_back_exactly():
    records = [
        EpochRecord(1, 0.1 + 0.2, 1e-5, 1 / 3, 100 / 3, ACCURACY),
        EpochRecord(2, 2.5, 0.0, 1.0, 100.0, {}, moved=0.25),
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(records))))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["loss"]) == 0.1 + 0.2
    assert float(rows[0]["images_per_second"]) == 100 / 3
    for way, share in ACCURACY.items():
        assert float(rows[0][way.replace(" ", "_")]) == share
        assert rows[1][way.replace(" ", "_")] == ""
    assert (rows[0]["moved"], rows[1]["moved"]) == ("", "0.25")


@pytest.mark.parametrize(("record", "line"), [
    (EpochRecord(7, 0.25, 0.1, 2.0, 1234.5), "epoch 7: loss 0.2500, 1234 images/s"),
    (EpochRecord(7, 0.25, 0.1, 2.0, 9.0, {"network": 0.12345}, 0.5),
     "epoch 7: loss 0.2500, network 12.35 %, 9 images/s, tree moved by 50 %"),
])  # fmt: skip
def test_a_record_is_a_line(record, line):
    assert str(record) == line
