"""Texts and rows: over every protocol, as its own clients send them; and nothing is opened."""

import asyncio
import gzip
import io
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import nbdt
from nbdt.client import Client
from nbdt.errors import FormatError
from nbdt.explain import Explanation
from nbdt.inputs.table import TableInput
from nbdt.model import NBDT
from nbdt.server.models import GOLDEN, load_model
from nbdt.server.settings import Settings
from tests.server.conftest import b64, png, save_model, serving

pandas = pytest.importorskip("pandas")
pytest.importorskip("skops", reason="estimators are stored by the extra [sklearn]")

TEXTS = ["a good film", "cold rain", "the team lost"]
FRAME = pandas.DataFrame(
    {
        "age": [39, 20, 64],
        "hours": [40.5, 10.0, 52.0],
        "sex": ["Male", "Female", "Female"],
        "at, work": [True, False, True],
    }
)
ROWS = json.loads(FRAME.to_json(orient="records"))


def text_model():
    texts = ["a good film", "great fun", "a bad film", "awful and bad", "cold rain", "sunny sky",
             "the match was won", "the team lost"]  # fmt: skip
    labels = ["good", "good", "bad", "bad", "weather", "weather", "sport", "sport"]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10)).fit(texts, labels)
    return NBDT(pipeline, nbdt.induce(pipeline))


def table_model():
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "age": random.integers(18, 80, 200),
            "hours": random.normal(40, 8, 200).round(1),
            "sex": random.choice(["Female", "Male"], 200),
            "at, work": random.random(200) < 0.7,
        }
    )
    labels = np.where(frame["age"] + frame["hours"] > 95, "high",
                      np.where(frame["at, work"], "middle", "low"))  # fmt: skip
    one_hot = (OneHotEncoder(), ["sex", "at, work"])
    pipeline = make_pipeline(
        make_column_transformer(one_hot, remainder=StandardScaler()), LogisticRegression()
    ).fit(frame, labels)
    return NBDT(pipeline, nbdt.induce(pipeline), preprocessing=TableInput.from_frame(frame))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    text_model().save_pretrained(folder / "texts")
    table_model().save_pretrained(folder / "table")
    save_model(folder / "digits")
    return folder


@pytest.fixture(scope="module")
def server(models):
    order = (models / "texts", models / "table", models / "digits")
    with serving(Settings(models=order, text_length=2_000)) as running:
        yield running


@pytest.fixture
def client(server):
    with server.client() as one:
        yield one


@pytest.fixture(scope="module")
def expected(models):
    """What the library says, by model."""
    texts = NBDT.from_pretrained(models / "texts").explain(TEXTS)
    return {"texts": texts, "table": NBDT.from_pretrained(models / "table").explain(FRAME)}


def same(found, expected):
    """Whether predictions are those of explanations."""
    assert [one["prediction"] for one in found] == [one.prediction for one in expected]
    assert [one["probability"] for one in found] == pytest.approx(
        [one.probability for one in expected], abs=1e-5
    )


# ── every protocol, in its usual form ─────────────────────────────────────────────────────────

SPLIT = json.loads(FRAME.to_json(orient="split"))
BODIES = [
    ("texts", {"instances": TEXTS}),
    ("texts", {"instances": [b64(text.encode()) for text in TEXTS]}),
    ("table", {"instances": ROWS}),
    ("table", {"instances": [list(row.values()) for row in ROWS]}),
]
INVOCATIONS = [
    *BODIES,
    ("texts", {"inputs": TEXTS}),
    ("texts", {"dataframe_split": {"columns": ["review"], "data": [[text] for text in TEXTS]}}),
    ("texts", {"dataframe_records": [{"review": text} for text in TEXTS]}),
    ("table", {"dataframe_split": SPLIT}),
    ("table", {"dataframe_split": {"data": SPLIT["data"]}}),
    ("table", {"dataframe_records": ROWS}),
    ("table", {"inputs": ROWS}),
    (
        "table",
        {"inputs": {name: list(column.values()) for name, column in FRAME.to_dict().items()}},
    ),
]


