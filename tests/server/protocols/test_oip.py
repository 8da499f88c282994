"""The Open Inference Protocol: JSON and binary tensors, and the clients that speak it."""

import asyncio
import dataclasses
import json
import struct
import tracemalloc

import numpy as np
import pytest

from nbdt.data import decode_image
from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.server.inference import Inference
from nbdt.server.protocols import oip
from tests.server.conftest import png

INFER = "/v2/models/digits/infer"


def rows(model, *images):
    return model.preprocessing.batch([decode_image(one, "L") for one in images])


def request(**tensor):
    return {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 8, 8]} | tensor]}


def test_metadata(client, model):
    server = client.get("/v2").json()
    assert server["name"] == "nbdt"
    assert server["extensions"] == oip.EXTENSIONS
    told = client.get("/v2/models/digits").json()
    assert told["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
        {"name": "input", "datatype": "FP32", "shape": [-1, 1, 8, 8]},
    ]
    assert told["outputs"][0] == {"name": "log_probs", "datatype": "FP32", "shape": [-1, 10]}
    (version,) = told["versions"]
    assert client.get(f"/v2/models/digits/versions/{version}").json() == told
    assert client.get(f"/v2/models/digits/versions/{version}/ready").json()["ready"] is True
    missing = client.get("/v2/models/digits/versions/1")
    assert missing.status_code == 404
    assert version in missing.json()["error"]


def test_health(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/digits/ready").json() == {"name": "digits", "ready": True}
    assert client.get("/v2/models/nope/ready").status_code == 404


def test_numbers_in_json_nested_and_flat(client, model):
    batch = rows(model, png(1), png(2))
    expected = model(batch).detach().numpy()
    for data in (batch.tolist(), batch.flatten().tolist()):
        body = request(shape=[2, 1, 8, 8], data=data) | {"id": "a-1"}
        answer = client.post(INFER, content=json.dumps(body)).json()
        assert answer["id"] == "a-1"
        assert answer["model_name"] == "digits"
        outputs = {one["name"]: one for one in answer["outputs"]}
        assert outputs["log_probs"]["shape"] == [2, 10]
        found = np.reshape(outputs["log_probs"]["data"], (2, 10))
        assert np.allclose(found, expected, atol=1e-4)
        assert outputs["class"]["data"] == expected.argmax(1).tolist()
        paths = [Explanation.from_dict(json.loads(one)) for one in outputs["path"]["data"]]
        assert [one.prediction for one in paths] == expected.argmax(1).tolist()


@pytest.mark.parametrize("datatype", ["FP64", "FP16", "UINT8", "INT64"])
def test_numbers_in_bytes(client, model, datatype):
    kinds = {"FP64": "<f8", "FP16": "<f2", "UINT8": "u1", "INT64": "<i8"}
    values = np.random.default_rng(0).integers(0, 2, (1, 1, 8, 8)).astype(kinds[datatype])
    data = values.tobytes()
    body = request(datatype=datatype, parameters={"binary_data_size": len(data)})
    head = json.dumps(body | {"outputs": [{"name": "class"}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = client.post(INFER, content=head + data, headers=headers).json()
    import torch

    expected = model.predict(torch.from_numpy(values.astype(np.float32))).tolist()
    assert answer["outputs"] == [
        {"name": "class", "datatype": "INT64", "shape": [1], "data": expected}
    ]


def test_images_in_bytes_and_outputs_in_bytes(client, model):
    images = [png(3), png(4)]
    data = b"".join(struct.pack("<I", len(one)) + one for one in images)
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2]}
    tensor["parameters"] = {"binary_data_size": len(data)}
    outputs = [{"name": "path", "parameters": {"binary_data": True}}, {"name": "class"}]
    head = json.dumps(
        {"inputs": [tensor], "outputs": outputs, "parameters": {"rule": "hard"}}
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = client.post(INFER, content=head + data, headers=headers)
    length = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    document, rest = json.loads(answer.content[:length]), answer.content[length:]
    expected = model.explain(rows(model, *images), "hard")
    for one in expected:
        size = int.from_bytes(rest[:4], "little")
        told = Explanation.from_dict(json.loads(rest[4 : 4 + size]))
        assert told.rule == "hard"
        assert [d.child for d in told.path] == [d.child for d in one.path]
        rest = rest[4 + size :]
    assert rest == b""
    assert document["outputs"][1]["data"] == [one.prediction for one in expected]


DATA = [0.0] * 64


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "the body lacks 'inputs'"),
        ({"inputs": [{}, {}]}, "inputs"),
        ({"inputs": [3]}, r"inputs\[0\]"),
        (request(data=DATA) | {"id": 3}, "id: .*valid string; got 3"),
        (request(data=DATA, datatype="FP8"), r"inputs\[0\]\.datatype: .*'FP32'.*; got 'FP8'"),
        (request(data=DATA, datatype=[]), r"inputs\[0\]\.datatype"),
        (request(data=DATA, name="image"), r"image \(BYTES\), input \(FP32\); got image"),
        (request(data=DATA, name="other"), r"inputs are .*; got other \(FP32\)"),
        (request(data=DATA, shape=[]), r"inputs\[0\]\.shape: .*at least 1"),
        (request(data=DATA, shape=[1] * 9), r"inputs\[0\]\.shape: .*at most 8"),
        (request(data=DATA, shape=[-1, 64]), r"inputs\[0\]\.shape\[0\]"),
        (request(data=DATA, shape=[10**12]), r"inputs\[0\]\.shape\[0\]"),
        (request(data=DATA, shape=[64]), r"the shape \[rows, …\], got"),
        (request(data=DATA, shape=[2, 1, 8, 8]), r"64 numbers do not fit the shape \[2, 1, 8, 8\]"),
        (request(data="x"), r"inputs\[0\]\.data: .*valid list"),
        (request(), "data must be a list"),
        (request(data=["x"] * 64), "expected an array of numbers"),
        (request(data=DATA, parameters=3), None),
        (request(parameters={"binary_data_size": 5}), "binary_data_size exceeds what follows"),
        (request(parameters={"binary_data_size": -1}), "binary_data_size: .*greater"),
        (request(data=DATA) | {"outputs": 3}, "outputs: .*valid list"),
        (request(data=DATA) | {"outputs": [{"name": "x"}]}, r"outputs\[0\]\.name: .*'class' or"),
        (request(data=DATA) | {"outputs": [{"name": "class"}] * 2}, "each output once"),
        (
            request(data=DATA)
            | {"outputs": [{"name": "class", "parameters": {"classification": 3}}]},
            "classification is not supported",
        ),
        (request(data=DATA) | {"parameters": []}, None),
        (request(data=DATA) | {"parameters": 3}, "parameters: "),
        (request(data=DATA) | {"parameters": {"binary_data_output": 1}}, "output: .*boolean"),
        (request(data=DATA) | {"parameters": {"rule": "x"}}, "rule: .*'soft' or 'hard'; got 'x'"),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [3]}]},
            "BYTES are texts in base64",
        ),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": ["AA=="]}]},
            r"1 elements do not fit the shape \[2\]",
        ),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [65], "data": []}]},
            "65 rows; the limit is 64",
        ),
        (request(data=[], shape=[65, 1, 8, 8]), "65 rows; the limit is 64"),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2, 2], "data": []}]},
            r"have the shape \[rows\]",
        ),
    ],
)  # fmt: skip
def test_requests_that_are_not_valid(client, body, said):
    import re

    answer = client.post(INFER, content=json.dumps(body))
    if said is None:
        assert answer.status_code in (200, 400)
        return
    assert answer.status_code == (413 if "rows;" in said else 400)
    assert re.search(said, answer.json()["error"])


