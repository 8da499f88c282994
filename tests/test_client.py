"""The client: answers as the library's own, and errors that say what to do."""

import base64
import io
import json
import sys

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nbdt.client import Client, ServiceError
from nbdt.data import decode_image
from nbdt.errors import FormatError, InputError, MissingDependencyError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict
from nbdt.inputs.image import to_mode
from nbdt.model import NBDT

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
MODEL = NBDT(nn.Identity(), TREE)


class Service:
    """Answers requests from memory: rows are logits, an image is one by its width."""

    def __init__(self, *busy):
        self.busy = list(busy)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        if self.busy:
            status, headers = self.busy.pop(0)
            return httpx.Response(status, headers=headers, json={"detail": "busy."})
        path = request.url.path
        if path == "/api/v1/models":
            return httpx.Response(200, json={"models": [{"name": "pets"}]})
        if not path.startswith("/api/v1/models/pets"):
            return httpx.Response(404, json={"detail": "there is no model 'x'."})
        if path.endswith("/tree"):
            return httpx.Response(200, json=to_dict(TREE))
        if request.method == "GET":
            return httpx.Response(200, json={"name": "pets"})
        rows = [self.row(one) for one in json.loads(request.content)["instances"]]
        if any(len(row) != 3 for row in rows):
            return httpx.Response(400, json={"detail": "row 0: three numbers."})
        rule = request.url.params.get("rule")
        explanations = [one.to_dict() for one in MODEL.explain(torch.tensor(rows), rule)]
        if path.endswith("/explain"):
            return httpx.Response(200, json={"explanations": explanations})
        predictions = [{"prediction": one["prediction"]} for one in explanations]
        answer = {"predictions": predictions}
        if "top" in request.url.params:
            answer["top"] = [[{"class": one["prediction"]}] for one in explanations]
        return httpx.Response(200, json=answer)

    @staticmethod
    def row(instance):
        if isinstance(instance, list):
            return instance
        width = Image.open(io.BytesIO(base64.b64decode(instance["b64"]))).width
        return [float(width == 1), float(width == 2), float(width == 3)]


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def client(service):
    with Client("http://x/", transport=httpx.MockTransport(service)) as one:
        yield one


def test_explanations_are_the_librarys_own(client):
    logits = np.array([[2.0, 2.0, 2.2], [0.0, 3.0, 1.0]], np.float32)
    for rule in ("soft", "hard"):
        assert client.explain("pets", list(logits), rule=rule) == MODEL.explain(
            torch.from_numpy(logits), rule
        )


def test_rows_of_every_kind(client, tmp_path):
    image = Image.new("RGB", (2, 1))
    image.save(tmp_path / "dog.png")
    data = (tmp_path / "dog.png").read_bytes()
    path = tmp_path / "dog.png"
    rows = [image, path, str(path), data, np.array([0.0, 1.0, 0.0])]
    assert [one["prediction"] for one in client.predict("pets", rows)] == [1] * 5
    for row in rows:
        assert len(client.predict("pets", row)) == 1


PIXELS = {"1": 1, "L": 200, "P": 7}


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV",
     "I", "I;16", "I;16B"],
)  # fmt: skip
@pytest.mark.parametrize("taken", ["RGB", "L"])
def test_an_image_of_any_mode_arrives_as_the_library_takes_it(client, service, mode, taken):
    image = Image.new(mode, (2, 1))
    bands = len(image.getbands())
    image.putpixel((0, 0), (150, 60, 30, 90)[:bands] if bands > 1 else PIXELS.get(mode, 40_000))
    client.predict("pets", image)
    (instance,) = json.loads(service.requests[-1].content)["instances"]
    sent = decode_image(base64.b64decode(instance["b64"]), taken)
    assert np.array_equal(np.asarray(sent), np.asarray(to_mode(image, taken)))


