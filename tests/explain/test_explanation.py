import copy
import json
import math
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbdt.errors import FormatError
from nbdt.explain import Explanation, Explanations, promise
from nbdt.model import NBDT
from tests.explain.samples import CAT, THING, VALIDATOR, Recipe, decision, recipes

ROOT, ANIMAL = CAT.path


# ── what follows from the fields ──────────────────────────────────────────────────────────────────


def test_what_is_predicted():
    assert (CAT.prediction, CAT.prediction_name) == (0, "cat")
    assert CAT.probability == 0.98 * 0.75
    assert CAT.agrees
    assert CAT.diverges_at_name == "animal"
    disagreeing = replace(CAT, network_prediction=1, network_prediction_name="dog")
    assert not disagreeing.agrees


def test_the_answer_is_the_prediction_or_where_the_tree_stopped():
    assert (CAT.answer, CAT.answer_name, CAT.answer_probability) == (0, "cat", CAT.probability)
    early = replace(CAT, stopped_at=3)
    assert (early.answer, early.answer_name, early.answer_probability) == (3, "animal", 0.98)
    assert early.prediction == 0
    at_root = replace(CAT, stopped_at=4)
    assert (at_root.answer, at_root.answer_name, at_root.answer_probability) == (4, "thing", 1.0)


def test_closest_is_the_smallest_margin_nearest_the_root():
    assert CAT.closest is ANIMAL
    assert replace(CAT, path=(ROOT, replace(ANIMAL, margin=3.9))).closest is ROOT


def test_explanations_are_frozen_small_and_copied_whole():
    with pytest.raises(AttributeError):
        CAT.runner_up = 2  # type: ignore[misc]
    assert not hasattr(CAT, "__dict__")
    assert copy.deepcopy(CAT) == pickle.loads(pickle.dumps(CAT)) == CAT
    assert hash(CAT) == hash(copy.deepcopy(CAT))


# ── as a document ─────────────────────────────────────────────────────────────────────────────────


@given(recipes())
def test_a_document_read_back_is_the_same_and_fits_the_schema(recipe: Recipe):
    explanation = recipe.explain()
    text = json.dumps(explanation.to_dict(), allow_nan=False)
    VALIDATOR.validate(json.loads(text))
    assert Explanation.from_dict(json.loads(text)) == explanation
    assert Explanation.from_dict(explanation.to_dict()).to_dict() == explanation.to_dict()


def test_infinite_margins_are_null_in_the_document():
    masked = replace(CAT, path=(replace(ROOT, margin=math.inf), ANIMAL))
    assert masked.to_dict()["path"][0]["margin"] is None
    assert Explanation.from_dict(masked.to_dict()) == masked


