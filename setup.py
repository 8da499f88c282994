"""Packaging of nbdt-toolkit; the import name is `nbdt`.

`hierarchies/` and `server/` stand at the top of the repository, where their readers look for them,
and are installed inside the package, as `nbdt.hierarchies` and `nbdt.server`, so that nothing of
these names lands at the top of a user's site-packages.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = "0.1.0"

EXTRAS = {
    "sklearn": ["skops>=0.13"],
    "timm": ["timm>=1.0"],
    "transformers": ["transformers>=4.50"],
    "onnx": ["onnx>=1.18", "onnxscript>=0.5", "onnxruntime>=1.22"],
    "attribution": ["captum>=0.8"],
    "logs": ["tensorboard>=2.18"],
    "serve": [
        "fastapi>=0.115",
        "fastapi-offline>=1.7",  # only for the files of Swagger UI
        "limits>=4",
        "prometheus-client>=0.21",
        "pydantic-settings>=2.7",
        "python-multipart>=0.0.20",
        "uvicorn>=0.54",  # its supervisor is extended
    ],
    "client": ["httpx>=0.28"],
    # Others' clients and training loops, with which the tests prove that nbdt gets along.
    "conformance": [
        "accelerate>=1.3",
        "kserve==0.21.*",
        "lightning>=2.5",
        "mlflow-skinny==3.17.*",
        "schemathesis>=4",
        "tritonclient[http]==2.73.*",
    ],
    "dev": [
        "axe-playwright-python>=0.1.7",
        "beartype>=0.21",
        "dendropy>=5",
        "hypothesis>=6.100",
        "ipykernel>=6.29",
        "ipython>=8.30",
        "jsonschema>=4.20",
        "mypy>=1.15",
        "nbclient>=0.10",
        "nbformat>=5.10",
        "playwright>=1.50",
        "pytest>=8.2",
        "pytest-cov>=5",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "ruff>=0.12",
        "setuptools>=77",
        "types-networkx>=3.4",
        # Classifiers and tables of others, which nbdt takes as they are.
        "catboost>=1.2",
        "lightgbm>=4.5",
        "magika>=1.0",
        "pandas>=2.2",
        "peft>=0.15",
        "polars>=1.20",
        "py3langid>=0.3",
        "pyarrow>=18",
        "skorch>=1.1",
        "torchao>=0.9",
        "xgboost>=2.1",
    ],
}
_OURS = {"conformance", "dev"}
EXTRAS["all"] = sorted({one for extra in EXTRAS.keys() - _OURS for one in EXTRAS[extra]})

# server/ and its folders, as nbdt.server
SERVER = ["nbdt.server", "nbdt.server.protocols"]

setup(
    name="nbdt-toolkit",
    version=VERSION,
    description="Turn any trained classifier into a decision tree whose every decision can be read",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "hierarchies/LICENSE-*"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["nbdt", "nbdt.*"]), "nbdt.hierarchies", *SERVER],
    package_dir={"nbdt": "nbdt", "nbdt.hierarchies": "hierarchies", "nbdt.server": "server"},
    package_data={
        "nbdt": [
            "py.typed",
            "explain/*.json",
            "report/templates/*",
            "view/*.css",
            "view/svg/*.css",
            "view/html/*.css",
            "view/html/script/*.js",
            "view/html/templates/*.html",
        ],
        "nbdt.server": ["web/*"],
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
        "pydantic>=2.12",
        "jinja2>=3.1",
        "typer>=0.20",
        "rich>=13.7",
        "jaxtyping>=0.3",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["nbdt = nbdt.cli:main"]},
)
