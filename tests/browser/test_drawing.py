"""The SVG drawings as a browser lays them out: where texts really are, and what they look like."""

import pytest

from nbdt.hierarchy import load_hierarchy
from nbdt.view import compare_svg, to_svg
from tests.view.samples import HOSTILE, explain, renamed
from tests.view.svg.test_frame import KINDS, overlapping
from tests.view.svg.test_shapes import Box

pytestmark = pytest.mark.browser

CIFAR10 = load_hierarchy("cifar10/wordnet")
HARD_NAMES = renamed(CIFAR10, HOSTILE)
CIFAR100 = load_hierarchy("cifar100/wordnet")
WORDNET = load_hierarchy("imagenet1k/wordnet")

# Where the browser put each text, within the drawing, and how large the drawing is.
MEASURE = """svg => {
  const texts = [...svg.querySelectorAll("text")].map(text => {
    const at = text.getBoundingClientRect();
    return [at.x, at.y, at.width, at.height, text.textContent];
  });
  const all = svg.getBoundingClientRect();
  return {texts, all: [all.x, all.y, all.width, all.height]};
}"""


@pytest.mark.parametrize("arguments", KINDS, ids=str)
@pytest.mark.parametrize("tree", [CIFAR10, HARD_NAMES, CIFAR100, WORDNET], ids=repr)
def test_no_text_overlaps_another_or_leaves_the_drawing(opened, tree, arguments):
    drawing = to_svg(tree, explain(tree, 1, scale=4), folded=None, title=tree.name(0), **arguments)
    with opened(f"<!doctype html><meta charset=utf-8><body>{drawing}") as page:
        measured = page.eval_on_selector("svg", MEASURE)
    whole = Box(*measured["all"])
    # A browser's box of a line is higher than its letters, by the space between lines.
    boxes = [(Box(x, y + 2, w, h - 4), said) for x, y, w, h, said in measured["texts"]]
    assert not list(overlapping(boxes))
    for box, said in boxes:
        assert whole.x <= box.x, said
        assert box.right <= whole.right, said


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_adapts_to_the_colour_scheme(opened, dark):
    with opened(to_svg(CIFAR10, explain(CIFAR10)), dark=dark) as page:
        colours = page.eval_on_selector(
            "svg .nb-card", "card => [getComputedStyle(card).fill, matchMedia('print').matches]"
        )
    assert colours[0] == ("rgb(17, 21, 28)" if dark else "rgb(255, 255, 255)")


def test_hostile_names_run_nothing_and_leave_the_page_alone(opened):
    explanations = [explain(HARD_NAMES, seed) for seed in range(3)]
    drawing = compare_svg([(HARD_NAMES, explanation) for explanation in explanations])
    page_text = "<!doctype html><meta charset=utf-8><p id=p>A text.</p>"
    with opened(f"{page_text}{drawing}<script>window.end = true</script>") as page:
        assert page.evaluate("document.querySelectorAll('img, script').length") == 1
        assert page.evaluate("getComputedStyle(p).display") == "block"
        assert page.evaluate("window.end")
        assert page.evaluate("document.querySelectorAll('svg [id]').length") == 0
