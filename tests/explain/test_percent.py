import pytest

from nbdt.explain import percent


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        *[
            (0.0, "0 %"),
            (0.0049, "<1 %"),
            (0.005, "1 %"),
            (0.125, "13 %"),
            (0.245, "25 %"),
            (0.5, "50 %"),
            (0.994, "99 %"),
        ],
        *[(0.995, ">99 %"), (0.9999, ">99 %"), (1.0, "100 %")],
    ],
)
def test_percentages_call_nothing_certain_that_is_not(probability: float, said: str) -> None:
    assert percent(probability) == said