@pytest.mark.parametrize(("model", "body"), BODIES)
@pytest.mark.parametrize("path", ["/api/v1/models/{}/predict", "/v1/models/{}:predict"])
def test_instances(client, expected, path, model, body):
    same(client.post(path.format(model), json=body).json()["predictions"], expected[model])


@pytest.mark.parametrize(("model", "body"), INVOCATIONS)
def test_mlflow_takes_frames_in_all_of_its_forms(client, expected, model, body):
    answer = client.post(f"/invocations?model={model}", json=body)
    same(answer.json()["predictions"], expected[model])


@pytest.mark.parametrize("path", ["/invocations?model={}", "/api/v1/models/{}/predict"])
def test_csv(client, expected, path):
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    frames = {"table": FRAME, "texts": pandas.DataFrame({"review": TEXTS})}
    for model, frame in frames.items():
        body = frame.to_csv(index=False)
        answer = client.post(path.format(model), content=body, headers=headers)
        same(answer.json()["predictions"], expected[model])
    more = client.post(path.format("texts"), content="review\n" + "a\n" * 65, headers=headers)
    assert more.status_code == 413
    ragged = client.post(path.format("table"), content="a,b\n1\n", headers=headers)
    assert "row 0 has 1 cells" in ragged.text


def test_explanations_are_those_of_the_library(client, expected):
    for model, instances in (("texts", TEXTS), ("table", ROWS)):
        body = {"instances": instances}
        answer = client.post(f"/api/v1/models/{model}/explain", json=body).json()
        for document, other in zip(answer["explanations"], expected[model], strict=True):
            told = Explanation.from_dict(document)
            assert [one.node for one in told.path] == [one.node for one in other.path]
    files = [("text", (f"{i}.txt", text.encode())) for i, text in enumerate(TEXTS)]
    answer = client.post("/api/v1/models/texts/predict", files=files).json()
    same(answer["predictions"], expected["texts"])
    for accept in ("text/html", "image/svg+xml"):
        page = client.post(
            "/api/v1/models/texts/explain",
            json={"instances": ["a <b>good</b> film"]},
            headers={"Accept": accept},
        )
        assert page.status_code == 200
        assert "<b>good" not in page.text


def bytes_tensor(name, values, shape=None):
    return {"name": name, "datatype": "BYTES", "shape": shape or [len(values)], "data": values}


COLUMNS = [
    {"name": "age", "datatype": "INT32", "shape": [3, 1], "data": [[39], [20], [64]]},
    {"name": "hours", "datatype": "FP64", "shape": [3], "data": [40.5, 10.0, 52.0]},
    bytes_tensor("sex", ["Male", "Female", "Female"]),
    {"name": "at, work", "datatype": "BOOL", "shape": [3], "data": [True, False, True]},
]
CELLS = [cell for row in ROWS for cell in map(str, row.values())]


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("texts", [bytes_tensor("text", TEXTS)]),
        ("texts", [bytes_tensor("text", [[text] for text in TEXTS], [3, 1])]),
        ("table", COLUMNS),
        ("table", COLUMNS[::-1]),
        ("table", [bytes_tensor("input", CELLS, [3, 4])]),
    ],
)
def test_tensors(client, expected, model, inputs):
    body = {"inputs": inputs, "outputs": [{"name": "class"}, {"name": "path"}]}
    answer = client.post(f"/v2/models/{model}/infer", json=body).json()
    classes, paths = (one["data"] for one in answer["outputs"])
    assert classes == [one.prediction for one in expected[model]]
    told = [Explanation.from_dict(json.loads(one)) for one in paths]
    assert [one.runner_up for one in told] == [one.runner_up for one in expected[model]]


