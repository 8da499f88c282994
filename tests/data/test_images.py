import pytest

from nbdt.data import images as module
from nbdt.data import list_images
from nbdt.data.images import list_subfolders
from nbdt.errors import InputError, NotFoundError


def folder_of(top, **counts):
    for name, count in counts.items():
        (top / name).mkdir(parents=True)
        for i in range(count):
            (top / name / f"{i}.png").touch()
    return top


class TestListImages:
    def test_recursive_and_sorted(self, tmp_path):
        for name in ("b/2.png", "b/10.JPG", "a.webp", "b.png", "a/c/d.gif"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for name in ("notes.txt", ".hidden.png", "._a.png", ".cache/x.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
        assert found == ["a/c/d.gif", "a.webp", "b/10.JPG", "b/2.png", "b.png"]

    def test_links_to_folders_are_not_followed(self, tmp_path):
        folder_of(tmp_path, a=1)
        (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
        assert len(list_images(tmp_path)) == 1

    def test_empty(self, tmp_path):
        with pytest.raises(InputError, match=r"no image is in this folder .*\.jpg"):
            list_images(tmp_path)

    def test_missing_or_a_file(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder"):
            list_images(tmp_path / "x")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="this is a file"):
            list_images(tmp_path / "file")

    def test_unreadable(self, tmp_path, monkeypatch):
        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))

        monkeypatch.setattr(module.os, "walk", walk)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            list_images(tmp_path)


class TestListSubfolders:
    def test_sorted_without_files_and_hidden_ones(self, tmp_path):
        folder_of(tmp_path, dog=0, cat=0, **{".git": 0})
        (tmp_path / "README.txt").touch()
        assert list_subfolders(tmp_path) == ["cat", "dog"]

    def test_missing_or_a_file(self, tmp_path):
        with pytest.raises(NotFoundError, match="no such folder"):
            list_subfolders(tmp_path / "x")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="this is a file"):
            list_subfolders(tmp_path / "file")

    def test_unreadable(self, tmp_path, monkeypatch):
        def walk(top, onerror):
            onerror(PermissionError(13, "Permission denied", str(top)))

        monkeypatch.setattr(module.os, "walk", walk)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            list_subfolders(tmp_path)
