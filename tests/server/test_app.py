"""What surrounds the routes: keys, headers, other origins, ids, numbers, and a last net."""

import io
import json
import logging

import pytest

from nbdt.errors import FormatError
from nbdt.server import logs
from nbdt.server.app import create_app
from nbdt.server.inference import Inference
from nbdt.server.keys import new_key
from nbdt.server.settings import Settings
from tests.server.conftest import b64, png, serving

PREDICT = "/api/v1/models/digits/predict"


@pytest.fixture(scope="module")
def guarded(models, tmp_path_factory):
    """A service with keys, one of which may be used twice, and another origin."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    (free, first), (rare, second) = new_key("free"), new_key("rare")
    path.write_text(json.dumps({"keys": [first, second | {"rate": "2/hour"}]}))
    settings = Settings(models=(models,), keys=path, origins=("https://a.example",))
    with serving(settings) as running, running.client() as client:
        yield client, free, rare


def test_without_a_key_nobody_is_let_in(guarded):
    client, free, _ = guarded
    for path in ("/api/v1/models", "/v1/models", "/v2", "/metrics", "/nothing", "/api/v1/models/x"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
    for headers in (
        {"Authorization": f"Bearer {free}"},
        {"Authorization": f"bearer  {free}"},
        {"X-API-Key": free},
    ):
        assert client.get("/api/v1/models", headers=headers).status_code == 200
    for headers in (
        {"Authorization": "Bearer x"},
        {"Authorization": free},
        {"Authorization": f"Basic {free}"},
        {"Authorization": b"Bearer \xff\xfe"},
    ):
        assert client.get("/api/v1/models", headers=headers).status_code == 401
    told = client.get("/api/v1/models", headers={"X-API-Key": "nbdt_x"}).json()["detail"]
    assert told == "this key is not known."


def test_what_orchestrators_ask_is_open(guarded):
    client, _, _ = guarded
    for path in ("/", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200, path


def test_a_key_is_not_used_more_often_than_it_may_be(guarded):
    client, _, rare = guarded
    headers = {"X-API-Key": rare, "Origin": "https://a.example"}
    assert client.get("/v1/models", headers=headers).status_code == 200
    assert client.get("/v1/models", headers=headers).status_code == 200
    answer = client.get("/v1/models", headers=headers)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 1000
    assert "2/hour" in answer.json()["error"]
    # A page of an origin that is let in can read why.
    assert answer.headers["access-control-allow-origin"] == "https://a.example"


def test_pages_of_other_origins(guarded, client):
    allowed, _, _ = guarded
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = allowed.options(PREDICT, headers=ask)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    answer = allowed.options(PREDICT, headers=ask | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    answer = client.get("/livez", headers={"Origin": "https://a.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/api/v1/models", "/v1/models/nope"])
def test_security_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/ping", "/v1/models"])
def test_what_can_be_got_has_a_head(client, path):
    head, whole = client.head(path), client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert client.head("/v1/models/nope").status_code == 404


def test_requests_have_ids(client):
    assert client.get("/livez", headers={"X-Request-ID": "a-1"}).headers["x-request-id"] == "a-1"
    for odd in ("a b", "x" * 65, "ä".encode()):
        found = client.get("/livez", headers={"X-Request-ID": odd}).headers["x-request-id"]
        assert len(found) == 32


@pytest.fixture
def log(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(logs.logger, "handlers", [logs.LogHandler(stream)])
    monkeypatch.setattr(logs.logger, "level", logging.INFO)
    monkeypatch.setattr(logs.logger, "propagate", False)
    logs.logger.manager._clear_cache()
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.logger.manager._clear_cache()


def test_requests_are_logged_with_their_route(client, log):
    client.get("/v1/models/a%0ab", headers={"X-Request-ID": "r-1"})
    client.get("/livez")
    (line,) = log()
    assert line["request_id"] == "r-1"
    assert line["route"] == "/v1/models/{model}"
    assert line["path"] == "/v1/models/a\nb"
    assert line["status"] == 404


def test_what_goes_wrong_inside_is_logged_and_not_told(client, log, monkeypatch):
    def broken(infer, questions):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(Inference, "__call__", broken)
    body = {"instances": [b64(png())]}
    for path in (PREDICT, "/v1/models/digits:predict"):
        answer = client.post(path, json=body, headers={"X-Request-ID": "r-2"})
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "r-2" in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "/secret/path" in log()[0]["traceback"]


def test_numbers(client):
    client.get("/api/v1/models/nope")
    client.post(PREDICT, json={"instances": [b64(png())] * 3})
    numbers = client.get("/metrics")
    assert numbers.headers["content-type"].startswith("text/plain; version=0.0.4")
    wanted = 'nbdt_request_seconds_count{method="GET",route="/api/v1/models/{model}",status="404"}'
    assert wanted in numbers.text
    for name in (
        *("nbdt_batch_rows_sum", "nbdt_queue_rows 0.0", "nbdt_requests_in_flight 1.0"),
        'nbdt_model_generation{model="digits"} 1.0',
    ):
        assert name in numbers.text


def test_methods_that_there_are_not_make_no_numbers_of_their_own(client):
    for name in ("BREW", "GROW", "WHEN"):
        assert client.request(name, "/livez").status_code == 405
    numbers = client.get("/metrics").text
    assert 'method="other",route="/livez",status="405"' in numbers
    assert "BREW" not in numbers


def test_a_file_of_keys_that_is_not_valid_stops_the_service(tmp_path):
    (tmp_path / "keys.json").write_text("{}")
    with pytest.raises(FormatError):
        create_app(Settings(keys=tmp_path / "keys.json"))


def test_models_that_cannot_be_loaded_are_reported(tmp_path, log):
    told = []
    app = create_app(Settings(models=(tmp_path,)), on_loaded=told.append)

    async def start():
        async with app.router.lifespan_context(app):
            import asyncio

            while not told:
                await asyncio.sleep(0.01)

    import asyncio

    asyncio.run(start())
    assert "holds a config.json" in str(told[0])
    assert log()[0]["level"] == "error"


def test_tracing(models):
    trace = pytest.importorskip("opentelemetry.trace", reason="tracing needs OpenTelemetry")
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    spans = export.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    options = Settings(models=(models / "digits",), tracing=True)
    with serving(options) as running, running.client() as client:
        client.get("/v1/models/digits")
        client.get("/livez")
    names = {span.name for span in spans.get_finished_spans()}
    assert any("/v1/models/{model}" in name for name in names)
    assert not any("livez" in name for name in names)