def test_tensors_and_configurations_are_told(client):
    texts, table = (
        client.get(f"/v2/models/{name}").json()["inputs"] for name in ("texts", "table")
    )
    assert texts == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [(one["name"], one["datatype"], one["shape"]) for one in table] == [
        ("age", "INT64", [-1]),
        ("hours", "FP64", [-1]),
        ("sex", "BYTES", [-1]),
        ("at, work", "BOOL", [-1]),
        ("input", "BYTES", [-1, 4]),
    ]
    config = client.get("/v2/models/table/config").json()
    assert config["max_batch_size"] == 64
    assert config["input"][2] == {
        "name": "sex",
        "data_type": "TYPE_STRING",
        "dims": [1],
        "reshape": {"shape": []},
    }
    images = client.get("/v2/models/digits/config").json()["input"]
    assert images[1] == {"name": "input", "data_type": "TYPE_FP32", "dims": [1, 8, 8]}
    index = client.post("/v2/repository/index").json()
    assert [(one["name"], one["state"]) for one in index] == [
        ("texts", "READY"),
        ("table", "READY"),
        ("digits", "READY"),
    ]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (COLUMNS[:3], "the row lacks the column|lacks"),
        ([*COLUMNS, COLUMNS[0]], "two inputs of one name"),
        ([COLUMNS[0] | {"shape": [2], "data": [1, 2]}, *COLUMNS[1:]], "need one number of rows"),
        ([COLUMNS[0] | {"shape": [3, 2], "data": [1] * 6}], "a row has 2|expected the shape"),
        ([bytes_tensor("sex", ["x"] * 3), *COLUMNS[:2], COLUMNS[3]], "row 0: column 'sex'"),
        ([bytes_tensor("input", ["1"] * 9, [3, 3])], "a row has 3 elements; the model reads 4"),
        ([bytes_tensor("input", [1] * 12, [3, 4])], "BYTES are texts"),
    ],
)
def test_tensors_that_do_not_fit_are_named(client, inputs, said):
    import re

    answer = client.post("/v2/models/table/infer", json={"inputs": inputs})
    assert answer.status_code == 400
    assert re.search(said, answer.json()["error"])


# ── what is refused ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "row", "said"),
    [
        ("texts", 5, "row 1: this model reads text; got a number."),
        ("texts", None, "row 1: this model reads text; got None."),
        ("texts", " ", "row 1: the text is empty"),
        ("texts", "x" * 2_001, "row 1: 2,001 characters exceed the limit of 2,000"),
        ("table", "39", "row 1: this model reads a row of columns; got text."),
        ("table", ROWS[0] | {"age": "old"}, "row 1: column 'age' takes a whole number; got 'old'"),
        ("table", ROWS[0] | {"sex": "X"}, "row 1: column 'sex' has the category 'X'"),
        ("table", {"age": 3}, "row 1: "),
        ("table", ROWS[0] | {"job": 1}, "row 1: "),
        ("table", ROWS[0] | {"sex": "x" * 2_001}, "row 1: 2,00"),
        ("table", {str(i): 0 for i in range(10_001)}, "row 1: 10,001 columns exceed the limit"),
        ("digits", "a text", "row 1: this model reads an image"),
    ],
)
def test_a_row_that_does_not_fit_is_named(client, model, row, said):
    first = {"texts": "fine", "table": ROWS[0], "digits": b64(png())}[model]
    body = {"instances": [first, row]}
    answer = client.post(f"/v1/models/{model}:predict", json=body)
    assert answer.status_code in (400, 413)
    assert said in answer.json()["error"]


