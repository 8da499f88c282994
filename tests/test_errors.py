import pytest

from nbdt.errors import reason_of


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("sizes differ\nframe #0: at::native"), "sizes differ"),
        (RuntimeError("  \n first"), "first"),
        (EOFError(), "EOFError"),
        (ValueError("x" * 999), "x" * 200),
    ],
)
def test_a_reason_is_one_short_line(error: Exception, said: str) -> None:
    assert reason_of(error) == said
