"""The order of layers in DESIGN.md: data flows one way, and imports only point back along it.

Source is read, not run, so an import under `if TYPE_CHECKING:` or inside a function counts too.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]

# What each layer takes its data from. It may import these, and all that they may import.
UPSTREAM: dict[str, tuple[str, ...]] = {
    "errors": (),
    "hierarchies": (),
    "documents": ("errors",),
    "files": ("documents",),
    "display": (),
    "hierarchy": ("display", "files", "hierarchies"),
    "registry": ("errors",),
    "inputs": ("files", "registry"),
    "classifiers": ("hierarchy", "inputs"),
    "data": ("hierarchy", "inputs"),
    "run": ("model", "data"),
    "rules": ("hierarchy",),
    "losses": ("rules",),
    "explain": ("rules",),
    "pretrained": ("rules", "classifiers"),
    "model": ("classifiers", "explain", "pretrained"),
    "conversion": ("model",),
    "sklearn": ("conversion",),
    "training": ("losses", "evaluation"),
    "selective": ("evaluation",),
    "evaluation": ("run",),
    "attribution": ("model", "data"),
    "view": ("selective", "evaluation", "attribution"),
    "report": ("view", "training"),
    "client": ("explain", "inputs"),
    "public names": ("report", "conversion"),  # nbdt/__init__.py
    "demo": ("public names",),
    "server": ("public names",),
    "cli": ("demo", "server"),
    "__main__": ("cli",),
}

# Everything that `make demo` does not install: these are imported inside functions, or by the
# server, which is an extra as a whole.
SERVER_EXTRA = {
    *("fastapi", "limits", "prometheus_client", "pydantic", "pydantic_settings"),
    *("python_multipart", "starlette", "uvicorn"),
}
OPTIONAL = SERVER_EXTRA | {
    *("timm", "transformers", "onnx", "onnxscript", "onnxruntime", "captum", "fastcluster"),
    *("httpx", "opentelemetry", "torch.utils.tensorboard"),
    *("skops", "skorch", "lightgbm", "xgboost", "catboost", "peft", "torchao", "tokenizers"),
    *("pandas", "polars", "pyarrow"),
}
# Importing these takes up to a second or, with torch, several: only functions that need them do.
SLOW = {
    "sklearn",
    "networkx",
    "scipy.io",
    "scipy.cluster.hierarchy",
    "scipy.sparse",
    "nbdt.pretrained",
}
CORE = {
    *("torch", "torchvision", "numpy", "scipy", "sklearn", "networkx", "graphviz"),
    *("safetensors", "typer", "rich", "jaxtyping", "PIL", "pydantic"),
    *("jinja2", "markupsafe"),
}

MAX_LINES = 400
LONG = {
    "nbdt.hierarchy.tree": "one class: all that one asks of a tree, each with its docstring",
    "nbdt.model": "one class: all that one asks of a model, each method with its docstring",
    "nbdt.server.protocols.oip": "one protocol in one file, with its tensors as JSON and as bytes",
}

# Modules of the command line are called after their commands.
COMMANDS = {path.stem for path in (ROOT / "nbdt" / "cli").rglob("*.py") if path.stem != "__init__"}

MIN_LINES = 60
SHORT = {
    "nbdt.__main__": "python -m nbdt",
    "nbdt.display": "trees stand before what draws them, so neither can hold this",
    "nbdt.registry": "classifiers, inputs and data all find their members by it",
    "nbdt.classifiers.peft": "each library has its own file",
    "nbdt.hierarchy.convert": "the name that scripts know the formats by",
    "nbdt.cli.groups": "help imports this and nothing else of the command line",
    "nbdt.cli.demo": "a command is imported only when it runs",
    "nbdt.cli.verify": "a command is imported only when it runs",
}


@dataclass(frozen=True)
class Import:
    """One module that another one imports, and where."""

    importer: str
    imported: str
    line: int
    in_function: bool
    for_types: bool

    @property
    def package(self) -> str:
        return self.imported.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: imports {self.imported}"


def source_files(root: Path) -> dict[str, Path]:
    """The project's modules by dotted name; server/ is installed as nbdt.server."""
    files = {}
    for folder, package in (("nbdt", "nbdt"), ("server", "nbdt.server")):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            files[".".join([package, *parts]).removesuffix(".__init__")] = path
    return files


def imports_in(source: str, module: str, is_package: bool, modules: set[str]) -> Iterator[Import]:
    """All imports of a module's source; `from package import module` is one of that module."""
    tree = ast.parse(source)
    in_function = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
    }
    for_types = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING"
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *base.split(".")])
                base = base.rstrip(".")
            inside = [f"{base}.{alias.name}" for alias in node.names]
            targets = [full if full in modules else base for full in inside]
        else:
            continue
        for target in dict.fromkeys(targets):
            yield Import(
                module, target, node.lineno, id(node) in in_function, id(node) in for_types
            )


