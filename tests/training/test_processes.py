"""Two processes as torchrun starts them train what one does; only the first of them writes."""

import os
import socket

import pytest
import torch
from torch import distributed
from torch.utils.data import Dataset

from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from nbdt.training import fit, started_by_torchrun
from nbdt.training.processes import Processes
from tests.training.subjects import (
    CONFIG,
    PROCESSES,
    assert_same_weights,
    digest,
    model,
    network,
    points,
)

# 17 samples at a batch size of 8: the last batch of one leaves a process without any.
CASES = {
    "plain": (CONFIG, 17),
    "even": (CONFIG.replace(clip_norm=0.5), 16),
    "parts": (CONFIG.replace(accumulate=3, average=0.6, checkpoint_every=1), 17),
    "new trees": (CONFIG.replace(retree_every=1, patience=2), 21),
    "head": (CONFIG.replace(head_only=True), 17),
    "control": (CONFIG.replace(loss="cross_entropy", retree_every=1), 17),
}


class Asked(Dataset):
    """Samples to measure on that know which of them were asked for here."""

    def __init__(self, count):
        self.points, self.seen = points(count, seed=1), set()

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        self.seen.add(index)
        return self.points[index]


def check_shares(here):
    """Each process measures its part of the samples, on the first's batch norms."""
    for count in (301, 1):  # of one, a process has none
        val, of = Asked(count), model(norm=True)
        of.network[1].momentum = 1.0  # all that its norm knows is its share of the last batch
        records = fit(of, points(16), val, CONFIG.replace(average=0.5), progress=False)
        assert val.seen == set(range(here.rank, count, here.world))
        assert here.from_first(records)[-1].accuracy == records[-1].accuracy
        kept = here.from_first({name: v.clone() for name, v in of.network.state_dict().items()})
        of.network.load_state_dict(kept)
        right = of.logits(val.points.tensors[0]).argmax(1) == val.points.tensors[1]
        assert records[-1].accuracy["network"] == right.double().mean()


def train(name, folder, rank):
    config, count = CASES[name]
    # Only the first process's weights and tree count: the others are given theirs.
    of = model(seed=rank, norm=config.head_only)
    if rank and config.head_only:
        of.network[1].running_mean += 1
    if rank:
        of.hierarchy = Hierarchy([4, 5, 4, 5, 6, 6, -1], of.classes)
    return of, fit(
        of, points(count), points(9, seed=1), config, folder=folder / name, progress=False,
        on_epoch=lambda record: (folder / f"{name}-{rank}").touch(),
    )  # fmt: skip


def main(folder, rank, port):
    """What each process runs, in the environment that torchrun gives it."""
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in {**places, **address}.items()}
    torch.set_num_threads(1)
    with started_by_torchrun() as device:
        assert device is None
        here = Processes.current()
        assert here == Processes(int(os.environ["RANK"]), 2)
        assert here.totals([here.rank + 1.0, 2.0], torch.device("cpu")) == [3.0, 4.0]
        assert here.from_first(f"rank {here.rank}") == "rank 0"
        check_shares(here)
        for name in CASES:
            of, records = train(name, folder, here.rank)
            assert here.from_first(digest(of)) == digest(of)
            assert here.from_first(records) == records or here.rank
            # Both go on from what the first wrote; there is nothing left to do.
            config, count = CASES[name]
            again = model(norm=config.head_only)
            fit(again, points(count), points(9, seed=1), config, folder=folder / name,
                resume=True, progress=False)  # fmt: skip
            assert digest(again) == digest(of)
    assert not distributed.is_initialized()
    (folder / f"done-{here.rank}").touch()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("processes")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    both = [PROCESSES.Process(target=main, args=(path, rank, port)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(250)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_does(name, folder, tmp_path):
    expected, records = train(name, tmp_path, rank=0)
    norm = CASES[name][0].head_only
    found = NBDT.from_pretrained(folder / name / "last", network=network(norm=norm))
    assert_same_weights(found, expected, atol=1e-5)
    # The heights of merges are rounded as the weights are.
    assert found.hierarchy.parents.tolist() == expected.hierarchy.parents.tolist()
    assert found.provenance == expected.provenance
    lines = (folder / name / "log.csv").read_text().splitlines()
    assert len(lines) == 1 + len(records)
    for line, record in zip(lines[1:], records, strict=True):
        assert float(line.split(",")[1]) == pytest.approx(record.loss, rel=1e-5)


@pytest.mark.slow
def test_only_the_first_process_writes_and_tells(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {*CASES, *(f"{name}-0" for name in CASES), "done-0", "done-1"}


def test_alone_there_is_nothing_to_share(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with started_by_torchrun() as device:
        assert device is None
        assert not distributed.is_initialized()
    alone = Processes.current()
    assert alone == Processes(0, 1)
    assert alone.first
    assert not Processes(1, 2).first
    assert alone.from_first("value") == "value"
    assert alone.totals([0.5, 2], torch.device("cpu")) == [0.5, 2]
    net = network()
    assert alone.joined(net) is net
    alone.share(net)
