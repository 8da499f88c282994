import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.classifiers.outputs import as_logits
from nbdt.errors import InputError

FORMS = {
    "tensor": lambda values: values,
    "array": lambda values: values.numpy(),
    "lists": lambda values: values.tolist(),
    "object": lambda values: SimpleNamespace(logits=values),
    "mapping": lambda values: {"logits": values, "loss": None},
    "other byte order": lambda values: values.numpy().astype(">f8"),
    "long double": lambda values: values.numpy().astype(np.longdouble),
}


def naive(values, outputs):
    """Softmax of the logits, one number at a time."""
    exps = [v if outputs == "probabilities" else math.exp(v) for v in values]
    if len(values) == 1:
        exps = [1 - exps[0] if outputs != "logits" else 1.0, exps[0]]
    return [e / sum(exps) for e in exps]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("outputs", ["logits", "log_probs", "probabilities"])
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_the_softmax_of_the_logits_is_what_the_classifier_said(form, outputs, columns):
    logits = torch.randn(4, columns, generator=torch.manual_seed(0), dtype=torch.float64)
    values = logits
    if outputs != "logits":
        values = logits.log_softmax(1) if columns > 1 else torch.nn.functional.logsigmoid(logits)
        values = values.exp() if outputs == "probabilities" else values
    found = as_logits(FORMS[form](values), outputs, max(columns, 2)).softmax(1)
    expected = [naive(row, outputs) for row in values.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(st.floats(-700, -1e-300))
def test_one_log_probability_keeps_its_digits(value):
    rest, own = as_logits(torch.tensor([[value]], dtype=torch.float64), "log_probs")[0].tolist()
    assert own == value
    assert rest == pytest.approx(math.log(-math.expm1(value)) if value > -1e-3 else
                                 math.log1p(-math.exp(value)), rel=1e-9, abs=1e-300)  # fmt: skip


def test_a_probability_of_zero_is_a_masked_class():
    assert as_logits([[0.0, 1.0]], "probabilities").tolist() == [[-math.inf, 0.0]]
    assert as_logits([0.0, 1.0], "probabilities", 2).tolist() == [[0, -math.inf], [-math.inf, 0]]


def test_maps_have_their_classes_on_axis_1():
    maps = torch.rand(2, 3, 4, 5).softmax(1)
    assert torch.equal(as_logits(maps, "probabilities", 3), maps.log())
    maps[1, 1, 0, 2] = 0.9
    with pytest.raises(InputError, match=r"sample 1 at \(0, 2\) are not probabilities"):
        as_logits(maps, "probabilities", 3)


def test_gradients_pass():
    values = torch.tensor([[0.25, 0.75]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: as_logits(v, "probabilities", 2).softmax(1), values)


@pytest.mark.parametrize(
    ("values", "outputs", "said"),
    [
        ([[1, 0], [0.3, 0.9]], "probabilities", "sample 1 are not probabilities: they sum to 1.2"),
        ([[1.2, -0.2]], "probabilities", "sample 0 .* they hold -0.2; say outputs='logits'"),
        ([[0.5, math.nan]], "probabilities", "they hold NaN; look for NaN in the input"),
        ([[math.inf, 0.5]], "probabilities", "they sum to inf"),
        ([[0.5], [1.5]], "probabilities", "sample 1 .* they are 1.5"),
        ([[0.2, 0.1]], "log_probs", "not log-probabilities: they sum to 2.327 after exp"),
        ([[math.nan, 0]], "log_probs", "hold NaN"),
        ([[1, 2, 3]], "logits", r"has 2 classes, .* logits of shape \(batch, 2\); got \(1, 3\)"),
        ([[0.2, 0.3, 0.5]], "log_probs", r"return log-probs of shape \(batch, 2\); got \(1, 3\)"),
        (3.0, "logits", r"got \(\)"),
        ([[1], [2, 3]], "logits", "returned list; expected numbers"),
        ([["a", "b"]], "logits", "returned list; expected numbers"),
        (None, "logits", "returned NoneType; expected numbers"),
        ({"scores": [[1, 2]]}, "logits", "returned dict; expected numbers"),
        (torch.ones(1, 2, dtype=torch.complex64), "logits", "returned torch.complex64"),
        ([[1, 2]], "margins", "outputs must be one of logits, log_probs, probabilities; got 'mar"),
    ],
)
def test_what_is_not_an_output_is_refused_in_a_sentence(values, outputs, said):
    with pytest.raises(InputError, match=said) as caught:
        as_logits(values, outputs, 2)
    assert len(str(caught.value)) < 300


def test_rounded_and_half_probabilities_pass():
    half = torch.rand(8, 1000).softmax(1).bfloat16()
    assert as_logits(half, "probabilities", 1000).dtype == torch.bfloat16
    as_logits(np.round([[1 / 3, 1 / 3, 1 / 3]], 3), "probabilities", 3)
