"""Packaging of nbdt-toolkit; the import name is `nbdt`.

`hierarchies/` stands at the top of the repository, where its readers look for it, and is installed
inside the package, as `nbdt.hierarchies`, so that nothing of that name lands at the top of a
user's site-packages.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = "0.1.0"

EXTRAS = {
    "timm": ["timm>=1.0"],
    "text": ["transformers>=4.50"],
    "export": ["onnx>=1.18", "onnxscript>=0.5", "onnxruntime>=1.22"],
    "dev": [
        "beartype>=0.21",
        "hypothesis>=6.100",
        "jsonschema>=4.20",
        "mypy>=1.15",
        "pytest>=8.2",
        "pytest-cov>=5",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "ruff>=0.12",
        "setuptools>=77",
        "types-networkx>=3.4",
    ],
}

setup(
    name="nbdt-toolkit",
    version=VERSION,
    description="Turn any trained classifier into a decision tree whose every decision can be read",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "hierarchies/LICENSE-*"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["nbdt", "nbdt.*"]), "nbdt.hierarchies"],
    package_dir={"nbdt": "nbdt", "nbdt.hierarchies": "hierarchies"},
    package_data={
        "nbdt": ["py.typed", "explain/*.json"],
        "nbdt.hierarchies": ["*/*.json", "*/*.csv", "*.md", "LICENSE-*"],
    },
    install_requires=[
        "torch>=2.10",
        "torchvision>=0.25",
        "numpy>=2.0",
        "scipy>=1.14",
        "scikit-learn>=1.6",
        "networkx>=3.3",
        "graphviz>=0.20",
        "pillow>=11",
        "safetensors>=0.5",
        "typer>=0.20",
        "rich>=13.7",
        "jaxtyping>=0.3",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["nbdt = nbdt.cli:main"]},
)
