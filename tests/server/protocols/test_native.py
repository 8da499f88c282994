"""The service's own protocol: what it tells, in which forms, and whom it refuses."""

import json
import threading

import numpy as np
import pytest

from nbdt.data import decode_image
from nbdt.explain import Explanation
from nbdt.hierarchy.formats import from_dict
from nbdt.server import answers
from nbdt.server.keys import new_key
from nbdt.server.protocols import kserve, mlflow, native, oip
from nbdt.server.settings import Settings
from tests.server.conftest import MARKUP, b64, png, save_model, serving

API = "/api/v1/models"


def rows(model, *images):
    return model.preprocessing.batch([decode_image(one, "L") for one in images])


def test_models_are_listed_and_described(client, model, models):
    listed = client.get(API).json()["models"]
    assert [one["name"] for one in listed] == ["digits", "markup"]
    told = client.get(f"{API}/digits").json()
    assert told.items() >= listed[0].items()
    assert told["classes"] == list(model.classes)
    assert told["input"]["shape"] == [1, 8, 8]
    assert told["input"]["preprocessing"] == model.preprocessing.to_dict()
    assert told["provenance"] == {"made_by": "tests"}
    config = json.loads((models / "digits" / "config.json").read_text())
    for name, record in config["files"].items():
        assert told["files"][name] == record["sha256"]
    assert told["version"] == told["files"]["config.json"][:12]


def test_the_tree(client, model):
    answer = client.get(f"{API}/digits/tree")
    assert from_dict(answer.json()) == model.hierarchy


@pytest.mark.parametrize("rule", ["soft", "hard", None])
def test_explanations_of_a_form(client, model, rule):
    images = [png(seed) for seed in range(4)]
    files = [("image", (f"{i}.png", one)) for i, one in enumerate(images)]
    params = {} if rule is None else {"rule": rule}
    answer = client.post(f"{API}/digits/explain", files=files, params=params).json()
    assert answer["rule"] == (rule or model.rule)
    expected = model.explain(rows(model, *images), rule)
    for document, other in zip(answer["explanations"], expected, strict=True):
        told = Explanation.from_dict(document)
        assert told.prediction_name == other.prediction_name
        assert told.rule == other.rule
        assert told.probability == pytest.approx(other.probability, abs=1e-5)


def test_predictions_and_the_likeliest_classes(client, model):
    body = {"instances": [b64(png(2)), b64(png(5))]}
    answer = client.post(f"{API}/digits/predict?top=3", json=body).json()
    probabilities = model.predict_proba(rows(model, png(2), png(5))).numpy()
    for row, prediction, top in zip(
        probabilities, answer["predictions"], answer["top"], strict=True
    ):
        assert [one["class"] for one in top] == np.argsort(-row)[:3].tolist()
        assert [one["probability"] for one in top] == pytest.approx(np.sort(row)[:-4:-1], abs=1e-5)
        assert prediction["probability"] == pytest.approx(row.max(), abs=1e-5)
        assert prediction["prediction_name"] == top[0]["name"]


def test_many_rows_are_put_together_again(client, model):
    images = [png(seed) for seed in range(64)]
    body = {"instances": [b64(one) for one in images]}
    answer = client.post(f"{API}/digits/explain", json=body).json()
    expected = model.predict(rows(model, *images)).tolist()
    assert [one["prediction"] for one in answer["explanations"]] == expected


def test_markup_in_names_stays_text(client):
    body = {"instances": [b64(png(2))]}
    answer = client.post(f"{API}/markup/explain?top=3", json=body)
    assert answer.headers["content-type"] == "application/json"
    assert MARKUP in {one["name"] for one in answer.json()["top"][0]}