def test_nothing_is_opened(client, monkeypatch, tmp_path):
    """Whatever names a path or an address is a text, or refused."""
    secret = tmp_path / "secret.txt"
    secret.write_text("a good film")
    opened = []

    def record(*given, **_):
        opened.append(given[0])
        raise AssertionError(f"{given[0]} was opened")

    for target, name in ((io, "open"), (os, "open"), (Path, "open"), (Path, "read_bytes")):
        monkeypatch.setattr(target, name, record)
    monkeypatch.setattr("builtins.open", record)
    monkeypatch.setattr("urllib.request.urlopen", record)
    named = [str(secret), f"file://{secret}", "http://127.0.0.1/secret", f"{secret}.csv", "~"]
    values = [*named, *({key: one} for one in named for key in ("url", "path", "b64", "text"))]
    for value in values:
        cell = value if isinstance(value, str) else next(iter(value.values()))
        tensor = {"datatype": "BYTES", "shape": [1], "data": [cell]}
        for model in ("texts", "table", "digits"):
            rows = {"instances": [value]}
            answers = [
                client.post(f"/api/v1/models/{model}/predict", json=rows),
                client.post(f"/v1/models/{model}:predict", json=rows),
                *(
                    client.post(f"/invocations?model={model}", json=body)
                    for body in (
                        rows,
                        {"inputs": [value]},
                        {"inputs": value},
                        {"dataframe_split": {"columns": ["path"], "data": [[value]]}},
                        {"dataframe_records": [{"path": value}]},
                    )
                ),
                client.post(
                    f"/invocations?model={model}",
                    content=f"path\n{cell}\n",
                    headers={"Content-Type": "text/csv"},
                ),
                client.post(f"/api/v1/models/{model}/predict", files={"f": ("a", cell.encode())}),
                *(
                    client.post(
                        f"/v2/models/{model}/infer", json={"inputs": [tensor | {"name": n}]}
                    )
                    for n in ("text", "image", "input", "path")
                ),
            ]
            assert {one.status_code for one in answers} <= {200, 400, 415}
            if model != "texts":
                assert 200 not in {one.status_code for one in answers}
    assert opened == []


# ── compressed bodies ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),  # as some clients send it
    ],
)
def test_compressed_bodies(client, expected, coding, pack):
    body = json.dumps({"instances": TEXTS}).encode()
    url, headers = "/v1/models/texts:predict", {"Content-Encoding": coding}
    same(
        client.post(url, content=pack(body), headers=headers).json()["predictions"],
        expected["texts"],
    )
    for data, status in (
        (pack(body)[:-9], 400),
        (pack(body) + b"more", 400),
        (body, 400),
        (pack(bytes(2**26 + 1)), 413),
    ):
        assert client.post(url, content=data, headers=headers).status_code == status


# ── unmodified clients ────────────────────────────────────────────────────────────────────────


def test_kserves_own_client(server, expected):
    kserve = pytest.importorskip("kserve", reason="KServe's client is an extra: [conformance]")

    async def talk():
        first = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1", retries=0))
        second = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", retries=0))
        try:
            rows = await first.infer(server.url, {"instances": ROWS}, model_name="table")
            paths = await first.explain(server.url, "texts", {"instances": TEXTS})
            found = []
            for binary in (False, True):
                tensor = kserve.InferInput("text", [3], "BYTES")
                texts = np.array([text.encode() for text in TEXTS], dtype=object)
                tensor.set_data_from_numpy(texts, binary_data=binary)
                ask = kserve.InferRequest("texts", [tensor])
                found.append(await second.infer(server.url, ask, model_name="texts"))
        finally:
            await first.close()
            await second.close()
        return rows["predictions"], paths["explanations"], found

    rows, paths, found = asyncio.run(talk())
    same(rows, expected["table"])
    same(paths, expected["texts"])
    for answer in found:
        classes = answer.get_output_by_name("class").as_numpy().tolist()
        assert classes == [one.prediction for one in expected["texts"]]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_tritons_own_client(server, expected, binary, compression):
    http = pytest.importorskip(
        "tritonclient.http", reason="Triton's client is an extra: [conformance]"
    )

    def tensor(name, values, datatype):
        one = http.InferInput(name, [len(values)], datatype)
        one.set_data_from_numpy(values, binary_data=binary)
        return one

    client = http.InferenceServerClient(server.url.removeprefix("http://"))
    try:
        assert client.get_model_config("texts")["input"][0]["data_type"] == "TYPE_STRING"
        assert len(client.get_model_repository_index()) == 3
        words = np.array([text.encode() for text in TEXTS], dtype=object)
        wanted = [http.InferRequestedOutput("class", binary_data=binary)]
        options = {"outputs": wanted, "request_compression_algorithm": compression}
        texts = client.infer("texts", [tensor("text", words, "BYTES")], **options)
        columns = [
            tensor("age", FRAME["age"].to_numpy(), "INT64"),
            tensor("hours", FRAME["hours"].to_numpy(), "FP64"),
            tensor("sex", FRAME["sex"].to_numpy(dtype=object), "BYTES"),
            tensor("at, work", FRAME["at, work"].to_numpy(), "BOOL"),
        ]
        table = client.infer("table", columns, **options)
    finally:
        client.close()
    for found, others in ((texts, expected["texts"]), (table, expected["table"])):
        assert found.as_numpy("class").tolist() == [one.prediction for one in others]


