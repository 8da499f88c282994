"""The pictures of the pages and notebooks in this folder, taken in a real browser.

    NBDT_DATA=FOLDER python docs/images/make.py

NBDT_DATA names the folder with `weights/`, `imagenet_samples/` and `cifar10_jpeg/` (default:
../shared/data). The browser is the program that CHROME names, or else chromium. None of the
photographs is in a picture, as their makers have not said that they may be passed on.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from safetensors.torch import load_file

import nbdt
from nbdt.classifiers import build
from nbdt.data import load_dataset, open_image
from nbdt.inputs.image import Preprocessing
from nbdt.view.html import to_html
from nbdt.view.notebook import compare

HERE = Path(__file__).parent
CAT, CAR, FROG = 3021, 1004, 6007  # test images of CIFAR-10
FOX = "n02119789"  # a kit fox

NOTEBOOK = {"viewport": {"width": 990, "height": 200}}
# What a notebook puts around the result of a cell.
CELL = """<!DOCTYPE html><meta charset="utf-8"><body style="margin: 20px; font: 14px sans-serif">
<pre style="background: #f5f5f5; border: 1px solid #e0e0e0; padding: 8px">{code}</pre>{output}"""


def network(builder: str, classes: int, weights: Path) -> Any:
    """A pretrained network."""
    built = build(builder, num_classes=classes)
    built.load_state_dict(load_file(weights))
    return built.eval()


def pages(data: Path) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """The HTML of every picture, with how its browser is set."""
    resnet = network("nbdt:cifar-resnet20", 10, data / "weights" / "cifar10_resnet20.safetensors")
    tree = nbdt.load_hierarchy("cifar10/resnet20")
    cifar = load_dataset("cifar10_jpeg", "test", root=data).with_preprocessing(
        Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    )
    model = nbdt.NBDT(resnet, tree)
    inputs = [cifar[index][0][None] for index in (CAT, CAR, FROG)]
    explained = [model.explain(one)[0] for one in inputs]
    captions = [f"test image {index}" for index in (CAT, CAR, FROG)]

    mobilenet = network(
        "torchvision:mobilenet_v2", 1000, data / "weights" / "imagenet_mobilenet_v2.safetensors"
    )
    preprocessing = Preprocessing(
        resize=256, crop=224, mean=(128 / 255,) * 3, std=(128 / 255,) * 3, rotate=180
    )
    large = nbdt.load_hierarchy("imagenet1k/mobilenet_v2")
    photograph = open_image(data / "imagenet_samples" / f"{FOX}.jpg")
    fox = nbdt.NBDT(mobilenet, large).explain(preprocessing(photograph)[None])

    ten = to_html(tree, explained, captions=captions, title="Three images, explained")
    thousand = to_html(large, fox, captions=["a photograph of a kit fox"])
    dark, phone = {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}
    mean = nbdt.NBDT(resnet, tree, score="mean").explain(inputs[0])[0]
    both = compare(
        (tree, explained[0]),
        (tree, mean),
        titles=["score logsumexp", "score mean"],
    )
    return {
        "page-10-light": (ten, {}),
        "page-10-phone": (ten, phone),
        "page-1000-light": (thousand, {}),
        "page-1000-dark": (thousand, dark),
        "notebook-explanation": (cell("model.explain(image)[0]", explained[0]), NOTEBOOK),
        "notebook-compare": (cell("nbdt.view.compare(one, other)", both), NOTEBOOK),
    }


def cell(code: str, result: Any) -> str:
    """A notebook's cell and what it shows."""
    return CELL.format(code=code, output=result._repr_mimebundle_()["text/html"])


def take(
    browser: Browser, name: str, html: str, settings: Mapping[str, Any], scratch: Path
) -> None:
    """Opens a page and takes its picture."""
    file = scratch / f"{name}.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page(**({"viewport": {"width": 1280, "height": 820}} | dict(settings)))
    page.goto(file.as_uri())
    target = HERE / f"{name}.png"
    page.screenshot(path=target, full_page=name.startswith("notebook"))
    page.close()
    # A few colors suffice for a page, and make the file a third as large.
    with Image.open(target) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Takes all pictures."""
    data = Path(os.environ.get("NBDT_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (data / "weights").is_dir():
        sys.exit(f"{data} holds no weights/; set NBDT_DATA to the folder with weights and images.")
    program = os.environ.get("CHROME") or shutil.which("chromium")
    with sync_playwright() as engine, tempfile.TemporaryDirectory() as scratch:
        browser = engine.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (html, settings) in pages(data).items():
            take(browser, name, html, settings, Path(scratch))
        browser.close()


if __name__ == "__main__":
    main()
