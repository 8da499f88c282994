"""The samples of a report, and what is said of them."""

import base64
import io
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import nbdt
from nbdt.data import LabelledImages, LabelledSamples
from nbdt.data.folder import ImageFiles
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.inputs.text import TextInput
from nbdt.model import NBDT
from nbdt.report import Measurement, measure, to_page
from nbdt.report.samples import SIZE, Album, choose
from tests.report.test_measure import broken
from tests.report.test_render import part


def random_named(digits: LabelledImages) -> nbdt.Hierarchy:
    return nbdt.hierarchy.shapes.random(list(digits.classes), seed=1)


def test_a_sample_says_what_was_wrong(found: Measurement, page: str) -> None:
    said = part(page, "samples")
    index = int(re.findall(r"Most confident errors.*?sample (\d+)", said)[0])
    (explanation,) = found.model.explain(found.data[index][0][None])
    truth = found.data.classes[int(found.data.targets[index])]
    assert f"{explanation.prediction_name} ({100 * explanation.probability:.0f}" in said
    assert f"True class: {truth} ." in said
    for decision in explanation.path:
        assert f"{decision.margin:.2f}".replace("-", "−") in said
    assert "The network says" not in said  # with this score and rule it agrees


@pytest.mark.parametrize(
    ("shape", "score", "rule"),
    [
        ("random", "mean", "soft"),
        ("random", "mean", "hard"),
        ("flat", "mean", "soft"),
        ("uneven", "mean", "soft"),
        ("uneven", "logsumexp", "soft"),
    ],
)
def test_samples_say_it_in_the_sentences_of_explanations(
    model: NBDT, digits: LabelledImages, shape: str, score: Any, rule: Any
) -> None:
    names = list(digits.classes)
    tree = {
        "random": lambda: random_named(digits),
        "flat": lambda: nbdt.hierarchy.shapes.flat(names),
        # Classes beside a group: their one decision can go against the odds.
        "uneven": lambda: nbdt.Hierarchy([11] * 5 + [10] * 5 + [11, -1], names),
    }[shape]()
    found = measure(NBDT(model.network, tree, score=score, rule=rule), digits)
    section = re.findall(r'<section id="samples".*?</section>', to_page(found), re.DOTALL)[0]
    cards = re.findall(r"<article.*?</article>", section, re.DOTALL)
    assert len(cards) >= 9
    for card in cards:
        said = unescape(re.sub(r"<[^>]*>", "", card)).replace("\xa0", " ")
        index = int(re.findall(r"sample (\d+)", said)[0])
        (explanation,) = found.model.explain(found.data[index][0][None], rule=rule)
        first, *rest = str(explanation).splitlines()
        expected = [line for line in rest if not line.startswith("Path: ")]
        assert len(expected) in (1, 2)
        for line in expected:
            assert line in said
        network = first.partition("; the network ")[2]
        assert ("The network says" in said) == (network != "agrees.")
        assert network == "agrees." or f"The network {network}" in said


def test_images_of_several_shapes_are_explained(digits: LabelledImages) -> None:
    pictures = [digits.image(i).resize((8 + i % 5, 8 + i % 3)) for i in range(60)]
    uncropped = Preprocessing(mode="L", resize=8)
    images = LabelledImages(pictures, digits.targets[:60], digits.classes, uncropped)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(16, 10)
    )
    found = measure(NBDT(network, nbdt.load_hierarchy("digits/shape")), images)
    assert found.evaluation.samples == 60
    group = choose(found)[0]
    shapes = {tuple(found.data[index][0].shape) for index in group.indices}
    assert len(shapes) > 1
    said = part(to_page(found), "samples")
    for index in group.indices:
        (alone,) = found.model.explain(found.data[index][0][None])
        assert f"sample {index} {alone.prediction_name} (" in said


def test_a_picture_that_is_gone_is_an_error(model: NBDT, digits: LabelledImages) -> None:
    found = measure(model, digits.select(range(50)))
    gone = replace(found, data=broken(found.data, set(range(450))))
    with pytest.raises(InputError, match="the image is broken"):
        to_page(gone)


def test_pictures_are_small_and_counted(tmp_path: Path) -> None:
    paths = []
    for shade in range(3):
        folder = tmp_path / "secret" / str(shade)
        folder.mkdir(parents=True)
        Image.new("RGB", (900, 600), (shade, 9, 9)).save(folder / "a<b.jpg")
        paths.append(folder / "a<b.jpg")
    data = LabelledImages(ImageFiles(paths), [0, 1, 0], ["x<y", "z"], Preprocessing())
    album = Album(data, most=4)
    address = album.address(0)
    assert address is not None
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert image.size == (2 * SIZE, round(2 * SIZE * 2 / 3))
    assert album.address(0) == address
    assert [index for index, _ in album.addresses([1, 2, 0])] == [1, 2]
    assert (album.used, album.address(0), album.addresses([1])) == (4, None, [])
    assert album.characters > 2 * len(address)
    # Where the files lie is nobody's business.
    assert (album.class_name(0), album.sample_name(0)) == ("x<y", "sample 0, a<b.jpg")
    in_memory = LabelledImages([Image.new("L", (4, 4))], [0], ["x"], Preprocessing(mode="L"))
    assert Album(in_memory, most=1).sample_name(0) == "sample 0"


def test_a_text_stands_beside_its_explanation_with_what_spoke() -> None:
    texts = ["good film", "slow film", "good", "slow", "good plot", "slow plot"]
    estimator = make_pipeline(CountVectorizer(), LogisticRegression())
    estimator.fit(texts, [1, 0] * 3)
    tree = Hierarchy([2, 2, -1], ["bad", "fine", "any"])
    model = NBDT(estimator, tree, preprocessing=TextInput())
    data = LabelledSamples(texts, [1, 0] * 3, tree.classes, model.preprocessing)
    page = to_page(measure(model, data))
    assert re.search(r'<mark class="for l4" title="[^"]+">good</mark>', page)
