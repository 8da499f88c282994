"""What the tests of nbdt.hierarchy.library and nbdt.pretrained do not say of files already."""

import hashlib
import os
import stat

import pytest

from nbdt import files
from nbdt.errors import FormatError, InputError
from nbdt.files import (
    error_context,
    file_sha256,
    is_file,
    read_json,
    read_text,
    replacing_path,
    sha256,
    write_json,
    write_text,
)


def test_long_files_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = tmp_path / "some.txt"
    path.write_text("twelve bytes")
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    monkeypatch.setattr("nbdt.documents.MAX_BYTES", 10)
    with pytest.raises(FormatError, match="longer than"):
        read_text(path)


def test_json_files_are_read_strictly(tmp_path):
    path = tmp_path / "some.json"
    path.write_text('{"a": [1, 2.5, null]}')
    assert read_json(path) == {"a": [1, 2.5, None]}
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(FormatError, match=r"some\.json: has the key 'a' twice"):
        read_json(path)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "some.json"
    (tmp_path / "usual").write_text("")
    write_text(path, "é\r\n\U0001f600")
    usual, new = (stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "usual", path))
    assert usual == new
    assert path.read_bytes() == b"\xc3\xa9\r\n\xf0\x9f\x98\x80"
    assert read_text(path) == "é\r\n\U0001f600"
    write_json(path, {"é": [1, 2.5, None]})
    assert read_json(path) == {"é": [1, 2.5, None]}
    assert path.read_text(encoding="utf-8").startswith('{\n "é"')
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, [float("nan")])
    assert read_json(path) == {"é": [1, 2.5, None]}


@pytest.mark.parametrize("path", ["/", "."])
def test_a_folder_is_not_replaced(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^[/.]: cannot be written: "):
        write_text(path, "text")
    assert not list(tmp_path.iterdir())


def test_errors_begin_with_the_name_of_the_file():
    with (
        pytest.raises(FormatError, match=r"^pets\.json: is cut off\.$"),
        error_context("pets.json"),
    ):
        raise FormatError("is cut off.")
    with (
        pytest.raises(FormatError, match=r"^…x{199}: is cut off\.$"),
        error_context("y" + "x" * 900),
    ):
        raise FormatError("is cut off.")


def test_only_ordinary_files_are_files(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    found = ("file", "link", "pipe", "nothing", "", "x" * 5000, "\0")
    assert [name for name in found if is_file(tmp_path / name)] == ["file", "link"]


def test_a_hash_is_of_the_bytes_however_they_are_given(tmp_path):
    data = b"caf\xc3\xa9" * 99_999
    (tmp_path / "some.txt").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert sha256(data[:7], memoryview(data)[7:], "") == sha256(data.decode()) == expected
    assert file_sha256(tmp_path / "some.txt") == expected
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read: No such file"):
        file_sha256(tmp_path / "gone.txt")


# ── writers that want a path ──────────────────────────────────────────────────────────────────


def test_a_path_to_write_to_takes_the_place_of_the_file(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("before")
    with replacing_path(path) as aside:
        assert aside.parent == tmp_path
        assert not aside.exists()
        aside.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_keeps_pointing_to_its_file(tmp_path):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "file"
    target.write_text("before")
    (tmp_path / "link").symlink_to(target)
    with replacing_path(tmp_path / "link") as aside:
        aside.write_text("after")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "after"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_whatever_ends_the_writer_leaves_the_file_as_it_was(tmp_path, error):
    path = tmp_path / "some.txt"
    path.write_text("before")

    def write():
        with replacing_path(path) as aside:
            aside.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    with pytest.raises(InputError, match="cannot be written: No such file"), replacing_path(path):
        pass  # makes no file
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch, broken):
    def full(*arguments):
        raise OSError(28, os.strerror(28))

    path = tmp_path / "some.txt"
    path.write_text("before")
    monkeypatch.setattr(broken, full)
    with pytest.raises(InputError, match=r"some\.txt: cannot be written: No space left on device"):
        write_text(path, "after")
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_on_the_disk_before_the_file_takes_its_place(tmp_path, monkeypatch):
    path = tmp_path / "some.txt"
    path.write_text("before")
    flushed = []

    def noted(number):
        (aside,) = (other for other in tmp_path.iterdir() if other != path)
        flushed.append((aside.read_bytes(), path.read_text()))

    monkeypatch.setattr(os, "fsync", noted)
    write_text(path, "after")
    assert flushed == [(b"after", "before")]
    assert path.read_text() == "after"
