import dataclasses

import pytest
import torch

from nbdt.attribution import Saliency


def made(**changes):
    fields = {
        "attribution": torch.tensor([[1.0, -0.5], [0.25, 0.0]]),
        "node": 3, "node_name": "animal", "child": 0, "child_name": "cat",
        "rival": 1, "rival_name": "dog",
        "probability": 0.999, "difference": 2.0, "method": "integrated_gradients",
    }  # fmt: skip
    return Saliency(**fields | changes)


def test_what_the_map_misses_is_known_where_there_is_a_baseline():
    assert made().convergence_delta is None
    assert made(baseline_difference=1.0).convergence_delta == pytest.approx(-0.25)


def test_it_says_what_was_decided():
    assert str(made()) == "animal: cat (>99 %), not dog; the scores differ by 2.00"
    assert repr(made()) == "Saliency('animal': 'cat' over 'dog', 2×2, integrated_gradients)"


def test_it_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().node = 4
