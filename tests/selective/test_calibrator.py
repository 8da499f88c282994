import torch
from torch import nn

from nbdt.hierarchy.shapes import balanced
from nbdt.model import NBDT
from nbdt.rules import Temperature
from nbdt.selective import Calibrator, SelectiveNBDT
from tests.selective.test_functional import drawn_samples

TREE = balanced(8)
LOG_PROBS, LABELS = drawn_samples(200, TREE, seed=3)
LOGITS = LOG_PROBS.float()


def test_batch_by_batch_it_finds_what_calibrate_does():
    model = NBDT(nn.Identity(), TREE, score="mean", temperature=Temperature(1.5))
    calibrator = Calibrator(model)
    batches = list(zip(LOGITS.split(30), LABELS.split(30), strict=True))
    for logits, labels in batches:
        calibrator.update(logits, labels)
    expected = SelectiveNBDT(model).calibrate(batches).calibration
    assert expected is not None
    assert calibrator.result(expected.fingerprint) == expected


def test_the_model_may_be_elsewhere_than_the_logits():
    model = NBDT(nn.Identity(), TREE)
    model.layout.to(torch.device("meta"))
    calibrator = Calibrator(model)
    calibrator.update(LOGITS, LABELS)
    assert calibrator.result("0" * 64).samples == 200