@pytest.mark.parametrize("length", ["x", "-1", "99999999", "1e3", "", "9" * 5000])
def test_lengths_that_are_not_valid(client, length):
    headers = {"Inference-Header-Content-Length": length}
    answer = client.post(INFER, content=b"{}", headers=headers)
    assert "is not the length of JSON" in answer.json()["error"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x01", "end within an element"),
        (b"\xff\xff\xff\xffabc", "end within an element"),
        (b"\x01\x00\x00\x00a\x00", "hold more than 1 elements, its shape says 1"),
        (b"", "hold 0 elements, its shape says 1"),
    ],
)
def test_bytes_that_are_not_valid(client, data, said):
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
    tensor["parameters"] = {"binary_data_size": len(data)}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert said in client.post(INFER, content=head + data, headers=headers).json()["error"]
    more = client.post(INFER, content=head + data + b"more", headers=headers)
    assert said in more.json()["error"] or "that no input uses" in more.json()["error"]


def test_not_a_number_in_bytes_is_refused(client):
    data = np.full((1, 1, 8, 8), np.nan, "<f4").tobytes()
    head = json.dumps(request(parameters={"binary_data_size": len(data)})).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert "NaN" in client.post(INFER, content=head + data, headers=headers).json()["error"]


def test_elements_without_end_are_not_split():
    data = bytes(2**22)  # a million elements of no length
    tensor = oip.InputTensor(name="image", datatype="BYTES", shape=[2])
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 2 elements"):
            tensor.files(data)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_masked_class_is_the_lowest_number_in_json_and_infinite_in_bytes(client, monkeypatch):
    forward = Inference._forward

    def masked(infer, *rows):
        logits = forward(infer, *rows).clone()
        logits[:, 3] = -np.inf
        return logits

    monkeypatch.setattr(Inference, "_forward", masked)
    body = request(data=DATA)
    outputs = {one["name"]: one for one in client.post(INFER, json=body).json()["outputs"]}
    log_probs = np.array(outputs["log_probs"]["data"])
    assert log_probs[3] == np.finfo(np.float32).min
    assert np.exp(log_probs).sum() == pytest.approx(1)
    wanted = {"outputs": [{"name": "log_probs", "parameters": {"binary_data": True}}]}
    answer = client.post(INFER, json=body | wanted)
    length = int(answer.headers["inference-header-content-length"])
    found = np.frombuffer(answer.content[length:], "<f4")
    assert found[3] == -np.inf
    assert np.allclose(np.delete(found, 3), np.delete(log_probs, 3))
    instances = {"instances": [np.reshape(DATA, (1, 8, 8)).tolist()]}
    for path in ("/api/v1/models/digits/explain?top=10", "/v1/models/digits:explain"):
        assert client.post(path, json=instances).status_code == 200