@pytest.mark.parametrize(
    ("module", "path", "more"),
    [
        (native, "/api/v1/models/digits/explain", {}),
        (kserve, "/v1/models/digits:explain", {}),
        (mlflow, "/invocations?model=digits", {"params": {"explain": True}}),
        (oip, "/v2/models/digits/infer", None),
    ],
)
def test_explanations_are_written_beside_the_event_loop(client, monkeypatch, module, path, more):
    threads = []

    def explanations_of(found):
        threads.append(threading.current_thread().name)
        return answers.explanations_of(found)

    monkeypatch.setattr(module, "explanations_of", explanations_of)
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": [0.0] * 64}
    body = {"inputs": [tensor]} if more is None else {"instances": [b64(png(2))]} | more
    assert client.post(path, json=body).status_code == 200
    assert [name.partition("_")[0] for name in threads] == ["decode"]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "not 'text/plain'"),
        ({"files": {"image": ("a.png", b"no image")}}, 415, "row 0: this is not a JPEG"),
        ({"json": {"instances": [[[1.0]]]}}, 400, "row 0: the network takes 1 × 8 × 8"),
        ({"json": {"instances": [[0.0]] * 65}}, 413, "65 rows; the limit is 64"),
        ({"json": {"instances": [None]}}, 400, "an array of numbers; got null"),
        ({"json": {"instances": [{"b46": "x"}]}}, 400, "got an object with the key 'b46'"),
        (
            {"json": {"instances": [[0.0]], "rule": "hard", "top": 3}},
            400,
            "the body has an unknown key 'rule'",
        ),
        (
            {"params": {"rul": "hard"}, "json": {}},
            422,
            "rul: unknown parameter; this route takes",
        ),
        ({"params": {"guarantee": "0.9"}, "json": {}}, 422, "guarantee: unknown parameter"),
        ({"params": {"rule": "x"}, "json": {"instances": [[0.0]]}}, 422, "rule: "),
        ({"params": {"top": "-1"}, "json": {"instances": [[0.0]]}}, 422, "top: "),
        ({"params": {"timeout": "0"}, "json": {"instances": [[0.0]]}}, 422, "timeout: "),
        (
            {"content": b"{}", "headers": {"Content-Encoding": "br"}},
            415,
            "compressed by gzip or deflate, or not at all",
        ),
    ],
)
def test_refusals_say_why(client, options, status, said):
    answer = client.post(f"{API}/digits/predict", **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert said in problem["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "name", ["nope", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "digits%00", "%0d%0aX-Evil:%201"]
)
def test_there_is_nothing_beside_the_models(client, name):
    answer = client.get(f"{API}/{name}")
    assert answer.status_code == 404
    assert "x-evil" not in answer.headers
    assert "root:" not in answer.text


def test_other_methods_and_paths(client):
    assert client.delete(API).status_code == 405
    assert client.get("/nothing/here").json()["status"] == 404


def test_reloading_over_http_is_off(client):
    answer = client.post("/api/v1/reload")
    assert answer.status_code == 403
    assert "SIGHUP" in answer.json()["detail"]


def test_a_route_without_parameters_takes_none(client):
    answer = client.get(API, params={"rule": "hard"})
    assert answer.status_code == 422
    assert "rule: unknown parameter; this route takes none" in answer.json()["detail"]


def test_an_admin_may_have_models_reloaded(tmp_path, caplog):
    caplog.set_level("INFO", "nbdt.server")
    save_model(tmp_path / "models" / "digits")
    (admin, first), (user, second) = new_key("boss"), new_key("user")
    entries = [first | {"admin": True}, second]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": entries}))
    settings = Settings(models=(tmp_path / "models",), keys=tmp_path / "keys.json", admin=True)
    with serving(settings) as running, running.client() as client:

        def reload(key):
            return client.post("/api/v1/reload", headers={"Authorization": f"Bearer {key}"})

        assert reload("wrong").status_code == 401
        assert reload(user).status_code == 403
        assert reload(admin).json() == {
            "models": [{"name": "digits", "outcome": "unchanged", "reason": ""}]
        }
        save_model(tmp_path / "models" / "digits", seed=1)
        assert reload(admin).json()["models"][0]["outcome"] == "replaced"
        assert {"model unchanged", "model replaced"} <= set(caplog.messages)
        (tmp_path / "models" / "digits" / "model.safetensors").write_bytes(b"x")
        kept = reload(admin).json()["models"][0]
        assert kept["outcome"] == "unchanged"  # its config.json is the same
        save_model(tmp_path / "models" / "digits", seed=2)
        (tmp_path / "models" / "digits" / "model.safetensors").write_bytes(b"x")
        kept = reload(admin).json()["models"][0]
        assert kept["outcome"] == "kept"
        assert str(tmp_path) not in kept["reason"]
        assert "model.safetensors" in kept["reason"]
        described = client.get(f"{API}/digits", headers={"X-API-Key": user}).json()
        assert described["generation"] == 2
