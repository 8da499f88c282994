import pytest

from nbdt.errors import MissingDependencyError, missing, reason_of


@pytest.mark.parametrize(("error", "said"), [
    (RuntimeError("sizes differ\nframe #0: at::native"), "sizes differ"),
    (RuntimeError("  \n first"), "first"),
    (EOFError(), "EOFError"),
    (ValueError("x" * 999), "x" * 200),
])  # fmt: skip
def test_a_reason_is_one_short_line(error, said):
    assert reason_of(error) == said


def test_a_missing_package_names_what_works_from_a_checkout():
    error = missing("timm", "timm", "a network of timm")
    assert isinstance(error, MissingDependencyError)
    assert str(error) == (
        "a network of timm needs the package timm: pip install timm, or from a checkout "
        "pip install '.[timm]'."
    )
