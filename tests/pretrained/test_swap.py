"""A folder is replaced in one step: whoever is killed, and whoever reads meanwhile."""

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from nbdt.errors import FormatError
from nbdt.pretrained import read_whole, swap
from nbdt.pretrained.swap import replaced_folder, standing

OWN = {"a", "b"}


def write(folder, value, pause=0.0):
    """A folder of two files that must agree."""
    with replaced_folder(folder, lambda _: OWN) as new:
        for name in sorted(OWN):
            (new / name).write_text(str(value))
            time.sleep(pause)


def read(folder):
    """Its value; a FormatError if the files are of two folders."""
    a, b = ((standing(folder) / name).read_text() for name in sorted(OWN))
    if a != b:
        raise FormatError(f"half of {a}, half of {b}")
    return int(a)


def without_exchange(monkeypatch):
    monkeypatch.setattr(swap, "_exchanged", lambda *_: False)


@pytest.fixture(params=["exchange", "two renames"])
def folder(request, tmp_path, monkeypatch):
    if request.param == "two renames":
        without_exchange(monkeypatch)
    write(tmp_path / "model", 0)
    return tmp_path / "model"


def beside(folder):
    return sorted(path.name for path in folder.parent.iterdir())


def test_new_and_other_files_are_kept(folder):
    (folder / "README.md").write_text("mine")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "cat.png").write_text("cat")
    write(folder, 1)
    assert read(folder) == 1
    assert (folder / "README.md").read_text() == "mine"
    assert (folder / "pictures" / "cat.png").read_text() == "cat"
    assert beside(folder) == ["model"]


def test_an_error_changes_nothing(folder):
    with pytest.raises(ZeroDivisionError), replaced_folder(folder, lambda _: OWN) as new:
        1 / ((new / "a").write_text("") + 0)
    assert read(folder) == 0
    assert beside(folder) == ["model"]


def test_a_failing_step_puts_the_old_folder_back(folder, monkeypatch):
    rename = Path.rename

    def failing(path, target):
        if path.suffix == ".new":
            raise OSError(16, "Device or resource busy")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    monkeypatch.setattr(swap, "_exchanged", lambda *_: False)
    with pytest.raises(OSError, match="busy"):
        write(folder, 1)
    assert read(folder) == 0
    monkeypatch.undo()
    write(folder, 2)
    assert read(folder) == 2
    assert beside(folder) == ["model"]


def test_a_reader_is_asked_again_when_the_folder_was_replaced(folder):
    calls = []

    def slow():
        calls.append(read(folder))
        if len(calls) == 1:
            write(folder, 1)
            raise FormatError("half")
        return calls[-1]

    assert read_whole(folder, slow) == 1
    with pytest.raises(FormatError, match="for good"):
        read_whole(folder, lambda: (_ for _ in ()).throw(FormatError("for good")))


def saver(folder, exchange, seed, ready=None):
    if not exchange:
        swap._exchanged = lambda *_: False
    value = seed * 1_000_000
    while True:
        value += 1
        write(folder, value)


def started(*arguments):
    process = multiprocessing.get_context("fork").Process(target=saver, args=arguments, daemon=True)
    process.start()
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_any_moment_nothing_is_lost(tmp_path, exchange):
    folder = tmp_path / "model"
    write(folder, 0)
    (folder / "README.md").write_text("mine")
    chance = random.Random(0)
    for seed in range(1, 61):
        process = started(folder, exchange, seed)
        time.sleep(chance.uniform(0.001, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert read_whole(folder, lambda: read(folder)) >= 0
        assert (standing(folder) / "README.md").read_text() == "mine"
    write(folder, 7)
    assert read(folder) == 7
    assert beside(folder) == ["model"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("exchange", [True, False])
def test_readers_beside_two_savers_see_whole_folders(tmp_path, exchange):
    folder = tmp_path / "model"
    write(folder, 0)
    savers = [started(folder, exchange, seed) for seed in (1, 2)]
    try:
        seen: set[int] = set()
        end = time.monotonic() + 30
        while len(seen) < 10 and time.monotonic() < end:
            seen.add(read_whole(folder, lambda: read(folder)))
    finally:
        for process in savers:
            assert process.is_alive()
            process.kill()
            process.join()
    assert len(seen) >= 10
