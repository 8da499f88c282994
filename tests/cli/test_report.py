import json
import shutil
from pathlib import Path

import pytest

from nbdt.data import load_dataset
from nbdt.model import NBDT
from nbdt.pretrained import read_model
from nbdt.report import Origin, report
from nbdt.selective import read_calibration
from tests.cli.conftest import Run, is_one_sentence


@pytest.fixture
def copied(images: Path, tmp_path: Path) -> Path:
    """The labelled images, to be changed."""
    shutil.copytree(images, tmp_path / "data")
    return tmp_path / "data"


def test_it_writes_what_the_library_makes(
    run: Run, model: Path, images: Path, tmp_path: Path
) -> None:
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
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == expected


def test_options_reach_the_report_and_its_command(
    run: Run, model: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "digits")
    assert run("calibrate", "digits", images, "--guarantee", 0.9).exit_code == 0
    options = ["--partial", "--part=1/1", "--rule=soft", "--guarantee=0.9", "--pictures=3"]
    result = run("report", "digits", images, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"nbdt report digits {images} {' '.join(options)}</code>" in page
    assert page.count("data:image/") == 3
    assert "at least 90 % of answers contain the true class" in page
    assert f"{read_calibration('digits').samples} samples, " in page

    result = run("report", "digits", images)  # 20 samples are 19 and more, enough for 95 %
    assert result.exit_code == 0
    result = run("report", "digits", images, "--guarantee", 0.99)
    assert result.exit_code == 2
    assert "needs at least 99 calibration samples" in result.stderr
    assert "needs the soft rule" not in page
    assert run("report", "digits", images, "--rule", "hard").exit_code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "needs the soft rule" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--guarantee", 2),
            "has to be a share between 0 and 1, such as 0.95; got 2.0",
        ),
        (("--guarantee", 0.9), "digits is not calibrated; run nbdt calibrate"),
    ],
)
def test_a_guarantee_that_nothing_comes_of_is_refused(
    run: Run, model: Path, images: Path, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    shutil.copytree(model, tmp_path / "digits")
    result = run("report", "digits", images, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert run("calibrate", "digits", images, "--guarantee", 0.9).exit_code == 0
    result = run("report", "digits", images, "--guarantee", 0.9, "--rule", "hard")
    assert "needs the soft rule" in result.stderr


def test_a_data_set_can_be_named(run: Run, model: Path, tmp_path: Path) -> None:
    result = run("report", model, "digits", "--pictures", 0)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "450 images · 10 classes" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_json_says_what_was_written(run: Run, model: Path, copied: Path, tmp_path: Path) -> None:
    (copied / "five" / "1.png").write_bytes(b"no image")
    result = run("report", model, copied, "-o", "page.html", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    failed = document.pop("failed")
    assert document == {
        "model": str(model), "data": str(copied), "output": "page.html", "samples": 19
    }  # fmt: skip
    assert list(failed) == [str(copied / "five" / "1.png")]
    assert failed[str(copied / "five" / "1.png")].startswith("this is not an image")
    # The page itself goes to others, whom the folders of this machine do not concern.
    assert f"{copied / 'five'}" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "1.png: this is not an image" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_an_image_that_cannot_be_read_is_named_and_left_out(
    run: Run, model: Path, copied: Path, tmp_path: Path
) -> None:
    (copied / "five" / "1.png").write_bytes(b"no image")
    result = run("report", model, copied)
    assert result.exit_code == 1
    assert is_one_sentence(result.stderr)
    assert result.stderr.count("1.png") == 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "1 of 20 images could not be read" in page


def test_classes_may_have_no_subfolder_if_that_is_said(
    run: Run, model: Path, copied: Path, tmp_path: Path
) -> None:
    shutil.rmtree(copied / "nine")
    result = run("report", model, copied)
    assert result.exit_code == 2
    assert "1 without a subfolder (nine)" in result.stderr
    assert not (tmp_path / "report.html").exists()
    assert run("report", model, copied, "--partial").exit_code == 0
    assert "1 of 10 classes has no sample" in (tmp_path / "report.html").read_text("utf-8")


def test_what_cannot_be_begun_is_refused_first(run: Run, model: Path, images: Path) -> None:
    for arguments, said in (
        (["--note", "Date"], "--note takes WHAT=TEXT, such as Date=2026-07-01; got 'Date'"),
        (["-o", "gone/page.html"], "gone/page.html: the folder for this file does not exist"),
    ):
        result = run("report", model, images, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr
        assert is_one_sentence(result.stderr)
    assert run("report", model, images, "--pictures", -1).exit_code == 2
