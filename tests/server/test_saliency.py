"""Saliency of a path: drawn where the extra is there, of one image, and in a batch of its own."""

import base64
import io
from importlib.util import find_spec

import pytest
import torch
from PIL import Image

from nbdt.errors import InputError, NotFoundError
from nbdt.inputs.image import decode_image
from nbdt.server import inference
from nbdt.server.inference import Inference, Question
from nbdt.server.protocols import native
from tests.server.conftest import b64, png

EXPLAIN = "/api/v1/models/digits/explain"
needs_captum = pytest.mark.skipif(find_spec("captum") is None, reason="needs [attribution]")


@needs_captum
def test_the_path_is_drawn(client, model):
    body = {"instances": [b64(png(3))]}
    answer = client.post(EXPLAIN, params={"saliency": "true"}, json=body).json()
    (address,) = answer["saliency"]
    kind, data = address.split(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.width > picture.height // 4
    plain = client.post(EXPLAIN, json=body).json()
    assert "saliency" not in plain
    assert plain["explanations"] == answer["explanations"]


@needs_captum
def test_maps_are_those_of_the_library(model):
    from nbdt.attribution import path_saliency

    row = model.preprocessing(decode_image(png(3), "L"))
    question = Question([row], "soft", explain=True, attribution=True)
    (answer,) = Inference(model)([question])
    expected = path_saliency(model, row[None], model.explain(row[None])[0])
    for found, wanted in zip(answer.attributions[0], expected, strict=True):
        assert torch.allclose(found.attribution, wanted.attribution, atol=1e-5)


@needs_captum
@pytest.mark.parametrize(
    ("instances", "status", "said"),
    [
        ([b64(png(1))] * 2, 413, "attribution is computed for one row, got 2"),
        ([[[[0.0] * 8] * 8]], 400, "saliency needs an image"),
    ],
)
def test_it_is_drawn_of_one_image(client, instances, status, said):
    body = {"instances": instances}
    answer = client.post(EXPLAIN, params={"saliency": "true"}, json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_without_the_extra_it_is_refused(client, monkeypatch):
    monkeypatch.setattr(native, "find_spec", lambda name: None)
    body = {"instances": [b64(png(1))]}
    answer = client.post(EXPLAIN, params={"saliency": "true"}, json=body)
    assert answer.status_code == 400
    assert "extra [attribution]" in answer.json()["detail"]


@pytest.mark.parametrize("error", [InputError("no maps"), NotFoundError("no layer")])
def test_a_network_that_gives_none_is_told(model, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(inference, "attribute_path", fail)
    row = model.preprocessing(decode_image(png(3), "L"))
    questions = [
        Question([row], "soft", explain=True, attribution=True),
        Question([row], "soft", explain=True),
    ]
    first, second = Inference(model)(questions)
    assert isinstance(first, InputError)
    assert str(error) in str(first)
    assert len(second.explanations) == 1
