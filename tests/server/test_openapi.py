"""The OpenAPI document is true: its examples work, and whatever is sent is answered as it says."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from nbdt.explain import Explanation
from nbdt.server import app
from nbdt.server.keys import new_key
from nbdt.server.settings import Settings
from tests.server.conftest import serving

schemathesis = pytest.importorskip("schemathesis", reason="it is an extra: [conformance]")
openapi_checks = pytest.importorskip("schemathesis.specs.openapi.checks")


@pytest.fixture(scope="module")
def document(server):
    with server.client() as client:
        return client.get("/openapi.json").json()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_every_route_is_told_with_its_errors(document):
    paths = {path for path, _, _ in operations(document)}
    assert {
        *("/api/v1/models/{model}/explain", "/v1/models/{model}:explain", "/invocations"),
        *("/v2/models/{model}/infer", "/v2/health/ready", "/metrics", "/livez", "/readyz", "/"),
    } <= paths
    for path, method, operation in operations(document):
        assert {"200", "4XX", "5XX"} <= set(operation["responses"]), path
        assert operation["summary"]
        assert operation["description"]
        if method == "post" and path != "/api/v1/reload":
            assert operation["requestBody"]["content"], path


def test_names_of_models_are_told_where_no_key_is_needed(document):
    assert '"markup"' in json.dumps(document)


def test_without_a_key_nobody_learns_the_names_of_models(models, tmp_path):
    _, entry = new_key("a")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [entry]}))
    guarded = Settings(models=(models,), keys=tmp_path / "keys.json")
    with serving(guarded) as running, running.client() as client:
        answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert "/api/v1/models/{model}/explain" in answer.json()["paths"]
    for name in ("digits", "markup"):
        assert f'"{name}"' not in answer.text


def test_it_is_made_once(client, monkeypatch):
    client.get("/openapi.json")
    monkeypatch.setattr(app, "describe", None)
    assert client.get("/openapi.json").status_code == 200


def test_references_lead_somewhere(document):
    names = set(document["components"]["schemas"])
    text = json.dumps(document)
    used = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert "Explanation" in used
    assert used <= names


def test_examples_work_when_pasted(document, client):
    tried = 0
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for model, example in content.get("examples", {}).items():
            params = {"model": model} if path == "/invocations" else {}
            url = path.format(model=model, version="0").replace("/versions/0", "")
            answer = client.request(method, url, params=params, json=example["value"])
            assert answer.status_code == 200, (path, model)
            tried += 1
            if path == "/v1/models/{model}:explain":
                Explanation.from_dict(answer.json()["explanations"][0])
    assert tried >= 14


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_whatever_is_sent_is_answered_as_the_document_says(server, mode):
    accepts_all_that_is_valid = openapi_checks.positive_data_acceptance
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    checked = 0
    for operation in (result.ok() for result in schema.get_all_operations()):
        cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode])

        @settings(
            max_examples=6,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def check(case):
            nonlocal checked
            checked += 1
            seconds = case.query.get("timeout")
            if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
                case.query["timeout"] = 20  # or else 504 is the right answer
            answer = case.call(timeout=20)
            assert answer.status_code < 500
            # Whether numbers are of the model's shape, or bytes an image, no schema can say.
            case.validate_response(answer, excluded_checks=[accepts_all_that_is_valid])

        try:
            check()
        except Unsatisfiable:
            assert mode == "NEGATIVE"  # a route without parameters cannot be asked wrongly
    assert checked > 80
