import json
import shutil

import pytest

from nbdt.data import load_dataset
from nbdt.model import NBDT
from nbdt.pretrained import read_model
from nbdt.report import Origin, report
from nbdt.selective import read_calibration
from tests.cli.conftest import is_one_sentence, refused


@pytest.fixture
def page(tmp_path):
    """What report.html says, or another file."""
    return lambda name="report.html": (tmp_path / name).read_text(encoding="utf-8")


def test_it_writes_what_the_library_makes(run, model, images, page):
    result = run("report", model, images, "-o", "page.html", "--note", "Date=1 July 2026")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Wrote page.html: measured 20 images.\n"
    loaded = NBDT.from_pretrained(model)
    config = read_model(model).config
    origin = Origin(
        model="digits",
        data=str(images),
        files={name: record.sha256 for name, record in config.files.items()},
        versions=config.versions,
        command=f"nbdt report {model} {images} '--note=Date=1 July 2026'",
        notes={"Date": "1 July 2026"},
    )
    expected = report(loaded, load_dataset(images, classes=loaded.classes), origin=origin)
    assert page("page.html") == expected


def test_options_reach_the_report_and_its_command(run, own, images, page):
    refused(run("report", "own", images, "--guarantee", 0.9), "is not calibrated; run nbdt")
    assert run("calibrate", "own", images, "--guarantee", 0.9).exit_code == 0
    options = ["--partial", "--part=1/1", "--rule=soft", "--guarantee=0.9", "--pictures=3"]
    result = run("report", "own", images, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"nbdt report own {images} {' '.join(options)}</code>" in page()
    assert page().count("data:image/") == 3
    assert "at least 90 % of answers contain the true class" in page()
    assert f"{read_calibration('own').samples} samples, " in page()
    assert "needs the soft rule" not in page()
    assert run("report", "own", images).exit_code == 0  # 20 samples are enough for 95 %
    assert run("report", "own", images, "--rule", "hard").exit_code == 0
    assert "needs the soft rule" in page()
    for options, said in (
        (["--guarantee", 0.99], "needs at least 99 calibration samples"),
        (["--guarantee", 2], "must be a share between 0 and 1, such as 0.95; got 2.0"),
        (["--guarantee", 0.9, "--rule", "hard"], "needs the soft rule"),
    ):
        refused(run("report", "own", images, *options), said)


def test_an_image_that_cannot_be_read_is_named_and_left_out(run, model, copied, page):
    bad = copied / "five" / "1.png"
    bad.write_bytes(b"no image")
    result = run("report", model, copied, "-o", "page.html", "--json")
    assert (result.exit_code, is_one_sentence(result.stderr)) == (1, True)
    assert result.stderr.count("1.png") == 1
    document = json.loads(result.stdout)
    ((name, reason),) = document.pop("failed").items()
    assert (name, reason.startswith("this is not an image")) == (str(bad), True)
    assert document == {
        "model": str(model), "data": str(copied), "output": "page.html", "samples": 19
    }  # fmt: skip
    # The page itself goes to others, whom the folders of this machine do not concern.
    assert str(bad.parent) not in page("page.html")
    assert "1.png: this is not an image" in page("page.html")
    assert "1 of 20 images could not be read" in page("page.html")


def test_classes_may_have_no_subfolder_if_that_is_said(run, model, copied, page, tmp_path):
    shutil.rmtree(copied / "nine")
    refused(run("report", model, copied), "1 without a subfolder (nine)")
    assert not (tmp_path / "report.html").exists()
    assert run("report", model, copied, "--partial").exit_code == 0
    assert "1 of 10 classes has no sample" in page()


def test_what_cannot_be_begun_is_refused_first(run, model, images):
    for arguments, said in (
        (["--note", "Date"], "--note takes WHAT=TEXT, such as Date=2026-07-01; got 'Date'"),
        (["-o", "gone/page.html"], "gone/page.html: the folder for this file does not exist"),
        (["--pictures", -1], "--pictures"),
    ):
        refused(run("report", model, images, *arguments), said)
