"""What the tests of nbdt.hierarchy.library and nbdt.pretrained do not say of files already."""

import os
import stat
from pathlib import Path

import pytest

from nbdt import files
from nbdt.errors import FormatError, InputError
from nbdt.files import blaming, is_file, read_json, read_text, replacing, write_json, write_text


def test_long_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some.txt"
    path.write_text("twelve bytes")
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    monkeypatch.setattr("nbdt.untrusted.MAX_BYTES", 10)
    with pytest.raises(FormatError, match="longer than"):
        read_text(path)


def test_json_files_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text('{"a": [1, 2.5, null]}')
    assert read_json(path) == {"a": [1, 2.5, None]}
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(FormatError, match=r"some\.json: has the key 'a' twice"):
        read_json(path)


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "new", "text")
    usual, new = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "new"))
    assert usual == new


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    write_text(path, "é\r\n\U0001f600")
    assert path.read_bytes() == b"\xc3\xa9\r\n\xf0\x9f\x98\x80"
    assert read_text(path) == "é\r\n\U0001f600"
    write_json(path, {"é": [1, 2.5, None]})
    assert read_json(path) == {"é": [1, 2.5, None]}
    assert path.read_text(encoding="utf-8").startswith('{\n "é"')
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, [float("nan")])
    assert read_json(path) == {"é": [1, 2.5, None]}


def test_failed_block_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text("before")
    with pytest.raises(TypeError, match="bytes-like"), replacing(path) as file:
        file.writelines([b"after", "text"])  # type: ignore[list-item]
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", ["/", "."])
def test_a_folder_is_not_replaced(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^[/.]: cannot be written: "):
        write_text(path, "text")
    assert not list(tmp_path.iterdir())


def test_errors_begin_with_the_name_of_the_file() -> None:
    with pytest.raises(FormatError, match=r"^pets\.json: is cut off\.$"), blaming("pets.json"):
        raise FormatError("is cut off.")
    with pytest.raises(FormatError, match=r"^…x{199}: is cut off\.$"), blaming("y" + "x" * 900):
        raise FormatError("is cut off.")


def test_only_ordinary_files_are_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    found = ("file", "link", "pipe", "nothing", "", "x" * 5000, "\0")
    assert [name for name in found if is_file(tmp_path / name)] == ["file", "link"]
