"""What every test may ask for, and how all of them run."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

from tests import process_state

# Shapes in signatures are checked while the tests run, and only then.
install_import_hook(["nbdt.rules", "nbdt.explain", "nbdt.model"], "beartype.beartype")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--random-order", type=int, metavar="SEED", help="shuffle modules, and the tests of each"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(process_state, "process state")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --random-order, modules come in any order, and so do the tests of each."""
    seed = config.getoption("--random-order")
    if seed is None:
        return
    shuffled = random.Random(seed)
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    groups = [*modules.values()]
    shuffled.shuffle(groups)
    for group in groups:
        shuffled.shuffle(group)
    items[:] = [item for group in groups for item in group]


_seconds: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file = report.nodeid.partition("::")[0]
    _seconds[file] = _seconds.get(file, 0.0) + report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keeps how long each file took, for `tests/fast.py`."""
    cache = getattr(session.config, "cache", None)
    if cache is not None and not hasattr(session.config, "workerinput"):
        known = cache.get("nbdt/seconds", {})
        cache.set("nbdt/seconds", known | {file: round(one, 2) for file, one in _seconds.items()})


@pytest.fixture
def unchecked():
    """Turns the check of shapes and types off: for tests of bad input, and for compilers."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


# Machines that run tests are often busy, so time is no criterion; a CI run must be repeatable.
settings.register_profile(
    "nbdt", deadline=None, max_examples=60, derandomize="CI" in os.environ, print_blob=True
)
settings.load_profile("nbdt")


@pytest.fixture(scope="session")
def nbdt_data() -> Path:
    """The folder of real data and weights that NBDT_DATA names; skips where it is not set."""
    folder = os.environ.get("NBDT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("NBDT_DATA does not name a folder with the real data sets and weights")
    return Path(folder)
