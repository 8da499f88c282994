"""Writes the golden files anew from the `nbdt` that is installed: python -m tests.snapshots.make.

With names of snapshots, only those. Do so only where users are meant to see the change, and read
the difference line by line.
"""

import json
import math
import sys
import tempfile
import warnings
from pathlib import Path

from tests.snapshots.builders import BUILDERS

GOLDEN = Path(__file__).parent / "golden"


def main() -> None:
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or BUILDERS:
        with tempfile.TemporaryDirectory() as folder:
            value = BUILDERS[name].build(Path(folder))
        digits = 2 - round(math.log10(BUILDERS[name].rtol))
        text = json.dumps(
            shortened(value, digits), ensure_ascii=False, separators=(",", ":"), indent=None
        )
        (GOLDEN / f"{name}.json").write_text(with_breaks(text) + "\n", encoding="utf-8")


def shortened(value: object, digits: int) -> object:
    """Floats with two digits more than are compared."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: shortened(inner, digits) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(inner, digits) for inner in value]
    return value


def with_breaks(text: str) -> str:
    """One line an entry of the outermost level, so that git shows what has changed."""
    value = json.loads(text)
    if not isinstance(value, dict):
        return text
    lines = (
        f"{json.dumps(key, ensure_ascii=False)}:"
        + json.dumps(inner, ensure_ascii=False, separators=(",", ":"))
        for key, inner in value.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}"


if __name__ == "__main__":
    main()
