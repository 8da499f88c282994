import json
from typing import Any

import pytest

from nbdt.classifiers import Builder
from nbdt.errors import FormatError
from nbdt.inputs.image import Preprocessing
from nbdt.pretrained import SCHEMA, FileRecord, ModelConfig
from nbdt.rules import Temperature

FULL = ModelConfig(
    classes=("cat", "犬"),
    score="mean",
    rule="hard",
    builder=Builder(name="nbdt:digits-cnn", arguments={"num_classes": 2}),
    preprocessing=Preprocessing(mode="L", resize=8, crop=8),
    head="linear",
    temperature=Temperature(1.5, {2: 0.5}),
    versions={"nbdt": "0.1.0", "torch": "2.15.0"},
    files={"model.safetensors": FileRecord(bytes=12, sha256="0" * 64)},
    provenance={"accuracy": {"soft": 0.5, "hard": [1, None]}},
)


@pytest.mark.parametrize("config", [FULL, ModelConfig(classes=(), score="mean", rule="soft")])
def test_round_trip_through_json(config):
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_folders_from_before_there_were_temperatures_are_read():
    document = ModelConfig(classes=("cat",), score="mean", rule="soft").to_dict()
    assert document.pop("temperature") is None
    assert ModelConfig.from_dict(document).temperature == Temperature()


def changed(**values: Any) -> dict[str, Any]:
    return {**FULL.to_dict(), **values}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "a config is a JSON object, got None"),
        ([FULL.to_dict()], "a JSON object, got a list"),
        ({}, f"this version of nbdt reads '{SCHEMA}'"),
        (changed(schema="nbdt.model/2"), "the schema is 'nbdt.model/2'"),
        (changed(schema=["nbdt.model/1"]), "the schema is a list"),
        (changed(code="import os"), "has an unknown key 'code'"),
        ({k: v for k, v in FULL.to_dict().items() if k != "rule"}, "lacks 'rule'"),
        (changed(classes="cat"), "classes: Input should be a valid array; got 'cat'"),
        (changed(classes=["cat", 1]), r"classes\[1\]: Input should be a valid string; got 1"),
        (changed(score="max"), "score must be logsumexp or mean, got 'max'"),
        (changed(score={}), "score must be logsumexp or mean, got a dict"),
        (changed(rule=None), "rule must be soft or hard, got None"),
        (changed(builder="nbdt:digits-cnn"), "should be an object"),
        (
            changed(builder={"name": "os:system", "arguments": {}}),
            "builder.name must be 'nbdt:…'",
        ),
        (changed(builder=False), "should be an object"),
        (changed(preprocessing={}), "preprocessing is not valid: "),
        (changed(preprocessing=[]), "preprocessing is not valid: "),
        (changed(head=3), "head: Input should be a valid string; got 3"),
        (changed(temperature=1.5), "an object with value and nodes, got 1.5"),
        (changed(temperature={"value": 0, "nodes": {}}), "a number above 0; got 0.0"),
        (changed(versions=[]), "versions: Input should be an object; got a list"),
        (changed(versions={"nbdt": 1}), "versions.nbdt: Input should be a valid string; got 1"),
        (changed(files=7), "files: Input should be an object; got 7"),
        (changed(files={"x": 7}), "files.x: Input should be an object; got 7"),
        (changed(files={"x": {"bytes": 1}}), "files.x lacks 'sha256'"),
        (changed(files={"x": {"bytes": -1, "sha256": "0" * 64}}), "files.x.bytes: "),
        (changed(files={"x": {"bytes": True, "sha256": "0" * 64}}), "files.x.bytes: "),
        (changed(files={"x": {"bytes": 1, "sha256": "G" * 64}}), "files.x.sha256: "),
        (changed(files={"x": {"bytes": 1, "sha256": 0}}), "files.x.sha256: "),
        (changed(files={"x" * 10**6: 7}), "files.xxx"),
        (changed(provenance="mine"), "provenance: Input should be an object; got 'mine'"),
        (changed(provenance={"a": float("nan")}), "nan, which JSON cannot hold"),
    ],
)
def test_refuses(document, message):
    with pytest.raises(FormatError, match=message) as caught:
        ModelConfig.from_dict(document)
    assert len(str(caught.value)) < 1000


def test_provenance_has_to_be_jsonable():
    config = ModelConfig(classes=(), score="mean", rule="soft", provenance={"when": object()})
    with pytest.raises(FormatError, match="provenance is an object, which JSON cannot hold"):
        config.to_dict()


def test_nested_provenance_is_refused():
    nested: Any = {}
    for _ in range(100):
        nested = {"a": nested}
    with pytest.raises(FormatError, match="nested deeper"):
        ModelConfig.from_dict(changed(provenance=nested))
