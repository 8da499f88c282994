"""Where a changed tree is written: to the place it came from, or to another one."""

from __future__ import annotations

from pathlib import Path

from nbdt.cli.inputs import is_model
from nbdt.cli.tree.files import write_any_tree
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.pretrained.replacement import replace_hierarchy


def keep_tree(tree: Hierarchy, source: str, output: str | None = None) -> str:
    """Writes a tree to a file, or back to the file or model's folder that it came from.

    Args:
        tree: the tree.
        source: where it came from.
        output: the file to write; None for where it came from.

    Returns:
        Where it was written.

    Raises:
        InputError: it came from no place that can be written to.
    """
    if output is None and is_model(source):
        replace_hierarchy(source, tree)
        return source
    target = source if output is None else output
    if output is None and not Path(source).is_file():
        raise InputError(
            f"{source}: bundled trees stay as they are; say where to write by --output."
        )
    write_any_tree(tree, target)
    return target
