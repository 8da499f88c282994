"""Models: found, loaded whole or not at all, tried out, and replaced."""

import json
import os
import pickle

import pytest
import torch

from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.server.models import GOLDEN, Registry, find_models, load_model
from nbdt.server.settings import Settings
from tests.server.conftest import b64, png, save_model


def test_folders_of_models_and_folders_of_folders(models, tmp_path):
    assert list(find_models([models])) == ["digits", "markup"]
    assert list(find_models([models / "digits"])) == ["digits"]
    assert list(find_models([models / "digits", models])) == ["digits", "markup"]
    save_model(tmp_path / "digits")
    with pytest.raises(InputError, match="have one name"):
        find_models([models, tmp_path])


def test_folders_without_models(tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"):
        find_models([tmp_path / "nope"])
    with pytest.raises(NotFoundError, match=r"holds a config\.json"):
        find_models([tmp_path])
    with pytest.raises(NotFoundError, match="no model is given"):
        find_models([])


def test_names_that_no_address_can_hold(tmp_path):
    save_model(tmp_path / "my model")
    with pytest.raises(InputError, match="letters, digits"):
        find_models([tmp_path])


def test_a_folder_that_is_being_written_is_left_alone(tmp_path, models):
    save_model(tmp_path / "digits")
    save_model(tmp_path / ".digits.0a1b.new")
    assert list(find_models([tmp_path])) == ["digits"]


def test_a_link_to_a_model_is_called_like_what_it_leads_to(tmp_path, models):
    (tmp_path / "current").symlink_to(models / "digits")
    assert list(find_models([tmp_path])) == ["digits"]


def test_changed_weights_are_refused(tmp_path):
    save_model(tmp_path / "digits")
    weights = tmp_path / "digits" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(FormatError, match="not the one that was saved"):
        load_model(tmp_path / "digits", "digits", Settings())


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    save_model(tmp_path / "digits")
    for name in ("model.safetensors", "hierarchy.json", "config.json"):
        (tmp_path / "digits" / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(NBDTError):
            load_model(tmp_path / "digits", "digits", Settings())
    assert not (tmp_path / "exploded").exists()


def golden(model, *images):
    from nbdt.data import decode_image

    batch = torch.stack([model.preprocessing(decode_image(one, "L")) for one in images])
    told = [
        {"prediction": e.prediction, "probability": e.probability} for e in model.explain(batch)
    ]
    return {"instances": [b64(one) for one in images], "predictions": told}


def test_a_golden_request_has_to_come_out(tmp_path):
    folder = tmp_path / "digits"
    model = save_model(folder)
    document = golden(model, png(1), png(2))
    (folder / GOLDEN).write_text(json.dumps(document))
    assert load_model(folder, "digits", Settings()).name == "digits"
    document["predictions"][1]["probability"] -= 0.01
    (folder / GOLDEN).write_text(json.dumps(document))
    with pytest.raises(FormatError, match=r"golden\.json: row 1 is predicted as class"):
        load_model(folder, "digits", Settings())
    for wrong, said in (
        ([], "valid dictionary"),
        ({"instances": document["instances"], "predictions": []}, "expected 2 predictions"),
        ({"instances": document["instances"], "predictions": [1, 2]}, r"predictions\[0\]"),
    ):
        (folder / GOLDEN).write_text(json.dumps(wrong))
        with pytest.raises(FormatError, match=said):
            load_model(folder, "digits", Settings())


def test_an_unfit_network_is_found_before_it_is_served(tmp_path):
    model = save_model(tmp_path / "digits")
    with torch.no_grad():
        model.network.linear.bias.fill_(float("nan"))
    model.save_pretrained(tmp_path / "digits")
    with pytest.raises(NBDTError, match="NaN or infinity"):
        load_model(tmp_path / "digits", "digits", Settings())


def test_reloading_replaces_what_has_changed_and_keeps_what_is_not_fit(tmp_path):
    save_model(tmp_path / "digits")
    registry = Registry(Settings(models=(tmp_path,)))
    registry.load()
    first = registry.get("digits")

    def reload():
        return {one.name: (one.outcome, one.reason) for one in registry.reload()}

    assert reload() == {"digits": ("unchanged", "")}
    assert registry.get("digits") is first
    save_model(tmp_path / "digits", seed=1)
    save_model(tmp_path / "new", seed=2)
    assert reload() == {"digits": ("replaced", ""), "new": ("loaded", "")}
    second = registry.get("digits")
    assert second.generation == 2
    assert second.version != first.version

    save_model(tmp_path / "digits", seed=3)
    (tmp_path / "digits" / "hierarchy.json").write_text("{}")
    (outcome, reason) = reload()["digits"]
    assert outcome == "kept"
    assert reason.startswith("hierarchy.json: ")
    assert registry.get("digits") is second

    for file in (tmp_path / "digits").iterdir():
        file.unlink()
    assert reload()["digits"] == ("kept", "its folder is gone.")
    (tmp_path / "new" / "config.json").unlink()
    assert {outcome for outcome, _ in reload().values()} == {"kept"}
    assert registry.get("digits") is second


OWN = """
from nbdt.classifiers import build

def digits():
    return build("nbdt:digits-cnn", num_classes=10)

def broken():
    raise RuntimeError("out of paint")
"""


def test_networks_of_ones_own_are_built_by_what_the_operator_names(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    digits, broken = (f"{tmp_path}/mine.py:{name}" for name in ("digits", "broken"))
    for name in ("one", "two"):
        model = save_model(tmp_path / "served" / name, seed=len(name))
        model.builder = None
        model.save_pretrained(tmp_path / "served" / name)
    save_model(tmp_path / "served" / "built")

    def served(*networks):
        settings = Settings(models=(tmp_path / "served",), networks=networks, strict=True)
        registry = Registry(settings)
        registry.load()
        return registry

    for networks in ((digits,), (f"one={digits}", f"two={digits}"), (f"one={digits}", digits)):
        registry = served(*networks)
        answer = registry.get("one").infer.model(torch.zeros(1, 1, 8, 8))
        torch.testing.assert_close(answer, model(torch.zeros(1, 1, 8, 8)))
    with pytest.raises(NBDTError, match="one does not say how its network is built"):
        served()
    with pytest.raises(InputError, match="a model 'other'; available: built, one, two"):
        served(digits, f"other={digits}")
    with pytest.raises(InputError, match="two networks are given for all models"):
        served(digits, broken)
    with pytest.raises(NBDTError, match=r"mine\.py: broken failed: RuntimeError: out of paint"):
        served(broken, f"one={digits}")

    (tmp_path / "mine.py").write_text("")
    model.save_pretrained(tmp_path / "served" / "one")
    (tmp_path / "served" / "one" / "config.json").write_bytes(
        (tmp_path / "served" / "one" / "config.json").read_bytes() + b"\n"
    )
    kept = {one.name: one.reason for one in registry.reload()}
    assert kept["one"] == "mine.py: it has no function 'digits'."


def test_no_reason_tells_where_folders_lie(tmp_path, monkeypatch):
    folder = tmp_path / "served"
    save_model(folder / "digits")
    registry = Registry(Settings(models=(folder,)))
    registry.load()

    def reasons():
        (one,) = registry.reload()
        assert one.outcome == "kept"
        return one.reason

    folder.rename(tmp_path / "moved")
    assert reasons() == "served: no such folder."
    (tmp_path / "moved").rename(folder)
    save_model(folder / "digits", seed=1)

    def fail(folder, *others):
        raise ValueError(f"{folder}/x cannot be mapped")

    monkeypatch.setattr("nbdt.server.models.load_model", fail)
    assert reasons() == "unexpected ValueError: digits/x cannot be mapped"


def test_unknown_models_are_told_from_known_ones(models):
    registry = Registry(Settings(models=(models,)))
    with pytest.raises(NotFoundError, match="available: none yet"):
        registry.get("x")
    registry.load()
    with pytest.raises(NotFoundError, match="available: digits, markup"):
        registry.get("x")
