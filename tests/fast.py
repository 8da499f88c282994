"""Runs the tests of the rooms that a change touches: python -m tests.fast [pytest's options].

A change is what differs from origin/main, or from the last commit where there is no such branch.
Rooms that import a touched one come after it, cheapest first, as long as all together should take
under a minute by what earlier runs took; then the snapshots. `make test` runs everything.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.test_layers import UPSTREAM, all_imports, layer

ROOT = Path(__file__).parents[1]
BUDGET = 60.0
SECONDS = ROOT / ".pytest_cache" / "v" / "nbdt" / "seconds"
UNKNOWN = 1.0  # seconds for a file of tests that has not been run here
ALWAYS = ("tests/test_layers.py",)
PAGES = ("tests/test_docs.py", "tests/test_packaging.py")


def changed_files() -> list[str]:
    """The paths that differ from origin/main, and those that git does not know yet."""
    base = _git("merge-base", "origin/main", "HEAD") or ["HEAD"]
    return [*_git("diff", "--name-only", base[0]), *_git("ls-files", "-o", "--exclude-standard")]


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def room_of(path: str) -> str | None:
    """The layer whose source this file is, if it is a source file."""
    parts = Path(path).parts
    if parts[0] in {"server", "hierarchies"}:
        return parts[0]
    if parts[0] != "nbdt" or len(parts) < 2:
        return None
    name = "public names" if parts[1] == "__init__.py" else parts[1].removesuffix(".py")
    return name if name in UPSTREAM else None


def tests_of(room: str) -> list[str]:
    """The files and folders that test a room, with the examples in its docstrings."""
    found = [f"tests/{room}", f"tests/test_{room}.py", f"nbdt/{room}", f"nbdt/{room}.py"]
    if room in {"server", "hierarchies"}:
        found.append(room)
    if room in {"hierarchies", "public names"}:
        found += ["tests/hierarchy", "tests/test_packaging.py"]
    return [path for path in found if (ROOT / path).exists()]


def dependants(rooms: Iterable[str]) -> list[str]:
    """The rooms with an import of one of these."""
    rooms = set(rooms)
    return sorted({above for above, below in _imports() if below in rooms} - rooms)


@cache
def _imports() -> set[tuple[str, str]]:
    """Each room with each that it imports."""
    found = (one for one in all_imports(ROOT) if one.package == "nbdt")
    return {(layer(one.importer), layer(one.imported)) for one in found}


def seconds(paths: Iterable[str]) -> float:
    """How long these took when they were last run here."""
    known = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    files = {
        file.relative_to(ROOT).as_posix()
        for path in paths
        for file in ([ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("test_*.py"))
    }
    return sum(known.get(file, UNKNOWN) for file in files)


def chosen(changed: Iterable[str]) -> list[str]:
    """What pytest is to run for a change of these files."""
    rooms: list[str] = []
    paths = [*ALWAYS]
    for path in changed:
        room = room_of(path)
        if room is not None:
            rooms.append(room)
        elif Path(path).match("tests/**/test_*.py") or Path(path).match("tests/test_*.py"):
            paths += [path] if (ROOT / path).exists() else []
        elif path.startswith("tests/") and len(Path(path).parts) > 2:
            paths.append(f"tests/{Path(path).parts[1]}")  # a fixture of a room's tests
        else:
            paths += PAGES
    for room in rooms:
        paths += tests_of(room)
    total = seconds(dict.fromkeys(paths))
    further = sorted((seconds(tests_of(room)), tests_of(room)) for room in dependants(rooms))
    further += [(seconds(["tests/snapshots"]), ["tests/snapshots"])] if rooms else []
    for cost, of_room in further:
        if total + cost <= BUDGET:
            total += cost
            paths += of_room
    return list(dict.fromkeys(paths))


def main() -> None:
    paths = chosen(changed_files())
    print("make fast:", *paths)
    options = ["-q", "-m", "not slow and not browser", *sys.argv[1:]]
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", *options, *paths], cwd=ROOT))


if __name__ == "__main__":
    main()
