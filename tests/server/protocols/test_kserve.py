"""KServe v1: its answers are those of Python, and its client understands them."""

import asyncio

import pytest

from nbdt.explain import Explanation
from tests.server.conftest import b64, png


def rows(model, *images):
    from nbdt.data import decode_image

    return model.preprocessing.batch([decode_image(one, "L") for one in images])


def test_explanations_are_those_of_python(client, model):
    images = [png(seed) for seed in range(5)]
    body = {"instances": [b64(one) for one in images]}
    answer = client.post("/v1/models/digits:explain", json=body)
    assert answer.status_code == 200
    told = [Explanation.from_dict(one) for one in answer.json()["explanations"]]
    expected = model.explain(rows(model, *images))
    assert len({one.prediction for one in expected}) > 1
    assert [one.prediction for one in told] == [one.prediction for one in expected]
    for one, other in zip(told, expected, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
        assert [d.node for d in one.path] == [d.node for d in other.path]


def test_predictions_of_images_and_arrays_agree(client, model):
    image = png(3)
    array = rows(model, image)[0].tolist()
    body = {"instances": [b64(image), array]}
    first, second = client.post("/v1/models/digits:predict", json=body).json()["predictions"]
    assert first["prediction_name"] == model.classes[first["prediction"]]
    assert second["probability"] == pytest.approx(first["probability"], abs=1e-6)


def test_names_and_states(client):
    assert client.get("/v1/models").json() == {"models": ["digits", "markup"]}
    assert client.get("/v1/models/digits").json() == {"name": "digits", "ready": True}
    assert client.get("/").json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("nope", b'{"instances": []}', 404, "there is no model 'nope'"),
        ("digits", b'{"instances": []}', 400, "holds no row"),
        ("digits", b'{"instances": [3]}', 400, "row 0: this model reads an image"),
        ("digits", b"{", 400, "not valid JSON"),
        ("digits", b"", 400, "body is empty"),
    ],
)
def test_errors_are_plain_json_with_a_message(client, path, body, status, said):
    answer = client.post(f"/v1/models/{path}:predict", content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert said in answer.json()["error"]


def test_kserves_own_client(server, model):
    kserve = pytest.importorskip("kserve", reason="KServe's client is an extra: [conformance]")
    image = png(7)
    (expected,) = model.explain(rows(model, image))

    async def talk():
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1", retries=0))
        try:
            assert await client.is_server_live(server.url)
            assert await client.is_model_ready(server.url, "digits")
            body = {"instances": [b64(image)]}
            predicted = await client.infer(server.url, body, model_name="digits")
            explained = await client.explain(server.url, "digits", body)
            with pytest.raises(Exception, match="there is no model 'nope'"):
                await client.infer(server.url, body, model_name="nope")
        finally:
            await client.close()
        return predicted["predictions"][0], explained["explanations"][0]

    predicted, explained = asyncio.run(talk())
    assert predicted["prediction"] == expected.prediction
    assert Explanation.from_dict(explained).prediction_name == expected.prediction_name