def test_images_and_arrays_that_cannot_be_sent(client):
    with pytest.raises(InputError, match="no stated range"):
        client.predict("pets", Image.new("F", (2, 1)))
    with pytest.raises(InputError, match="cannot be sent: cannot write empty image"):
        client.predict("pets", Image.new("RGB", (0, 1)))
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    with pytest.raises(InputError, match=r"cannot be sent: .*truncated"):
        client.predict("pets", Image.open(io.BytesIO(file.getvalue()[:900])))
    for array in (np.array([0, np.nan, 1]), np.array([0, -np.inf, 1]), np.array([1j]),
                  np.array(["a"]), np.array([None])):  # fmt: skip
        with pytest.raises(InputError, match="must hold finite numbers"):
            client.predict("pets", array)


def test_the_likeliest_classes_stand_beside_each_prediction(client):
    (answer,) = client.predict("pets", np.array([0.0, 0.0, 9.0]), top=1)
    assert answer == {"prediction": 2, "top": [{"class": 2}]}


def test_models_and_trees(client):
    assert client.models() == [{"name": "pets"}]
    assert client.describe("pets") == {"name": "pets"}
    assert client.tree("pets") == TREE


def test_what_is_not_there_or_not_right(client, tmp_path):
    with pytest.raises(NotFoundError, match="there is no model"):
        client.describe("nope")
    with pytest.raises(NotFoundError, match="no such file"):
        client.predict("pets", tmp_path / "nope.png")
    with pytest.raises(InputError, match="cannot be read"):
        client.predict("pets", tmp_path)
    with pytest.raises(InputError, match="row 0: three numbers"):
        client.predict("pets", np.zeros(2))
    with pytest.raises(InputError, match="a row is a text, a path, bytes"):
        client.predict("pets", 3)
    for name in ("", "a/b", "..%2f", "ä"):
        with pytest.raises(InputError, match="a model's name has letters"):
            client.describe(name)


def test_a_key_is_sent(service):
    with Client("http://x", key="nbdt_secret", transport=httpx.MockTransport(service)) as client:
        client.models()
    assert service.requests[0].headers["authorization"] == "Bearer nbdt_secret"


def test_a_busy_service_is_asked_again_when_it_says(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    service = Service((429, {"Retry-After": "3"}), (503, {}))
    with Client("http://x", transport=httpx.MockTransport(service)) as client:
        assert client.models()
    assert slept == [3.0, 1.0]
    service = Service(*[(429, {"Retry-After": "99999"})] * 3)
    with (
        Client("http://x", transport=httpx.MockTransport(service)) as client,
        pytest.raises(ServiceError, match="busy") as caught,
    ):
        client.models()
    assert caught.value.status == 429
    assert max(slept) == 10


def test_a_service_that_is_none():
    def answer(request):
        return httpx.Response(200, text="<html>")

    with (
        Client("http://x", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(ServiceError, match="is this a service of nbdt"),
    ):
        client.models()


@pytest.mark.parametrize("document", [{}, {"models": 3}, {"predictions": [1]}, {"ok": True}])
def test_a_service_of_something_else(document):
    service = httpx.MockTransport(lambda request: httpx.Response(200, json=document))
    with Client("http://x", transport=service) as client:
        for ask in (
            client.models,
            lambda: client.predict("pets", np.zeros(3)),
            lambda: client.explain("pets", np.zeros(3)),
        ):
            with pytest.raises(ServiceError, match="is this a service of nbdt") as caught:
                ask()
            assert caught.value.status == 200
        with pytest.raises(FormatError):
            client.tree("pets")


def test_a_service_that_cannot_be_reached():
    def fail(request):
        raise httpx.ConnectError("refused")

    with (
        Client("http://x", transport=httpx.MockTransport(fail)) as client,
        pytest.raises(ServiceError, match="http://x cannot be reached: refused"),
    ):
        client.models()
    with pytest.raises(InputError, match="begins with http://"):
        Client("localhost:8000")


def test_without_httpx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install \'\.\[client\]\'"):
        Client("http://x")
