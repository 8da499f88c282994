"""deploy/kserve.yaml and the Dockerfile: what can be said of them with no cluster and no engine."""

import json
import re
from pathlib import Path

import pytest

from nbdt.server.settings import Settings
from nbdt.server.supervisor import patience

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "deploy" / "kserve.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
TYPES = {"str": str, "bool": bool, "int": int, "object": object}


@pytest.fixture(scope="module")
def documents():
    yaml = pytest.importorskip("yaml", reason="KServe's models need the extra [conformance]")
    return list(yaml.safe_load_all(MANIFEST.read_text("utf-8")))


def check(kind, value, where):
    """That a value is what KServe's own model of that kind takes, down to its last field."""
    from kserve import models
    from kubernetes import client

    if part := re.fullmatch(r"list\[(.+)\]", kind, re.IGNORECASE):
        for index, one in enumerate(value):
            check(part[1], one, f"{where}[{index}]")
    elif part := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", kind, re.IGNORECASE):
        for key, one in value.items():
            check(part[1], one, f"{where}.{key}")
    elif kind in TYPES:
        assert isinstance(value, TYPES[kind]), where
    else:
        model = getattr(models, kind, None) or getattr(client, kind)
        names = {theirs: ours for ours, theirs in model.attribute_map.items()}
        assert set(value) <= set(names), where
        for key, one in value.items():
            check(model.openapi_types[names[key]], one, f"{where}.{key}")
        if hasattr(models, kind):  # they refuse to be made without what is required
            model(**{names[key]: one for key, one in value.items()})


def test_kserve_knows_every_field_of_the_manifest(documents):
    pytest.importorskip("kserve", reason="KServe's models need the extra [conformance]")
    service, runtime = documents
    assert (service["apiVersion"], runtime["apiVersion"]) == (
        "serving.kserve.io/v1beta1",
        "serving.kserve.io/v1alpha1",
    )
    check(f"V1beta1{service['kind']}", service, "service")
    check(f"V1alpha1{runtime['kind']}", runtime, "runtime")
    with pytest.raises(AssertionError, match=r"runtime\.spec"):
        check("V1alpha1ServingRuntime", runtime | {"spec": {"contaners": []}}, "runtime")


def test_the_manifest_fits_the_service(documents, client):
    service, runtime = documents
    predictor, (container,) = service["spec"]["predictor"], runtime["spec"]["containers"]
    assert predictor["model"]["runtime"] == runtime["metadata"]["name"]
    (form,) = runtime["spec"]["supportedModelFormats"]
    assert predictor["model"]["modelFormat"]["name"] == form["name"]
    assert predictor["model"]["protocolVersion"] in runtime["spec"]["protocolVersions"]
    (port,) = container["ports"]
    assert f"NBDT_PORT={port['containerPort']}" in DOCKERFILE
    assert service["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == port["containerPort"]
        assert client.get(container[probe]["httpGet"]["path"]).status_code == 200
    settings = {one["name"].removeprefix("NBDT_").lower(): one["value"] for one in container["env"]}
    assert set(settings) <= set(Settings.model_fields)
    # It may drain, and answer what it has taken, before it is killed.
    assert predictor["terminationGracePeriodSeconds"] > patience(Settings(**settings))
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in runtime["spec"]["volumes"]}


def test_the_dockerfile_sets_what_there_is():
    settings = set(re.findall(r"^ +NBDT_(\w+)=", DOCKERFILE, re.M))
    assert settings
    assert {one.lower() for one in settings} <= set(Settings.model_fields)
    (command,) = re.findall(r"^    CMD (\[.*\])$", DOCKERFILE, re.M)
    compile(json.loads(command)[2], "HEALTHCHECK", "exec")