def test_an_answer_of_another_version_than_was_asked_for_is_none(client, monkeypatch):
    (version,) = client.get("/v2/models/digits").json()["versions"]
    respond = oip.respond

    async def reloaded(request, model, parse, write):
        def write_reloaded(served, *rest):
            return write(dataclasses.replace(served, version="reloaded"), *rest)

        return await respond(request, model, parse, write_reloaded)

    monkeypatch.setattr(oip, "respond", reloaded)
    body = request(data=DATA)
    assert client.post(INFER, json=body).json()["model_version"] == "reloaded"
    answer = client.post(f"/v2/models/digits/versions/{version}/infer", json=body)
    assert answer.status_code == 404
    assert "is served in version reloaded" in answer.json()["error"]


# ── unmodified clients ────────────────────────────────────────────────────────────────────────


def test_kserves_own_client(server, model):
    kserve = pytest.importorskip("kserve", reason="KServe's client is an extra: [conformance]")
    batch = rows(model, png(1), png(2)).numpy()

    async def talk():
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", retries=0))
        found = []
        try:
            assert await client.is_server_live(server.url)
            assert await client.is_server_ready(server.url)
            assert await client.is_model_ready(server.url, "digits")
            for binary in (False, True):
                tensor = kserve.InferInput("input", list(batch.shape), "FP32")
                tensor.set_data_from_numpy(batch, binary_data=binary)
                ask = kserve.InferRequest("digits", [tensor], request_id="r1")
                found.append(await client.infer(server.url, ask, model_name="digits"))
        finally:
            await client.close()
        return found

    import torch

    expected = model(torch.from_numpy(batch)).detach().numpy()
    for answer in asyncio.run(talk()):
        assert answer.id == "r1"
        log_probs = answer.get_output_by_name("log_probs").as_numpy()
        assert np.allclose(log_probs, expected, atol=1e-4)


@pytest.mark.parametrize("binary", [False, True])
def test_tritons_own_client(server, model, binary):
    http = pytest.importorskip(
        "tritonclient.http", reason="Triton's client is an extra: [conformance]"
    )
    batch = rows(model, png(1), png(2))
    client = http.InferenceServerClient(server.url.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        assert client.get_model_metadata("digits")["name"] == "digits"
        tensor = http.InferInput("input", list(batch.shape), "FP32")
        tensor.set_data_from_numpy(batch.numpy(), binary_data=binary)
        wanted = [http.InferRequestedOutput(n, binary_data=binary) for n in ("class", "path")]
        found = client.infer("digits", [tensor], outputs=wanted, request_id="7")
        images = http.InferInput("image", [2], "BYTES")
        images.set_data_from_numpy(np.array([png(1), png(2)], dtype=object), binary_data=True)
        everything = client.infer("digits", [images])
        with pytest.raises(Exception, match="there is no model 'nope'"):
            client.infer("nope", [tensor])
    finally:
        client.close()
    expected = model.explain(batch)
    assert found.as_numpy("class").tolist() == [one.prediction for one in expected]
    told = [Explanation.from_dict(json.loads(one)) for one in found.as_numpy("path")]
    assert [one.runner_up for one in told] == [one.runner_up for one in expected]
    log_probs = model(batch).detach().numpy()
    assert np.allclose(everything.as_numpy("log_probs"), log_probs, atol=1e-4)
