import json
import resource
import shutil
from importlib import metadata

import pytest
import torch
from torch import nn

from nbdt.classifiers import Builder
from nbdt.errors import FormatError, HierarchyError, InputError, NBDTError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.pretrained import (
    CONFIG,
    HIERARCHY,
    SEAL,
    WEIGHTS,
    FileRecord,
    ModelConfig,
    put_beside,
    read_model,
    reseal,
    write_model,
)
from nbdt.pretrained import folder as module
from tests.folders import rewrite_config

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", ""], attributes={3: {"a": 1}})
MODEL = ModelConfig(classes=TREE.classes, score="mean", rule="soft")
FILES = {CONFIG, SEAL, HIERARCHY, WEIGHTS}


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def saved(tmp_path):
    write_model(tmp_path / "model", MODEL, TREE, nn.Linear(2, 3))
    return tmp_path / "model"


class TestWriteModel:
    def test_round_trip(self, saved):
        found = read_model(saved)
        assert found.hierarchy == TREE
        assert found.weights == saved / WEIGHTS
        assert found.config.classes == TREE.classes
        assert found.config.versions["torch"] == torch.__version__
        assert found.config.versions["nbdt"] == metadata.version("nbdt-toolkit")
        assert names(saved) == FILES

    def test_into_new_and_into_empty_folders(self, tmp_path):
        write_model(tmp_path / "a" / "b", MODEL, TREE, nn.Linear(2, 3))
        (tmp_path / "empty").mkdir()
        write_model(tmp_path / "empty", MODEL, TREE, nn.Linear(2, 3))
        assert names(tmp_path / "a" / "b") == names(tmp_path / "empty") == FILES

    def test_replaces_a_model_and_keeps_other_files(self, saved):
        (saved / "README.md").write_text("mine")
        (saved / "pictures").mkdir()
        write_model(saved, MODEL, TREE, nn.Linear(7, 3))
        assert names(saved) == FILES | {"README.md", "pictures"}
        assert (saved / "README.md").read_text() == "mine"
        read_model(saved)
        assert names(saved.parent) == {"model"}

    def test_a_link_to_a_model_stays_a_link(self, saved):
        link = saved.with_name("latest")
        link.symlink_to(saved, target_is_directory=True)
        write_model(link, MODEL, TREE, nn.Linear(9, 3))
        assert link.is_symlink()
        assert "9" in str((saved / WEIGHTS).read_bytes()[:200])

    @pytest.mark.parametrize(
        "content",
        [None, "{}", '{"schema": "bert/1"}', '{"schema": 7}', "[]", "not JSON"],
    )
    def test_leaves_other_folders_alone(self, tmp_path, content):
        (tmp_path / "thesis.tex").write_text("years of work")
        if content is not None:
            (tmp_path / CONFIG).write_text(content)
        before = names(tmp_path)
        with pytest.raises(InputError, match="something other than a model, so it is left alone"):
            write_model(tmp_path, MODEL, TREE, nn.Linear(2, 3))
        assert names(tmp_path) == before

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "model").touch()
        with pytest.raises(InputError, match="this is a file; a model is saved as a folder"):
            write_model(tmp_path / "model", MODEL, TREE, nn.Linear(2, 3))

    def test_a_failure_leaves_the_old_model(self, saved):
        before = {name: (saved / name).read_bytes() for name in FILES}
        with pytest.raises(InputError, match="is not a tensor"):
            write_model(saved, MODEL, TREE, nn.Linear(2, 3, device="meta"))
        broken = ModelConfig(
            classes=TREE.classes, score="mean", rule="soft", provenance={"x": object()}
        )
        with pytest.raises(FormatError, match="provenance"):
            write_model(saved, broken, TREE, nn.Linear(2, 3))
        assert {name: (saved / name).read_bytes() for name in FILES} == before
        assert names(saved.parent) == {"model"}

    def test_full_disk(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "save_tensors", full)
        with pytest.raises(InputError, match="No space left on device"):
            write_model(tmp_path / "model", MODEL, TREE, nn.Linear(2, 3))
        assert not names(tmp_path)

    def test_version_of_a_checkout_that_is_not_installed(self, tmp_path, monkeypatch):
        def unknown(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(module.metadata, "version", unknown)
        write_model(tmp_path / "model", MODEL, TREE, nn.Linear(2, 3))
        assert read_model(tmp_path / "model").config.versions["nbdt"] == "unknown"

    def test_others_may_read_it(self, saved):
        plain = saved.with_name("plain")
        plain.mkdir()
        assert saved.stat().st_mode == plain.stat().st_mode
        (plain / "file").touch()
        modes = {(saved / name).stat().st_mode for name in FILES}
        assert modes == {(plain / "file").stat().st_mode}


class TestReadModel:
    def test_no_such_folder(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder; a saved model is a folder"):
            read_model(tmp_path / "x")

    def test_a_folder_without_a_model(self, tmp_path):
        with pytest.raises(NotFoundError, match=r"it has no config\.json"):
            read_model(tmp_path)

    @pytest.mark.parametrize("name", [HIERARCHY, WEIGHTS])
    def test_missing_file(self, saved, name):
        (saved / name).unlink()
        with pytest.raises(FormatError, match=f"{name}: the file is missing"):
            read_model(saved)

    @pytest.mark.parametrize("name", [HIERARCHY, WEIGHTS])
    @pytest.mark.parametrize("longer", [False, True])
    def test_changed_file(self, saved, name, longer):
        data = bytearray((saved / name).read_bytes())
        if longer:
            data.append(32)
        else:
            data[-3] ^= 1
        (saved / name).write_bytes(data)
        with pytest.raises(FormatError, match=f"{name}: the file is not the one that was saved"):
            read_model(saved)

    def test_file_of_another_length_is_not_hashed(self, saved, monkeypatch):
        with (saved / WEIGHTS).open("ab") as file:
            file.truncate(10**12)
        hashed = []
        hash_of = module.file_sha256
        monkeypatch.setattr(
            module, "file_sha256", lambda path: hashed.append(path.name) or hash_of(path)
        )
        with pytest.raises(FormatError, match=r"model\.safetensors: .*not the one that was saved"):
            read_model(saved)
        assert hashed == [HIERARCHY]

    def test_unreadable_file(self, saved, monkeypatch):
        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("nbdt.files.hashlib.file_digest", refuse)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            read_model(saved)

    @pytest.mark.parametrize(
        "files",
        [
            {},
            {"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}},
            {WEIGHTS: {"bytes": 1, "sha256": "0" * 64}},
            {
                name: {"bytes": 1, "sha256": "0" * 64}
                for name in (HIERARCHY, WEIGHTS, "/etc/passwd")
            },
        ],
    )
    def test_only_its_own_files_are_listed(self, saved, files):
        rewrite_config(saved, files=files)
        with pytest.raises(FormatError, match=r"files must list hierarchy\.json and model"):
            read_model(saved)

    def test_classes_of_another_tree(self, saved):
        rewrite_config(saved, classes=["dog", "cat", "car"])
        with pytest.raises(FormatError, match=r"class names differ from those in hierarchy\.json"):
            read_model(saved)

    def test_invalid_tree_with_right_hashes(self, saved):
        document = json.loads((saved / HIERARCHY).read_text())
        document["parents"] = [3, 3, 4, 3, -1]
        (saved / HIERARCHY).write_text(json.dumps(document))
        rewrite_config(saved)
        with pytest.raises(HierarchyError, match=r"hierarchy\.json: "):
            read_model(saved)

    def test_hostile_name_of_a_builder(self, saved):
        rewrite_config(saved, builder={"name": "nbdt:../os.system", "arguments": {}})
        with pytest.raises(FormatError, match=r"config\.json: builder\.name must be"):
            read_model(saved)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[" * 100_000,
            '{"a":' * 200_000,
            '{"schema": NaN}',
            '{"schema": 1, "schema": 2}',
            "\ud83d".encode("utf-16", "surrogatepass").decode("latin-1"),
            '{"schema": 1' + "0" * 10_000 + "}",
        ],
        ids=["empty", "open", "deep", "deeper", "nan", "twice", "utf-16", "huge number"],
    )
    def test_hostile_text(self, saved, text):
        rewrite_config(saved, text.encode("latin-1"))
        with pytest.raises(FormatError, match=r"config\.json: ") as caught:
            read_model(saved)
        assert len(str(caught.value)) < 1000

    def test_huge_config_is_not_read(self, saved):
        with (saved / CONFIG).open("r+b") as file:
            file.truncate(500_000_000)
        with pytest.raises(FormatError, match=r"config\.json: is longer than"):
            read_model(saved)

    def test_config_that_is_a_folder(self, saved):
        (saved / CONFIG).unlink()
        (saved / CONFIG).mkdir()
        with pytest.raises(NotFoundError, match="holds no model"):
            read_model(saved)

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_every_damaged_byte_is_refused(self, saved, name):
        data = (saved / name).read_bytes()
        for place in range(0, len(data), 1 + len(data) // 300):
            damaged = bytearray(data)
            damaged[place] ^= 1
            (saved / name).write_bytes(damaged)
            with pytest.raises(NBDTError):
                read_model(saved)
        for shorter in (data[:-1], b""):
            (saved / name).write_bytes(shorter)
            with pytest.raises(NBDTError):
                read_model(saved)
        (saved / name).unlink()
        with pytest.raises(NBDTError):
            read_model(saved)

    def test_a_network_that_does_not_fit_is_not_built(self, tmp_path):
        """A folder of a few kB asks for a network of 16 GB."""
        NBDT(nn.Linear(4, 3), TREE).save_pretrained(tmp_path)
        builder = {"name": "torchvision:regnet_y_128gf", "arguments": {"num_classes": 3}}
        rewrite_config(tmp_path, builder=builder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(FormatError, match=r"does not fit the network: .* tensors missing"):
            NBDT.from_pretrained(tmp_path)
        builder["arguments"]["num_classes"] = 1_000_000
        rewrite_config(tmp_path, builder=builder)
        with pytest.raises(InputError, match=r"network has 1000000 classes .* the tree has 3"):
            NBDT.from_pretrained(tmp_path)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 300_000  # in kB; the network has 2.6 GB

    def test_a_copy_is_as_good(self, saved, tmp_path):
        shutil.copytree(saved, tmp_path / "copy")
        assert read_model(tmp_path / "copy").config == read_model(saved).config


def test_records_compare():
    one = FileRecord(bytes=1, sha256="a" * 64)
    assert one == one.replace() != one.replace(bytes=2)
    assert Builder(name="nbdt:digits-cnn") != Builder(name="nbdt:small-cnn")


class TestReseal:
    def test_edits_by_hand_are_taken_when_asked(self, saved):
        document = json.loads((saved / HIERARCHY).read_text())
        document["names"][3] = "pet"
        (saved / HIERARCHY).write_text(json.dumps(document))
        (saved / "golden.json").write_text("{}")
        (saved / "notes.txt").write_text("mine")
        with pytest.raises(FormatError, match="nbdt verify --reseal"):
            read_model(saved)
        assert reseal(saved) == ["golden.json", HIERARCHY, CONFIG]
        found = read_model(saved)
        assert found.hierarchy.name(3) == "pet"
        assert "notes.txt" not in found.config.files
        assert reseal(saved) == []

    def test_what_is_no_model_is_refused(self, saved):
        (saved / WEIGHTS).unlink()
        with pytest.raises(FormatError, match="the file is missing"):
            reseal(saved)

    def test_files_beside_a_model_stay_when_it_is_saved_again(self, saved):
        put_beside(saved, "calibration.json", {"a": 1})
        write_model(saved, MODEL, TREE, nn.Linear(5, 3))
        assert json.loads((saved / "calibration.json").read_text()) == {"a": 1}
        put_beside(saved, "calibration.json", {"a": 2})
        assert "calibration.json" in read_model(saved).config.files
        assert json.loads((saved / "calibration.json").read_text()) == {"a": 2}