def all_imports(root: Path) -> list[Import]:
    files = source_files(root)
    return [
        found
        for module, path in files.items()
        for found in imports_in(
            path.read_text(encoding="utf-8"), module, path.stem == "__init__", set(files)
        )
    ]


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "public names"


def may_import(importer: str) -> set[str]:
    """The layers upstream of one, and itself."""
    allowed, pending = {importer}, [importer]
    while pending:
        for above in UPSTREAM.get(pending.pop(), ()):
            if above not in allowed:
                allowed.add(above)
                pending.append(above)
    return allowed


# ── the rules, each giving what breaks it ─────────────────────────────────────────────────────


def without_a_place(imports: list[Import]) -> list[str]:
    layers = {layer(found.importer): found.importer for found in imports}
    return [
        f"{name} ({module}) has no place in UPSTREAM"
        for name, module in layers.items()
        if name not in UPSTREAM
    ]


def against_the_flow(imports: list[Import]) -> list[str]:
    said = []
    for found in imports:
        allowed = may_import(layer(found.importer))
        if found.package == "nbdt" and layer(found.imported) not in allowed:
            said.append(f"{found}, but {layer(found.importer)!r} may import {sorted(allowed)}")
    return said


def in_a_ring(imports: list[Import]) -> list[str]:
    graph = nx.DiGraph((found.importer, found.imported) for found in imports)
    rings = [ring for ring in nx.strongly_connected_components(graph) if len(ring) > 1]
    return [
        *(f"import each other: {', '.join(sorted(ring))}" for ring in rings),
        *(f"{module} imports itself" for module in nx.nodes_with_selfloops(graph)),
    ]


def hidden_in_functions(imports: list[Import]) -> list[str]:
    # The command line starts the server, an extra, only where it is asked to.
    exempt = ("cli", "server")
    return [
        f"{found} inside a function, which only optional and slow packages need"
        for found in imports
        if found.in_function
        and not {found.package, found.imported} & (OPTIONAL | SLOW)
        and (layer(found.importer), layer(found.imported)) != exempt
    ]


def not_installed_by_default(imports: list[Import]) -> list[str]:
    allowed = sys.stdlib_module_names | CORE | {"nbdt"}
    return [
        f"{found} at the top, but it is not among the packages that are always installed"
        for found in imports
        if not (found.in_function or (found.for_types and found.package in OPTIONAL))
        and found.package not in allowed
        and not (layer(found.importer) == "server" and found.package in SERVER_EXTRA)
    ]


def torch_in_hierarchy(imports: list[Import]) -> list[str]:
    return [
        f"{found}, but a tree of classes is numpy and plain data"
        for found in imports
        if layer(found.importer) == "hierarchy" and found.package in {"torch", "torchvision"}
    ]


