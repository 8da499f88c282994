"""`kill -9` at any moment: a real process, killed again and again, ends with the same bits."""

import os
import random
import re
import resource
import shutil
import signal
import sys
import time

import pytest
import torch

from nbdt.errors import InputError
from nbdt.model import NBDT
from nbdt.training import checkpoint as checkpoint_module
from nbdt.training.checkpoint import Checkpoint
from nbdt.training.output import CHECKPOINT
from tests.training.subjects import PROCESSES, Noisy, digest, go_on, network

DONE, KILLED = 0, -signal.SIGKILL


@pytest.fixture(scope="module", autouse=True)
def one_thread_here():
    """What other tests left may be another number, and then the last bits differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def uninterrupted():
    return digest(go_on(None))


def assert_done(folder, expected):
    last = NBDT.from_pretrained(folder / "last", network=network(dropout=0.2, norm=True))
    assert digest(last) == expected
    assert [path for path in folder.iterdir() if path.suffix in (".tmp", ".new")] == []


class Slow(Noisy):
    """Data that take their time, so that a training lasts as long as its steps say."""

    def __getitem__(self, index):
        time.sleep(0.006)
        return super().__getitem__(index)


def one_thread():
    # The last bits depend on it, and a forked process has that of its server.
    torch.set_num_threads(1)


def train_slowly(folder, begun):
    one_thread()
    begun.set()
    go_on(folder, train=Slow())


def started(target, *arguments):
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def test_killed_at_random_moments(tmp_path, uninterrupted):
    seed = random.SystemRandom().randrange(2**32)
    moments = random.Random(seed)
    kills = 0
    for _ in range(3):
        begun = PROCESSES.Event()
        process = started(train_slowly, tmp_path, begun)
        assert begun.wait(60)
        # A training alone takes over a third of a second, asleep.
        process.join(0.3 * moments.random())
        process.kill()
        process.join()
        assert process.exitcode in (DONE, KILLED), f"seed {seed}"
        kills += process.exitcode == KILLED
        if process.exitcode == DONE:
            break
        checkpoint = tmp_path / CHECKPOINT
        if checkpoint.exists():
            Checkpoint.load(checkpoint)  # whole, whenever it is looked at
    if process.exitcode != DONE:
        process = started(train_slowly, tmp_path, begun)
        process.join(120)
    assert process.exitcode == DONE, f"seed {seed}"
    assert kills, f"seed {seed}: no process was killed in time"
    assert_done(tmp_path, uninterrupted)


def train_until(folder, operation):
    """A training that kills itself when it is about to change a file for the n-th time."""
    one_thread()
    left = operation

    def watch(event, arguments):
        nonlocal left
        changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod") or (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+")
        )
        if changes and str(folder) in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    go_on(folder)


def test_killed_at_every_change_of_a_file(tmp_path, uninterrupted):
    # One training, killed at its 1st, 2nd, 3rd, … change since it was resumed, then by strides.
    operation, kills = 1, 0
    while True:
        process = started(train_until, tmp_path / "in a row", operation)
        process.join(120)
        assert process.exitcode in (DONE, KILLED), f"killed before change {operation}"
        if process.exitcode == DONE:
            break
        kills += 1
        operation += 1
    assert kills > 10
    assert_done(tmp_path / "in a row", uninterrupted)


@pytest.mark.parametrize("operation", [1, 29, 48])
def test_killed_once_at_a_change_of_a_file(tmp_path, uninterrupted, operation):
    process = started(train_until, tmp_path, operation)
    process.join(120)
    assert process.exitcode == KILLED
    assert digest(go_on(tmp_path)) == uninterrupted
    assert_done(tmp_path, uninterrupted)


def train_until_half_written(folder, number):
    """A training that is killed in the middle of its n-th checkpoint."""
    one_thread()
    left = number
    save_file = checkpoint_module.save_file

    def torn(tensors, path, metadata):
        nonlocal left
        left -= 1
        save_file(tensors, path, metadata=metadata)
        if left == 0:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint_module.save_file = torn
    go_on(folder)


def test_killed_in_the_middle_of_a_checkpoint(tmp_path, uninterrupted):
    for number in (1, 2, 3, 1):
        process = started(train_until_half_written, tmp_path, number)
        process.join(120)
        assert process.exitcode == KILLED
        assert len(list(tmp_path.glob(".*.tmp"))) == 1
    assert digest(go_on(tmp_path)) == uninterrupted
    assert_done(tmp_path, uninterrupted)


# ── a disk that is really full ────────────────────────────────────────────────────────────────


def train_on_a_small_disk(folder, most, told):
    """A training that cannot write files longer than that."""
    one_thread()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        go_on(folder)
    except InputError as error:
        told.send(str(error))


@pytest.mark.parametrize("most", [100, 2000, 6000])
def test_a_full_disk_ends_it_and_loses_nothing(tmp_path, uninterrupted, most):
    # Some way on first, so that there is something to lose.
    process = started(train_until, tmp_path, 35)
    process.join(120)
    assert process.exitcode == KILLED
    before = (tmp_path / CHECKPOINT).read_bytes()
    told, tell = PROCESSES.Pipe(duplex=False)
    process = started(train_on_a_small_disk, tmp_path, most, tell)
    assert told.poll(120)
    assert re.search("cannot be (written|saved): .*File too large", told.recv())
    process.join(120)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert list(tmp_path.glob(".*.tmp")) == []
    assert digest(go_on(tmp_path)) == uninterrupted


@pytest.mark.parametrize(("broken", "count"), [
    *(("os.fsync", count) for count in (1, 6, 7, 13)),
    *(("nbdt.training.checkpoint.save_file", count) for count in (1, 5)),
])  # fmt: skip
def test_space_that_runs_out_at_any_time_loses_nothing(
    tmp_path, uninterrupted, monkeypatch, broken, count
):
    owner, name = (os, "fsync") if broken == "os.fsync" else (checkpoint_module, "save_file")
    real, left = getattr(owner, name), count

    def full(*arguments, **settings):
        nonlocal left
        left -= 1
        if left <= 0:
            raise OSError(28, os.strerror(28))
        return real(*arguments, **settings)

    monkeypatch.setattr(owner, name, full)
    with pytest.raises(InputError, match="No space left on device"):
        go_on(tmp_path)
    monkeypatch.undo()
    assert digest(go_on(tmp_path)) == uninterrupted


def test_a_copy_of_the_folder_taken_at_any_time_can_be_resumed(tmp_path, uninterrupted):
    class Copying(Noisy):
        copies = 0

        def __getitem__(self, index):
            if index == 7:
                self.copies += 1
                shutil.copytree(tmp_path / "run", tmp_path / f"copy {self.copies}")
            return super().__getitem__(index)

    (tmp_path / "run").mkdir()
    go_on(tmp_path / "run", train=Copying())
    copies = sorted(tmp_path.glob("copy *"))
    assert len(copies) == 4
    for copy in copies:
        assert digest(go_on(copy)) == uninterrupted
