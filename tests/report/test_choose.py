import numpy as np
import torch

from nbdt.explain import Explanation
from nbdt.report import Measurement, measure
from nbdt.report.samples import EACH, choose
from tests.report.test_measure import broken


def test_the_samples_are_what_the_rules_say(found: Measurement) -> None:
    groups = {group.title: group for group in choose(found)}
    assert list(groups) == [
        "Drawn at random",
        "Most confident, correct",
        "Borderline, correct",
        "Most confident errors",
    ]
    lot = groups["Drawn at random"].indices
    assert lot == tuple(np.random.RandomState(0).permutation(450)[:EACH].tolist())

    # Everything is worked out again from the explanations of all samples.
    inputs = torch.stack([found.data[index][0] for index in range(450)])
    said = found.model.explain(inputs)
    labels = found.data.targets.tolist()

    def margin(one: Explanation) -> float:
        return min(decision.margin for decision in one.path)

    def expected(sign: int) -> list[int]:
        """Of each class the right answer with the extreme margin, by probability."""
        firsts = []
        for label in range(10):
            own = [i for i in range(450) if labels[i] == label == said[i].prediction]
            firsts.append(min(own, key=lambda i: sign * margin(said[i])))
        firsts = [i for i in firsts if i not in lot]
        return sorted(firsts, key=lambda i: sign * said[i].probability)[:EACH]

    assert list(groups["Most confident, correct"].indices) == expected(-1)
    assert list(groups["Borderline, correct"].indices) == expected(1)
    wrong = groups["Most confident errors"].indices
    assert all(said[i].prediction != labels[i] for i in wrong)
    sure = [said[i].probability for i in wrong]
    assert sure == sorted(sure, reverse=True)


def test_no_sample_is_shown_twice_or_was_left_out(found: Measurement) -> None:
    first = choose(found)[0].indices[0]
    without = measure(found.model, broken(found.data, {first}))
    shown = [index for group in choose(without) for index in group.indices]
    assert first not in shown
    assert len(set(shown)) == len(shown) == 4 * EACH


def test_without_mistakes_there_is_no_group_of_them(found: Measurement) -> None:
    answers = found.model.predict(torch.stack([x for x, _ in found.data])).numpy()  # type: ignore[attr-defined]
    right = measure(found.model, found.data.select(answers == found.data.targets))
    assert [group.title for group in choose(right)][-1] == "Borderline, correct"