RULES = [
    without_a_place,
    against_the_flow,
    in_a_ring,
    hidden_in_functions,
    not_installed_by_default,
    torch_in_hierarchy,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_the_rule(rule) -> None:  # type: ignore[no-untyped-def]
    imports = all_imports(ROOT)
    assert len(imports) > 50
    broken = rule(imports)
    assert not broken, "\n".join(broken)


def test_the_layers_themselves_have_an_order() -> None:
    graph = nx.DiGraph((name, above) for name, above in UPSTREAM.items() for above in above)
    assert nx.is_directed_acyclic_graph(graph)
    assert set(graph) == set(UPSTREAM)


@pytest.mark.parametrize("name", ["utils", "util", "helpers", "helper", "common", "misc"])
def test_every_module_is_a_concept(name: str) -> None:
    named_so = [module for module in source_files(ROOT) if name in module.split(".")]
    assert not named_so, f"{named_so} is called after no concept"


def test_modules_have_the_size_of_a_concept() -> None:
    lines = {
        module: len(path.read_text(encoding="utf-8").splitlines())
        for module, path in source_files(ROOT).items()
        if path.stem != "__init__"
    }
    for kind, reasons, odd in (
        ("more than", LONG, {module for module, count in lines.items() if count > MAX_LINES}),
        ("fewer than", SHORT, {module for module, count in lines.items() if count < MIN_LINES}),
    ):
        found = {module: lines[module] for module in odd - set(reasons)}
        assert not found, f"{kind} the usual number of lines, without a reason here: {found}"
        assert not set(reasons) - odd, f"no exception any more: {set(reasons) - odd}"


def test_no_file_name_stands_for_three_concepts() -> None:
    rooms: dict[str, set[str]] = {}
    for module in source_files(ROOT):
        *package, name = module.split(".")
        if name not in COMMANDS or package[:2] != ["nbdt", "cli"]:
            rooms.setdefault(name, set()).add(".".join(package))
    assert not {name: found for name, found in rooms.items() if len(found) > 2}


# ── that the rules can be broken ──────────────────────────────────────────────────────────────


def broken_by(sources: dict[str, str], tmp_path: Path) -> dict[str, list[str]]:
    """What each rule says of a project of these files, where it says anything."""
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    imports = all_imports(tmp_path)
    return {rule.__name__: said for rule in RULES if (said := rule(imports))}


GOOD = {
    "nbdt/__init__.py": "from nbdt.model import NBDT",
    "nbdt/errors.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx",
    "nbdt/model.py": "import torch\nfrom nbdt import errors\nfrom nbdt.rules import soft",
    "nbdt/rules/__init__.py": "from nbdt.rules.soft import soft",
    "nbdt/rules/soft.py": "from ..errors import InputError\ndef soft():\n    import timm",
    "nbdt/hierarchy/tree.py": "import numpy as np\nfrom nbdt.errors import NBDTError",
    "nbdt/cli.py": "import nbdt\ndef serve():\n    from nbdt.server import app\n    import uvicorn",
    "server/__init__.py": "",
    "server/app.py": "import fastapi\nfrom nbdt.model import NBDT\nfrom . import settings",
    "server/settings.py": "import os",
}


def test_a_good_project_breaks_no_rule(tmp_path: Path) -> None:
    assert broken_by(GOOD, tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "text", "rules", "said"),
    [
        ("nbdt/rules/soft.py", "from nbdt.model import NBDT",
         {"against_the_flow", "in_a_ring"}, "nbdt.rules.soft, line 1: imports nbdt.model"),
        ("nbdt/rules/soft.py", "\nfrom .. import explain\n",
         {"against_the_flow", "in_a_ring"}, "rules.soft, line 2: imports nbdt, but 'rules' may"),
        ("nbdt/hierarchy/tree.py", "from typing import TYPE_CHECKING\n"
         "if TYPE_CHECKING:\n    from nbdt.model import NBDT",
         {"against_the_flow"}, "nbdt.hierarchy.tree, line 3: imports nbdt.model"),
        ("nbdt/errors.py", "import nbdt.server.app",
         {"against_the_flow", "in_a_ring"}, "nbdt.errors, line 1: imports nbdt.server.app"),
        ("nbdt/model.py", "def load():\n    from nbdt.rules import soft",
         {"hidden_in_functions"}, "nbdt.model, line 2: imports nbdt.rules.soft inside a function"),
        ("nbdt/model.py", "class A:\n    async def load(self):\n        import torch",
         {"hidden_in_functions"}, "nbdt.model, line 3: imports torch inside a function"),
        ("nbdt/model.py", "import timm",
         {"not_installed_by_default"}, "nbdt.model, line 1: imports timm at the top"),
        ("nbdt/model.py", "try:\n    import fastapi\nexcept ImportError:\n    pass",
         {"not_installed_by_default"}, "nbdt.model, line 2: imports fastapi at the top"),
        ("server/settings.py", "from nbdt.server import app", {"in_a_ring"},
         "import each other: nbdt.server.app, nbdt.server.settings"),
        ("server/settings.py", "from nbdt.server import settings", {"in_a_ring"},
         "nbdt.server.settings imports itself"),
        ("server/settings.py", "from nbdt.cli import main", {"against_the_flow", "in_a_ring"},
         "nbdt.server.settings, line 1: imports nbdt.cli"),
        ("nbdt/hierarchy/tree.py", "from torch import nn", {"torch_in_hierarchy"},
         "nbdt.hierarchy.tree, line 1: imports torch, but a tree"),
        ("nbdt/hierarchy/tree.py", "def f():\n    import torchvision.ops",
         {"torch_in_hierarchy", "hidden_in_functions"}, "line 2: imports torchvision.ops"),
        ("nbdt/widgets.py", "import numpy", {"without_a_place"}, "widgets (nbdt.widgets)"),
    ],
)  # fmt: skip
def test_a_bad_import_is_named(
    name: str, text: str, rules: set[str], said: str, tmp_path: Path
) -> None:
    broken = broken_by(GOOD | {name: text}, tmp_path)
    assert set(broken) == rules
    assert any(said in message for messages in broken.values() for message in messages)


def test_other_libraries_are_imported_when_they_are_needed() -> None:
    """With every extra installed, a torch network brings none of the other libraries."""
    code = f"""
import sys, torch, nbdt
tree = nbdt.induce(torch.nn.Linear(2, 3))
nbdt.NBDT(torch.nn.Linear(2, 3), tree).explain([[0.0, 1.0]])
print(*{{name for name in {sorted(OPTIONAL)} if name in sys.modules}})
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["pydantic"]
