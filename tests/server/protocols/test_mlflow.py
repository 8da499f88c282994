"""MLflow's scoring protocol, and its client."""

import base64
import re

import pytest

from nbdt.data import decode_image
from nbdt.explain import Explanation
from nbdt.server.settings import Settings
from tests.server.conftest import b64, png, serving


@pytest.fixture(scope="module")
def single(models):
    """A service of one model, which need not be named."""
    with serving(Settings(models=(models / "digits",))) as running:
        yield running


@pytest.fixture
def client(single):
    with single.client() as one:
        yield one


def ask(client, **body):
    return client.post("/invocations", json=body)


def test_rows_come_in_several_forms(client, model):
    image = png(4)
    array = model.preprocessing(decode_image(image, "L"))
    expected = model.predict(array[None]).item()
    frame = {"columns": ["image"], "data": [[b64(image)["b64"]]]}
    for form, rows in (
        ("instances", [b64(image)]),
        ("inputs", [array.tolist()]),
        ("inputs", [b64(image)]),
        ("dataframe_split", frame),
    ):
        (found,) = ask(client, **{form: rows}).json()["predictions"]
        assert found["prediction"] == expected, form


def test_params_choose_the_rule_and_explanations(client, model):
    (found,) = ask(client, inputs=[b64(png(4))], params={"rule": "hard", "explain": True}).json()[
        "predictions"
    ]
    told = Explanation.from_dict(found)
    assert told.rule == "hard"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "exactly one of instances, inputs, dataframe_split"),
        ({"inputs": [], "instances": []}, "one of instances"),
        ({"inputs": {"a": [1]}}, "row 0: this model reads an image.*got 1"),
        (
            {"inputs": [[1.0]], "params": {"temperature": 1}},
            "params has an unknown key 'temperature'",
        ),
        ({"inputs": [[1.0]], "params": []}, "params: "),
        ({"inputs": [[1.0]], "params": {"explain": 1}}, "params.explain: .*boolean"),
        ({"inputs": [[1.0]], "params": {"rule": 1}}, "params.rule: "),
        (
            {"dataframe_split": {"data": [["a", "b"]]}},
            "row 0: this model reads an image",
        ),
        ({"dataframe_split": []}, "dataframe_split: "),
    ],
)
def test_requests_that_are_not_valid(client, body, said):
    answer = ask(client, **body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert re.search(said, answer.json()["message"])


def test_where_several_models_are_served_one_is_named(server):
    with server.client() as client:
        assert "/invocations?model=digits" in ask(client, inputs=[[1.0]]).json()["message"]
        answer = client.post("/invocations?model=digits", json={"inputs": [b64(png(1))]})
        assert len(answer.json()["predictions"]) == 1


def test_ping_and_version(client):
    assert client.get("/ping").status_code == 200
    assert client.get("/version").text.count(".") >= 2


def test_ping_says_when_the_service_is_about_to_stop(single, client, monkeypatch):
    monkeypatch.setattr(single.worker.service, "draining", True)
    answer = client.get("/ping")
    assert answer.status_code == client.get("/readyz").status_code == 503
    told = client.get("/openapi.json").json()["paths"]["/ping"]["get"]["responses"]["5XX"]
    assert list(told["content"]) == [answer.headers["content-type"]]


def test_mlflows_own_client(single, model):
    scoring = pytest.importorskip(
        "mlflow.pyfunc.scoring_server.client", reason="MLflow's client is an extra: [conformance]"
    )
    host, port = single.url.removeprefix("http://").split(":")
    client = scoring.ScoringServerClient(host, port)
    client.wait_server_ready(timeout=5)
    assert client.get_version()
    image = png(4)
    array = model.preprocessing(decode_image(image, "L"))[None]
    (found,) = client.invoke(array.numpy())["predictions"]
    assert found["prediction"] == model.predict(array).item()
    text = base64.b64encode(image).decode()
    (again,) = client.invoke([{"b64": text}], params={"rule": "soft"})["predictions"]
    assert again["probability"] == pytest.approx(found["probability"], abs=1e-5)
    with pytest.raises(Exception, match="exactly one of instances"):
        client.invoke("{}")
