"""What every test may ask for, and how all of them run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

# Shapes in signatures are checked while the tests run, and only then.
install_import_hook(["nbdt.rules", "nbdt.explain", "nbdt.model"], "beartype.beartype")


@pytest.fixture
def unchecked():
    """Turns the check of shapes and types off: for tests of bad input, and for compilers."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


# Machines that run tests are often busy, so time is no criterion; a CI run has to be repeatable.
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