def changed(place: str, value: Any) -> dict[str, Any]:
    """CAT's document with another value at a place such as ``path[1].child``."""
    document = CAT.to_dict()
    steps = place.replace("[", ".").replace("]", "").split(".")
    part: Any = document
    for step in steps[:-1]:
        part = part[int(step)] if step.isdigit() else part[step]
    part[int(steps[-1]) if steps[-1].isdigit() else steps[-1]] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("schema", "nbdt.explanation/2", "schema: Input should be 'nbdt.explanation/1'; got "),
        ("path", [], "path: Tuple should have at least 1 item"),
        ("path", "cat", "path: Input should be a valid array; got 'cat'"),
        ("path[1].node", 7, "path[1].node is 7, but the decision before it leads to 3"),
        ("path[1].margin", "wide", "path[1].margin: Input should be a valid number; got 'wide'"),
        ("prediction", 1, "prediction is 1, but the rest of the document makes it 0"),
        ("prediction_name", "dog", "prediction_name is 'dog', but the rest"),
        ("probability", 0.98, "probability is 0.98, but the rest"),
        ("network_prediction", 1, "agrees is True, but the rest of the document makes it False"),
        ("agrees", 1, "agrees: Input should be a valid boolean; got 1"),
        ("answer", 3, "answer is 3, but the rest of the document makes it 0"),
        ("stopped_at", 3, "answer is 0, but the rest of the document makes it 3"),
        ("stopped_at", 2, "stopped_at is 2, which is not on the path"),
        ("diverges_at", 1, "diverges_at is 1, which is not on the path"),
        ("runner_up", 0, "runner_up is the predicted class itself"),
        ("score", "max", "score: Input should be 'logsumexp' or 'mean'; got 'max'"),
        ("rule", None, "rule: Input should be 'soft' or 'hard'; got None"),
        ("guarantee", 95, "guarantee: Input should be less than or equal to 1; got 95"),
    ],
)
def test_refuses_a_bad_document_and_says_where(place, value, reason):
    with pytest.raises(FormatError) as error:
        Explanation.from_dict(changed(place, value))
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize("document", [None, [], "cat", {}, {"schema": "nbdt.explanation/1"}])
def test_refuses_what_is_no_explanation_at_all(document):
    with pytest.raises(FormatError, match=r"^(ExplanationDocument lacks|Input should be)"):
        Explanation.from_dict(document)


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in a document."""
    found = [path] if path else []
    if isinstance(part, dict):
        found += [place for key in part for place in places(part[key], (*path, key))]
    elif isinstance(part, list):
        found += [place for i, value in enumerate(part) for place in places(value, (*path, i))]
    return found


JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0.0, 1e308, math.nan, math.inf, -math.inf, "", "soft"])
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(0, 4) | st.floats(0, 1) | st.text(max_size=2), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(places(CAT.to_dict())), JUNK, st.sampled_from(["set", "delete", "add"]))
def test_a_damaged_document_is_refused_or_fits_the_schema(place, junk, action):
    document = CAT.to_dict()
    part: Any = document
    for step in place[:-1]:
        part = part[step]
    if action == "set":
        part[place[-1]] = junk
    elif action == "delete":
        del part[place[-1]]
    elif isinstance(part, dict):
        part[f"{place[-1]}_too"] = junk
    else:
        part.append(junk)
    try:
        read = Explanation.from_dict(document)
    except FormatError:
        return
    VALIDATOR.validate(document)
    VALIDATOR.validate(json.loads(json.dumps(read.to_dict(), allow_nan=False)))


# ── as text ───────────────────────────────────────────────────────────────────────────────────────


def test_text_of_a_plain_prediction():
    assert str(CAT).splitlines() == [
        "Predicted cat (74 %); the network agrees.",
        "Path: thing → animal (98 %) → cat (75 %).",
        "Closest decision: cat (75 %) over dog (25 %) at animal.",
        "Runner-up: dog (25 %); the paths diverge at animal.",
    ]


def test_text_when_the_network_disagrees():
    other = replace(CAT, network_prediction=2, network_prediction_name="car")
    assert str(other).splitlines()[0] == "Predicted cat (74 %); the network says car."


def test_text_when_stopped_early():
    early = replace(CAT, stopped_at=3, guarantee=0.95)
    assert str(early).splitlines()[:2] == [
        "Stopped at animal (98 %), too unsure to go on to cat (74 %); the network says cat.",
        "At least 95 % of such answers hold the true class, on average, if samples are drawn "
        "like the calibration samples.",
    ]
    assert early.to_text(full=True).splitlines()[3:5] == [
        "  1. at thing: animal (98 %) over car (2 %)",
        "  2. at animal: cat (75 %) over dog (25 %); not taken",
    ]
    assert str(early).splitlines()[2] == ("Path: thing → animal (98 %); not taken: cat (75 %).")
    nowhere = replace(CAT, stopped_at=4)
    assert str(nowhere).splitlines()[1] == "Path: thing; not taken: animal (98 %) → cat (75 %)."
    assert "At least 99.99999 % of" in promise(0.9999999)
    sure = replace(CAT, guarantee=0.995)
    assert str(sure).splitlines()[:2] == [
        "Predicted cat (74 %); the network agrees.",
        promise(0.995),
    ]


def test_text_when_the_path_goes_against_a_decision():
    contrary = decision(
        (4, "thing"), {2: ("car", 0.6), 3: ("animal", 0.4)}, 3, margin=-0.4, entropy=0.97
    )
    lines = str(replace(CAT, path=(contrary, ANIMAL))).splitlines()
    assert lines[2] == (
        "At thing it takes animal (40 %) against car (60 %), as the whole path is likelier."
    )


def test_text_of_a_flat_tree_is_short():
    children = {0: ("cat", 0.81), 1: ("dog", 0.12), 2: ("car", 0.07)}
    flat = replace(CAT, path=(decision((3, "thing"), children, 0),), diverges_at=3)
    assert str(flat).splitlines() == [
        "Predicted cat (81 %); the network agrees.",
        "One decision: cat (81 %) over dog (12 %) and 1 more.",
    ]


def test_text_of_one_decision_against_a_group_names_the_runner_up():
    step = decision((4, "thing"), {2: ("car", 0.9), 3: ("animal", 0.1)}, 2)
    near = replace(
        CAT,
        path=(step,),
        runner_up=0,
        runner_up_name="cat",
        runner_up_probability=0.06,
        diverges_at=4,
    )
    assert str(near).splitlines()[1:] == [
        "One decision: car (90 %) over animal (10 %).",
        "Runner-up: cat (6 %); the paths diverge at thing.",
    ]


def test_text_of_one_decision_against_the_odds_says_so():
    step = decision((4, "thing"), {2: ("car", 0.4), 3: ("animal", 0.6)}, 2, margin=-0.2)
    assert str(replace(CAT, path=(step,), diverges_at=4)).splitlines()[1] == (
        "One decision: car (40 %) against animal (60 %), as no class there is as likely."
    )


def test_text_of_a_long_path_sums_up_its_middle():
    steps = [
        decision((i, f"n{i}"), {i + 1: (f"n{i + 1}", 0.9), 100 + i: ("other", 0.1)}, i + 1)
        for i in range(10, 20)
    ]
    long = replace(CAT, path=tuple(steps), diverges_at=10)
    assert str(long).splitlines()[1] == (
        "Path: n10 → n11 (90 %) → n12 (90 %) → … 6 more, together 53 % … → n19 (90 %) → n20 (90 %)."
    )
    full = long.to_text(full=True).splitlines()
    assert full[1] == "Path, decision by decision:"
    assert full[2] == "  1. at n10: n11 (90 %) over other (10 %)"
    assert full[11] == "  10. at n19: n20 (90 %) over other (10 %)"
    assert full[12:] == str(long).splitlines()[2:]
    six = replace(CAT, path=tuple(steps[:6]), diverges_at=10)
    assert "more" not in str(six)


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(1.0, "100 %"), (0.9999, ">99 %"), (0.994, "99 %"), (0.0049, "<1 %"), (0.0, "0 %")],
)
def test_text_calls_nothing_certain_that_is_not(probability, shown):
    step = decision((3, "top"), {0: ("a", probability), 1: ("b", 1 - probability)}, 0)
    assert f"Predicted a ({shown})" in str(replace(CAT, path=(step,), diverges_at=3))


def test_text_keeps_names_on_their_line():
    step = decision((3, "top\n"), {0: ("a\tcat ", 0.5), 1: ("b", 0.5)}, 0)
    explanation = replace(CAT, path=(step,), diverges_at=3, runner_up_name="b\nb")
    assert str(explanation).splitlines() == [
        "Predicted a cat (50 %); the network agrees.",
        "One decision: a cat (50 %) over b (50 %).",
    ]
    red = decision((3, "top"), {0: ("a\x1b[31mcat", 0.5), 1: ("b", 0.5)}, 0)
    assert "Predicted a\\x1b[31mcat (50 %)" in str(replace(CAT, path=(red,), diverges_at=3))


@given(recipes())
def test_text_is_a_few_lines_whatever_the_tree(recipe: Recipe):
    explanation = recipe.explain()
    lines = str(explanation).splitlines()
    assert 2 <= len(lines) <= 5
    assert all(line.endswith(".") for line in lines)
    assert "nan" not in str(explanation)


def test_repr_is_one_line():
    assert repr(CAT) == "Explanation('cat', probability 0.7350, 2 decisions, network 'cat')"
    early = replace(CAT, stopped_at=3)
    assert "probability 0.7350, stopped at 'animal', 2 decisions" in repr(early)


# ── several ──────────────────────────────────────────────────────────────────────────────────────


def several() -> Explanations:
    return NBDT(torch.nn.Identity(), THING).explain(torch.eye(3))


def test_a_model_gives_a_list_that_shows_itself() -> None:
    explanations = several()
    assert type(explanations) is Explanations
    assert explanations == list(explanations)
    assert [one.prediction for one in explanations] == [0, 1, 2]
    assert "image/svg+xml" in explanations._repr_mimebundle_()


def test_slices_show_themselves_too_and_items_are_explanations() -> None:
    explanations = several()
    assert type(explanations[1:]) is Explanations
    assert explanations[1:] == list(explanations)[1:]
    assert isinstance(explanations[-1], Explanation)
    assert explanations[-1].prediction == 2


def test_it_can_be_copied_and_pickled() -> None:
    explanations = several()
    for again in (copy.deepcopy(explanations), pickle.loads(pickle.dumps(explanations))):
        assert type(again) is Explanations
        assert again == explanations
