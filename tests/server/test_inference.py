"""Batches of questions: each answer is what the library says of that question alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbdt.classifiers import build
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.server.inference import Answer, Inference, Question

TREE = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["a", "b", "c", "d"])
IDENTITY = {score: NBDT(torch.nn.Identity(), TREE, score=score) for score in ("logsumexp", "mean")}
LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=4, max_size=4)
QUESTIONS = st.lists(
    st.tuples(
        st.lists(LOGITS, min_size=1, max_size=4), st.sampled_from(["soft", "hard"]), st.booleans()
    ),
    min_size=1,
    max_size=6,
)


@given(QUESTIONS, st.sampled_from(["logsumexp", "mean"]))
def test_answers_are_those_of_the_library(asked, score):
    model = IDENTITY[score]
    questions = [
        Question([torch.tensor(row) for row in rows], rule, explain)
        for rows, rule, explain in asked
    ]
    for question, answer in zip(questions, Inference(model)(questions), strict=True):
        rows = torch.stack(list(question.rows))
        assert np.array_equal(answer.predictions, model.predict(rows, question.rule).numpy())
        assert np.allclose(answer.log_probs, model(rows).numpy(), atol=1e-5)
        expected = model.explain(rows, question.rule) if question.explain else []
        assert [e.prediction for e in answer.explanations] == [e.prediction for e in expected]
        for one, other in zip(answer.explanations, expected, strict=True):
            assert [d.node for d in one.path] == [d.node for d in other.path]
            assert one.probability == pytest.approx(other.probability, abs=1e-6)


def test_numbers_that_overflow_spoil_only_their_own_question():
    fine = Question([torch.tensor([1.0, 2, 3, 4])], "soft", explain=True)
    broken = Question([torch.zeros(4), torch.tensor([1.0, torch.nan, 3, 4])], "soft", True)
    first, second, third = Inference(IDENTITY["mean"])([fine, broken, fine])
    assert first.predictions == third.predictions == 3
    assert isinstance(second, InputError)
    assert "row 1 holds NaN" in str(second)


def test_rows_of_several_shapes():
    torch.manual_seed(0)
    tree = Hierarchy([3, 3, 4, 4, -1], ["a", "b", "c"])
    model = NBDT(build("nbdt:digits-cnn", num_classes=3), tree).eval()
    rows = [torch.rand(1, 8, 8), torch.rand(1, 12, 8), torch.rand(1, 8, 8)]
    (answer,) = Inference(model)([Question(rows, "soft", explain=False)])
    for row, log_probs in zip(rows, answer.log_probs, strict=True):
        assert np.allclose(log_probs, model(row[None]).detach().numpy(), atol=1e-5)


def test_a_shape_that_the_network_does_not_take():
    tree = Hierarchy([3, 3, 4, 4, -1], ["a", "b", "c"])
    infer = Inference(NBDT(torch.nn.Linear(4, 3), tree))
    with pytest.raises(InputError, match=r"does not take a row of shape \(5,\)"):
        infer([Question([torch.zeros(5)], "soft", explain=False)])


def test_a_failure_at_a_shape_that_was_taken_before_is_not_blamed_on_it():
    tree = Hierarchy([3, 3, 4, 4, -1], ["a", "b", "c"])
    network = torch.nn.Linear(4, 3)
    infer = Inference(NBDT(network, tree))
    question = Question([torch.zeros(4)], "soft", explain=False)
    infer([question])
    network.weight.data = torch.zeros(3, 5)
    with pytest.raises(RuntimeError):
        infer([question])


def test_parts_are_joined_in_order():
    parts = [
        Answer(np.full((n, 2), n, np.float32), np.full(n, n), (n,) * n)  # type: ignore[arg-type]
        for n in (1, 2)
    ]
    whole = Answer.joined(parts)
    assert whole.log_probs[:, 0].tolist() == [1, 2, 2]
    assert whole.predictions.tolist() == [1, 2, 2]
    assert whole.explanations == (1, 2, 2)
