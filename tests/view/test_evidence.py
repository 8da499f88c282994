"""What spoke for a decision, as text, drawing and page: the same words, sides and numbers."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image
from rich.console import Console

from nbdt.attribution import Attributions, Contributions
from nbdt.errors import InputError
from nbdt.inputs import Preview
from nbdt.view import attribution_rich, attribution_svg, attribution_text, to_html
from nbdt.view.evidence import LEVELS, Evidence
from tests.attribution.conftest import made as saliency
from tests.explain.samples import THING
from tests.view.samples import explain

EXPLANATION = explain(THING)

WORDS = Contributions(
    node=3,
    node_name="animal",
    child=0,
    child_name="cat",
    rival=1,
    rival_name="dog",
    probability=0.9,
    difference=2.0,
    method="shapley",
    baseline_difference=0.1,
    preview=Preview(texts=("so good,\nnot slow",)),
    kind="word",
    parts=("so", "good", ",", "not", "slow"),
    contributions=(0.001, 2.0, 0.0, -0.2, 0.099),
    in_place="nothing",
    errors=(0.1, 0.2, 0.0, 0.1, 0.1),
    spans=((0, 0, 2), (0, 3, 7), (0, 7, 8), (0, 9, 12), (0, 13, 17)),
)
COLUMNS = replace(
    WORDS,
    preview=Preview(columns=(("age", "52"), ("job", "cook"))),
    kind="column",
    parts=("age", "job"),
    contributions=(-0.8, 2.7),
    in_place="the example row",
    errors=(),
    is_exact=True,
    values=("52", "cook"),
    spans=(),
)


def test_plain_text_says_sides_and_numbers_without_color():
    assert attribution_text(WORDS).splitlines() == [
        "animal: cat (90 %), not dog; the scores differ by 2.00",
        "  so [good +2.00],",
        "[not −0.20] slow",
        "  Shapley values, compared with the text without its words; sampled, with standard errors "
        "of up to 0.2.",
    ]
    assert attribution_text([COLUMNS]).splitlines()[1:] == [
        "  █ for cat, ░ for dog",
        "    +2.70 ████████████████ job = cook",
        "    −0.80 ░░░░░            age = 52",
        "  Shapley values, compared with the example row in place of a column; exact.",
    ]
    console = Console(width=60, force_terminal=True, color_system="standard", record=True)
    console.print(attribution_rich(Attributions([WORDS, COLUMNS])))
    shown = console.export_text()
    assert "so good," in shown
    assert "job = cook" in shown


def test_a_sentence_names_the_part_the_side_and_the_difference():
    assert COLUMNS.sentence(0) == "age = 52 spoke for dog by 0.80"
    assert WORDS.sentence(1) == "“good” spoke for cat by 2.00"


def test_marks_cover_the_text_and_depth_follows_the_contribution():
    (marks,) = Evidence.of(WORDS).texts
    assert "".join(mark.text for mark in marks) == WORDS.preview.texts[0]
    levels = {mark.text: mark.level for mark in marks}
    assert (levels["good"], levels["not"], levels["so"], levels[" "]) == (LEVELS, -1, 0, 0)


def test_letters_share_what_overlapping_ngrams_get():
    grams = replace(
        WORDS,
        kind="n-gram",
        preview=Preview(texts=("abc",)),
        parts=("ab", "bc"),
        contributions=(2.0, 2.0),
        spans=((0, 0, 2), (0, 1, 3)),
    )
    (marks,) = Evidence.of(grams).texts
    assert [(mark.text, mark.level) for mark in marks] == [("a", 2), ("b", 4), ("c", 2)]


@pytest.mark.parametrize("width", [240, 640])
def test_the_drawing_is_well_formed_and_says_all_in_words(width):
    drawing = attribution_svg([WORDS, COLUMNS], width=width)
    root = ElementTree.fromstring(drawing)
    description = root.find("{http://www.w3.org/2000/svg}desc").text
    assert "[good +2.00]" in description
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"good,", "good", "+2.70"} & set(texts) >= {"good", "+2.70"}
    with pytest.raises(InputError, match="the list is empty"):
        attribution_svg([])


def test_a_notebook_draws_attributions():
    for subject in (WORDS, Attributions([WORDS, COLUMNS])):
        bundle = subject._repr_mimebundle_()
        assert bundle["image/svg+xml"] == attribution_svg(subject)
        assert bundle["text/plain"] == attribution_text(subject)
    assert Attributions()._repr_mimebundle_() == {"text/plain": "no decisions"}


def test_pixels_are_drawn_over_the_picture():
    picture = Image.new("RGB", (2, 2), "gray")
    evidence = Evidence.of(replace(saliency(), preview=Preview(picture=picture)))
    assert evidence.picture.startswith("data:image/")
    assert not Evidence.of(saliency()).picture


def test_a_page_holds_the_sample_and_what_spoke():
    name = replace(WORDS, preview=Preview(texts=("</script><b>good",)), spans=((0, 12, 16),) * 5)
    page = to_html(
        THING,
        EXPLANATION,
        samples=[name.preview],
        attributions=[[name, COLUMNS]],
    )
    data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    document = json.loads(data)
    assert document["samples"] == [{"texts": ["</script><b>good"], "columns": []}]
    (words, columns) = document["attributions"][0]
    assert words["texts"][0][0]["text"].startswith("</script>")
    assert columns["rows"][0] == {"label": "job = cook", "value": "+2.70", "share": 1.0}
    assert "job = cook" in page.split("<main")[1]  # where scripts are blocked
    with pytest.raises(InputError, match="attributions needs 1 entries"):
        to_html(THING, EXPLANATION, attributions=[[WORDS], [WORDS]])