def test_mlflows_own_client(models, expected):
    scoring = pytest.importorskip(
        "mlflow.pyfunc.scoring_server.client", reason="MLflow's client is an extra: [conformance]"
    )
    frames = {"table": FRAME, "texts": pandas.DataFrame({"review": TEXTS})}
    for model, frame in frames.items():
        with serving(Settings(models=(models / model,))) as single:
            host, port = single.url.removeprefix("http://").split(":")
            client = scoring.ScoringServerClient(host, port)
            client.wait_server_ready(timeout=5)
            same(client.invoke(frame)["predictions"], expected[model])
            if model == "texts":
                same(client.invoke(TEXTS)["predictions"], expected[model])


def test_our_own_client(server, expected, tmp_path):
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    with Client(server.url) as client:
        same(client.predict("texts", TEXTS), expected["texts"])
        same(client.predict("texts", TEXTS[0]), expected["texts"][:1])
        for rows in (FRAME, ROWS, FRAME.to_dict("list"), str(tmp_path / "rows.csv")):
            same(client.predict("table", rows), expected["table"])
        (found,) = client.explain("table", ROWS[0])
        assert found.prediction_name == expected["table"][0].prediction_name


# ── what the service tells of its models ──────────────────────────────────────────────────────


def test_attribution_is_that_of_the_library(client, models):
    from nbdt.attribution import attribute_path

    for name, row in (("texts", TEXTS[0]), ("table", ROWS[0])):
        url = f"/api/v1/models/{name}/explain?attribution=true&top=2"
        answer = client.post(url, json={"instances": [row]}).json()
        wanted = [one.to_dict() for one in attribute_path(NBDT.from_pretrained(models / name), row)]
        for found, other in zip(answer["attribution"][0], wanted, strict=True):
            assert found["child_name"] == other["child_name"]
            for part, same_part in zip(found["parts"], other["parts"], strict=True):
                assert part["contribution"] == pytest.approx(same_part["contribution"], abs=1e-4)
    two = client.post(url, json={"instances": ROWS[:2]})
    assert "computed for one row, got 2" in two.json()["detail"]
    long = client.post(
        "/api/v1/models/texts/explain?attribution=true",
        json={"instances": ["a " * 900 + "b " * 99]},
    )
    assert long.status_code in (200, 400)


def test_golden_texts_and_rows(models, tmp_path):
    import shutil

    for name, instances in (("texts", TEXTS), ("table", ROWS)):
        folder = tmp_path / name
        shutil.copytree(models / name, folder)
        told = NBDT.from_pretrained(folder).explain(TEXTS if name == "texts" else FRAME)
        predictions = [{"prediction": e.prediction, "probability": e.probability} for e in told]
        golden = {"instances": instances, "predictions": predictions}
        (folder / GOLDEN).write_text(json.dumps(golden))
        assert load_model(folder, name, Settings()).read.own.kind in ("text", "table")
        predictions[2]["probability"] -= 0.01
        (folder / GOLDEN).write_text(json.dumps(golden))
        with pytest.raises(FormatError, match="row 2 is predicted as class"):
            load_model(folder, name, Settings())


