"""What the page of `to_html` says of an answer: in the words and numbers of the explanation."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import torch

from nbdt.explain import explain_logits, percent
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.shapes import flat
from nbdt.rules import TreeLayout
from nbdt.view.html import to_html
from tests.browser.test_page import EXPLAINED, TREE

pytestmark = pytest.mark.browser


def answers(tree, logits):
    """The logits explained in several ways, taken to their end and stopped early."""
    found = []
    ways = [{"rule": "soft"}, {"rule": "hard"}, {"score": "mean"}]
    for how in ways:
        (one,) = explain_logits(torch.tensor([logits]), TreeLayout(tree), **how)
        stops = [replace(one, stopped_at=step.node, guarantee=0.99999) for step in one.path]
        found += [one, *stops]
    return found


@pytest.mark.parametrize(("tree", "logits"), [
    (TREE, [3.0, 2.0, 0.0, 0.0, 1.0]),
    (TREE, [2.0, 1.9, 2.2, 0.0, 1.0]),  # the path to cat goes against the odds
    (Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), [2.0, 2.0, 2.2]),  # so does car
    (flat(["a", "b", "c", "d"]), [1.0, 3.0, 2.0, 0.0]),
    (flat(["no", "yes"]), [1.0, 3.0]),
])  # fmt: skip
def test_the_sentences_are_those_of_the_explanation(opened, tree, logits):
    explanations = answers(tree, logits)
    with opened(to_html(tree, explanations)) as page:
        for index, explanation in enumerate(explanations):
            page.locator(".samples button").nth(index).click()
            lines = page.get_by_label("Prediction").locator("p").all_inner_texts()
            answer, network, *rest = [line.replace("\xa0", " ") for line in lines]
            name, share = answer.rsplit(f"{explanation.answer_name} ", 1)
            joint = "; " if explanation.stopped_at is None else ", "
            network = network[0].lower() + network[1:]
            first = f"{name}{explanation.answer_name} ({share}){joint}{network}"
            expected = [
                line for line in str(explanation).split("\n") if not line.startswith("Path: ")
            ]
            assert [first, *rest] == expected


def test_percentages_are_those_of_python(opened):
    values = [i / 1000 for i in range(1001)] + [i / 128 for i in range(129)]
    values += [1e-12, 0.004999, 0.0050001, 0.99499, 0.9950001, 1 - 1e-12]
    values += [np.nextafter(value, side) for value in values for side in (0.0, 1.0)]
    elements = resources.files("nbdt.view.html") / "script" / "elements.js"
    with opened("<!doctype html><p>") as page:
        code = elements.read_text(encoding="utf-8")
        told = page.evaluate(
            f"(values) => {{ {code}\n return values.map(percent); }}", list(map(float, values))
        )
    assert [one.replace("\xa0", " ") for one in told] == [percent(value) for value in values]


def test_what_was_not_taken_is_not_drawn_as_taken(opened):
    stopped = replace(EXPLAINED[0], stopped_at=7, guarantee=0.95)  # animal; not pet and cat
    with opened(to_html(TREE, [stopped, EXPLAINED[1]])) as page:

        def classes(view, kind):
            found = page.locator(f"{view}.{kind}")
            return {one.split("\n")[0].strip("▾•") for one in found.all_inner_texts()}

        assert set(page.locator(".line.taken .name").all_inner_texts()) == {"thing", "animal"}
        assert set(page.locator(".line.beyond .name").all_inner_texts()) == {"pet", "cat"}
        assert classes(".cell", "taken") == {"thing", "animal"}
        assert classes(".cell", "beyond") == {"pet", "cat"}
        for view in (".line", ".cell"):
            weights = {
                kind: page.locator(f"{view}.{kind}").first.evaluate(
                    "(one) => getComputedStyle(one).fontWeight"
                )
                for kind in ("taken", "beyond")
            }
            assert weights == {"taken": "600", "beyond": "400"}
        said = {str(one.get_attribute("title")): str(one.get_attribute("aria-label"))
                for one in page.get_by_role("treeitem").all()}  # fmt: skip
        assert said["cat"] == "cat, 73 %, not taken (too unsure), most likely class".replace(
            " %", "\xa0%"
        )
        assert said["pet"].endswith("not taken (too unsure)")
        assert said["animal"].endswith("on the path, answer")
        assert "Dashed: not taken" in page.locator(".map .hint").inner_text()
        page.get_by_role("treeitem", name="pet").click()
        details = page.get_by_role("region", name="Selected node").inner_text()
        assert "Decision not taken (too unsure)" in details
        assert "taken\n" not in details
        page.locator(".samples button").nth(1).click()
        assert page.locator(".beyond").count() == 0
