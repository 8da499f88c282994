"""Maps of classes: from a file of weights to the explanation of a site, over HTTP."""

import asyncio
import io
import json

import httpx
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from nbdt.attribution import path_saliency
from nbdt.cli import app
from nbdt.client import Client
from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.model import NBDT
from nbdt.server.settings import Settings
from tests.server.conftest import b64, png, save_model, serving

NAME = "lraspp_mobilenet_v3_large"
SITE = (5, 40)
IMAGE = png(size=(64, 48))
NATIVE, BODY = "/api/v1/models/street", {"instances": [b64(IMAGE)]}


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of maps that the command line made of a file of weights, and one of images."""
    folder = tmp_path_factory.mktemp("maps")
    torch.manual_seed(0)
    sizes = {"weights": None, "weights_backbone": None, "num_classes": 4}
    network = torchvision.models.get_model(NAME, **sizes)
    save_file(network.state_dict(), folder / "weights.safetensors")
    arguments = (
        *("convert", f"torchvision:{NAME}", "--weights", folder / "weights.safetensors"),
        *("--classes", "sky,road,car,tree", "--preprocessing", '{"resize": [48, 64]}'),
        *("-o", folder / "models" / "street"),
    )
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    save_model(folder / "models" / "digits")
    return folder / "models"


@pytest.fixture(scope="module")
def model(folder):
    return NBDT.from_pretrained(folder / "street")


@pytest.fixture(scope="module")
def server(folder):
    with serving(Settings(models=(folder,))) as running:
        yield running


@pytest.fixture
def client(server):
    with server.client() as one:
        yield one


def test_a_site_is_explained_as_the_library_explains_it(server, model, tmp_path):
    (tmp_path / "street.png").write_bytes(IMAGE)
    with Client(server.url) as client:
        for rule in ("soft", "hard"):
            [expected] = model.explain(Image.open(io.BytesIO(IMAGE)), rule, at=SITE)
            [found] = client.explain("street", tmp_path / "street.png", rule=rule, at=SITE)
            assert str(found) == str(expected)
            assert found.sites == expected.sites
            [answer] = client.predict("street", IMAGE, rule=rule, at=SITE)
            assert answer["prediction"] == expected.prediction
            assert answer["probability"] == pytest.approx(expected.probability, abs=1e-5)
        with pytest.raises(InputError, match=r"answers 48 × 64 sites a row; .*explain\?at=0,0"):
            client.explain("street", IMAGE)
        with pytest.raises(InputError, match="leave at out"):
            client.explain("digits", png(), at=SITE)


def test_sites_of_one_batch_and_its_errors_are_kept_apart(client):
    async def ask():
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False) as several:
            ats = ["0,0", "47,63", "48,0", "5,40", "1", "5,40"]
            calls = [several.post(f"{NATIVE}/explain?at={at}", json=BODY) for at in ats]
            return await asyncio.gather(*calls)

    answers = asyncio.run(ask())
    assert [one.status_code for one in answers] == [200, 200, 400, 200, 400, 200]
    for answer, site in ((answers[0], (0, 0)), (answers[1], (47, 63)), (answers[3], SITE)):
        [document] = answer.json()["explanations"]
        assert Explanation.from_dict(document).sites.first == site
    assert "at must be (row, column) on a map of 48 × 64 sites" in answers[2].json()["detail"]


def test_the_command_line_explains_a_site(folder, model, tmp_path):
    (tmp_path / "street.png").write_bytes(IMAGE)
    result = run("explain", folder / "street", tmp_path / "street.png", "--at", "5,40", "--json")
    assert result.exit_code == 0, result.stderr
    found = Explanation.from_dict(json.loads(result.stdout)["explanation"])
    [expected] = model.explain(Image.open(io.BytesIO(IMAGE)), at=SITE)
    assert str(found) == str(expected)
    for arguments, said in (
        ((), "street.png: this model answers 48 × 64 sites a sample; name one: --at ROW,COLUMN."),
        (("--at", "48,0"), "street.png: at must be (row, column) on a map of 48 × 64 sites"),
    ):
        result = run("explain", folder / "street", tmp_path / "street.png", *arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert said in result.stderr


def test_what_counts_samples_names_what_counts_sites(folder, tmp_path):
    for name in ("sky", "road", "car", "tree"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(IMAGE)
    result = run("evaluate", folder / "street", tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "nbdt.evaluation.evaluate_maps" in result.stderr


@pytest.mark.parametrize("accept", ["text/html", "image/svg+xml"])
def test_a_site_is_drawn(client, accept):
    url = f"{NATIVE}/explain?at=5,40"
    answer = client.post(url, json=BODY, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text


def test_what_spoke_for_a_site_is_told_by_pixels(client, model):
    pytest.importorskip("captum")
    answer = client.post(f"{NATIVE}/explain?at=5,40&attribution=true", json=BODY).json()
    x = model.prepared(Image.open(io.BytesIO(IMAGE)))
    [explanation] = model.explain(x, at=SITE)
    expected = path_saliency(model, x, explanation, method="integrated_gradients")
    for found, saliency in zip(answer["attribution"][0], expected, strict=True):
        assert found["child"] == saliency.child
        assert found["difference"] == pytest.approx(saliency.difference, abs=1e-4)
    margins = [saliency.difference for saliency in expected]
    assert margins == pytest.approx([step.margin for step in explanation.path], abs=1e-5)
    with pytest.raises(InputError, match="one site of a map, got a region"):
        path_saliency(model, x, model.explain(x, region=torch.ones(48, 64, dtype=torch.bool))[0])
    with pytest.raises(InputError, match="needs the explanation of one site"):
        path_saliency(model, x, explanation.path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{NATIVE}/predict", "name one by the native protocol"),
        (f"{NATIVE}/explain?at=one,two", "a site is such as 12,40"),
        ("/v1/models/street:predict", "/api/v1/models/MODEL/explain?at=0,0"),
        ("/v1/models/street:explain", "/api/v1/models/MODEL/explain?at=0,0"),
        ("/invocations?model=street", "/api/v1/models/MODEL/explain?at=0,0"),
    ],
)
def test_what_maps_cannot_answer_is_said(client, path, said):
    answer = client.post(path, json=BODY)
    assert answer.status_code == 400
    assert said in answer.text


def test_open_inference_names_the_native_protocol(client):
    data = [BODY["instances"][0]["b64"]]
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": data}
    answer = client.post("/v2/models/street/infer", json={"inputs": [image]})
    assert answer.status_code == 400
    assert "/api/v1/models/MODEL/explain?at=0,0" in answer.json()["error"]