def test_one_model_that_cannot_be_loaded_stops_no_other(models, tmp_path):
    from nbdt.server.models import Registry

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    places = (tmp_path / "broken", models / "texts", tmp_path / "absent")
    with serving(Settings(models=places)) as running, running.client() as client:
        failed = client.get("/readyz").json()["failed"]
        assert failed.keys() == {"broken", "absent"}
        assert str(tmp_path) not in json.dumps(failed)
        listed = client.get("/api/v1/models").json()
        assert [one["name"] for one in listed["models"]] == ["texts"]
        assert {one["name"]: one["reason"] for one in listed["failed"]} == failed
        index = client.post("/v2/repository/index", json={}).json()
        assert {one["name"] for one in index if one["state"] == "UNAVAILABLE"} == failed.keys()
        assert client.post("/v2/repository/index", json={"ready": True}).json() == index[:1]
        for path in ("/v1/models/broken", "/v2/models/broken/ready", "/api/v1/models/broken"):
            assert client.get(path).status_code == 503
        assert client.post("/v1/models/texts:predict", json={"instances": TEXTS}).status_code == 200
        text_model().save_pretrained(tmp_path / "absent")
        reload = running.worker.app.state.reload()
        outcomes = asyncio.run_coroutine_threadsafe(reload, running.loop).result(20)
        found = {one.name: one.outcome for one in outcomes}
        assert found == {"broken": "failed", "texts": "unchanged", "absent": "loaded"}
        assert client.get("/readyz").json()["failed"].keys() == {"broken"}
    with pytest.raises(FormatError):
        Registry(Settings(models=places, strict=True)).load()


def test_models_are_listed_as_they_were_given(client):
    names = [one["name"] for one in client.get("/api/v1/models").json()["models"]]
    assert names == ["texts", "table", "digits"]


@pytest.mark.filterwarnings("ignore::nbdt.errors.SampleWarning")
def test_token_ids_are_tensors_and_what_is_cut_off_is_told(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    from nbdt.inputs.text import TextInput

    torch.manual_seed(0)
    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "good", "bad", "rain"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_padding()
    tokenizer.enable_truncation(16)
    config = transformers.BertConfig(
        vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, num_labels=3, max_position_embeddings=16,
    )  # fmt: skip
    network = transformers.BertForSequenceClassification(config).eval()
    reader = TextInput.with_tokenizer(tokenizer, ("input_ids", "attention_mask"))
    model = NBDT(network, nbdt.induce(network), preprocessing=reader)
    model.save_pretrained(tmp_path / "bert")
    with serving(Settings(models=(tmp_path,))) as running, running.client() as client:
        told = client.get("/v2/models/bert").json()["inputs"]
        assert {"name": "input_ids", "datatype": "INT64", "shape": [-1, -1]} in told
        assert {"name": "text", "datatype": "BYTES", "shape": [-1]} in told
        ids = {"name": "input_ids", "datatype": "INT64", "shape": [2, 2], "data": [2, 4, 3, 0]}
        mask = {
            "name": "attention_mask",
            "datatype": "INT64",
            "shape": [2, 2],
            "data": [1, 1, 1, 0],
        }
        url = "/v2/models/bert/infer"
        tensors = client.post(url, json={"inputs": [ids, mask]}).json()["outputs"]
        texts = bytes_tensor("text", ["good rain", "bad"])
        strings = client.post(url, json={"inputs": [texts]}).json()["outputs"]
        assert tensors[1]["data"] == strings[1]["data"]
        assert tensors[0]["data"] == pytest.approx(strings[0]["data"], abs=1e-5)
        asked = {"instances": ["rain", "good " * 20]}
        (note,) = client.post("/api/v1/models/bert/predict", json=asked).json()["notes"]
        assert note == (
            "row 1: the text is longer than the 16 tokens that the model reads; the rest, 4 "
            "tokens, was cut off."
        )
        for data in ([2, 99, 3, 0], [2, -1, 3, 0], [2, 0.5, 3, 0]):
            answer = client.post(url, json={"inputs": [ids | {"data": data}, mask]})
            assert answer.status_code == 400, answer.text
