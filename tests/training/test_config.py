"""TrainingConfig: what it refuses, and that JSON gives the same config back."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nbdt.errors import FormatError, InputError
from nbdt.losses import Constant, Ramp
from nbdt.training import TrainingConfig

# One value of each field that is not its default, so that none is forgotten.
OTHERS = {
    "epochs": 7, "batch_size": 32, "loss": "hard", "score": "logsumexp", "tree_weight": Ramp(0, 5),
    "network_weight": 0.5, "label_smoothing": 0.1, "compat": "2020", "optimizer": "adamw",
    "learning_rate": 0.5, "head_multiplier": 10.0, "momentum": 0.8, "weight_decay": 0.0,
    "schedule": "step", "warmup": 0.5, "clip_norm": 1.0, "accumulate": 4, "average": 0.99,
    "head_only": True, "frozen_norms": True, "retree_every": 2, "linkage": "average",
    "normalize": False, "branching": 3, "patience": 2, "checkpoint_every": 10,
    "precision": "bfloat16", "channels_last": True, "deterministic": True, "seed": 2**63 - 1,
}  # fmt: skip


def through_json(config):
    return TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("name", TrainingConfig.model_fields)
def test_every_field_survives_json(name):
    # The score of the default loss cannot be another.
    needed = {"loss": "hard"} if name == "score" else {}
    config = TrainingConfig(**{name: OTHERS[name]}, **needed)
    assert config != TrainingConfig(**needed)
    assert through_json(config) == config


weights = st.floats(0, 100) | st.builds(Ramp, st.floats(0, 9), st.floats(0, 9), st.floats(0.1, 3))


@given(
    tree_weight=weights,
    network_weight=weights | st.builds(Constant, st.floats(0, 100)),
    learning_rate=st.floats(1e-12, 100),
    average=st.none() | st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**63 - 1),
    epochs=st.integers(1, 10**6),
)
def test_json_gives_the_same_config_back(**values):
    config = TrainingConfig(**values)
    assert through_json(config) == config


@pytest.mark.parametrize("number", [5, Constant(5), np.float32(5), Fraction(5)])
@pytest.mark.parametrize("name", ["tree_weight", "clip_norm", "learning_rate"])
def test_equal_numbers_make_equal_configs_whatever_their_type(name, number):
    if name != "tree_weight" and isinstance(number, Constant):
        number = 5.0
    config = TrainingConfig(**{name: number})
    assert config == TrainingConfig(**{name: 5.0})
    assert through_json(config) == config


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int16])
@pytest.mark.parametrize("name", [
    "epochs", "batch_size", "accumulate", "patience", "retree_every", "checkpoint_every",
    "branching", "seed",
])  # fmt: skip
def test_whole_numbers_may_be_numpys(name, kind):
    config = TrainingConfig(**{name: kind(3)})
    assert config == TrainingConfig(**{name: 3})
    assert through_json(config) == config
    with pytest.raises(InputError, match=name):
        TrainingConfig(**{name: np.bool_(True)})


BAD = {
    "epochs": [0, -1, 1.0, True, None, "3"],
    "batch_size": [0, 2.5, None],
    "accumulate": [0, None, 129],
    "patience": [0, 1.5, False],
    "retree_every": [0, "1"],
    "checkpoint_every": [0, -5],
    "loss": ["Soft", None, 1, ["soft"]],
    "score": ["max", None],
    "optimizer": ["adam", None],
    "schedule": ["linear", None],
    "precision": ["half", None],
    "compat": ["2021", 2020, True],
    "learning_rate": [0, -0.1, math.nan, math.inf, "0.1", None, True],
    "head_multiplier": [0, -1, math.nan, math.inf, "10", None, True],
    "momentum": [1.0, -0.1, math.nan, "0.9", None],
    "weight_decay": [-1e-4, math.inf, None],
    "warmup": [-1, math.nan, 3, 3.5],
    "label_smoothing": [1.0, -0.1, None],
    "average": [1.0, -0.1, math.nan, "0.9", False],
    "clip_norm": [0, -1, math.nan, math.inf, "1", True],
    "tree_weight": [-1, math.nan, None, "1", abs],
    "network_weight": [-1, None, True],
    "head_only": [1, None, "yes"],
    "frozen_norms": [0],
    "channels_last": [None],
    "deterministic": ["no"],
    "normalize": [1],
    "linkage": ["nope", None, 3],
    "branching": [1, 2.0, True, "2"],
    "seed": [-1, 2**63, 0.0, True, None],
}


def test_no_field_is_forgotten_here():
    assert set(BAD) == set(OTHERS) == set(TrainingConfig.model_fields)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values], ids=str
)
def test_bad_values_are_refused_with_the_name_of_the_field(name, value):
    said = {"accumulate": "accumulate|split into", "warmup": "warm-?up"}.get(name, name)
    with pytest.raises(InputError, match=said):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize(("values", "said"), [
    ({"score": "logsumexp"}, "train on it twice. Use score='mean'"),
    ({"score": "logsumexp", "network_weight": Ramp(0, 1)}, "train on it twice"),
    ({"score": "logsumexp", "loss": "hard", "compat": "2020"}, "knew the score 'mean' only"),
    ({"schedule": "one_cycle", "warmup": 0.5}, "its own warm-up"),
    ({"loss": "cross_entropy", "compat": "2020"}, "compat"),
    ({"loss": "cross_entropy", "network_weight": 0.5}, "network_weight weighs"),
    ({"head_only": True, "frozen_norms": True}, "head_only"),
    ({"head_only": True, "channels_last": True}, "head_only"),
    ({"head_only": True, "head_multiplier": 10}, "head_only trains only the head"),
    ({"batch_size": 4, "accumulate": 5}, "a batch of 4 cannot be split into 5 parts"),
    ({"epochs": 2, "warmup": 2}, "a warm-up of 2 epochs leaves nothing of 2"),
    ({"linkage": "median", "branching": 3}, "branching=3"),
])  # fmt: skip
def test_what_excludes_each_other_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        TrainingConfig(**values)


@pytest.mark.parametrize(("document", "said"), [
    *((document, "should be an object; got") for document in (None, [], "config", 3)),
    ({"epochs": 3, "zeal": 1}, "TrainingConfig has an unknown key 'zeal'"),
    ({"epochs": 0}, "epochs: Input should be greater"),
    ({"tree_weight": {"start": 0, "end": -1}}, "Ramp's end"),
    ({"tree_weight": {"from": 0}}, "tree_weight .* 'start'|'from'"),
    ({"tree_weight": {}}, "tree_weight Ramp lacks 'start'"),
    ({"seed": {"start": 0, "end": 1}}, "seed"),
])  # fmt: skip
def test_bad_documents_are_refused(document, said):
    with pytest.raises(FormatError, match=said):
        TrainingConfig.from_dict(document)


def test_a_config_never_changes_and_changed_copies_are_checked():
    config = TrainingConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.epochs = 5
    with pytest.raises(InputError, match="epochs"):
        config.replace(epochs=0)


@pytest.mark.parametrize("settings", [
    {"loss": "hard"}, {"network_weight": 0}, {"tree_weight": 0}, {"loss": "cross_entropy"},
    {"network_weight": Constant(0)},
], ids=str)  # fmt: skip
def test_losses_of_the_score_logsumexp_that_exist_are_accepted_in_silence(settings):
    config = TrainingConfig(score="logsumexp", **settings)
    alone = settings.get("loss") == "cross_entropy"
    assert (config.caveat() is None) == alone != config.supervises_tree
    assert TrainingConfig(**settings).caveat() is None
