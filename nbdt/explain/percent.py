"""How a probability is told to a reader."""

import math


def percent(probability: float) -> str:
    """A whole percentage that calls nothing certain or impossible that is not.

    Halves are rounded up, as the scripts of pages do, so that both say the same.

    Example:
        >>> percent(0.713), percent(0.125), percent(0.001), percent(0.999), percent(1.0)
        ('71 %', '13 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < probability < 0.005:
        return "<1 %"
    if 0.995 <= probability < 1:
        return ">99 %"
    return f"{math.floor(100 * probability + 0.5)} %"
