import base64
import io
from pathlib import Path

from PIL import Image

from nbdt.data import LabelledImages
from nbdt.data.sources import ImageFiles
from nbdt.inputs.image import Preprocessing
from nbdt.report.album import SIZE, Album


def test_pictures_are_small_and_counted(tmp_path: Path) -> None:
    paths = []
    for shade in range(3):
        folder = tmp_path / "secret" / str(shade)
        folder.mkdir(parents=True)
        Image.new("RGB", (900, 600), (shade, 9, 9)).save(folder / "a<b.jpg")
        paths.append(folder / "a<b.jpg")
    data = LabelledImages(ImageFiles(paths), [0, 1, 0], ["x<y", "z"], Preprocessing())
    album = Album(data, most=4)
    address = album.address(0)
    assert address is not None
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert image.size == (2 * SIZE, round(2 * SIZE * 2 / 3))
    assert album.address(0) == address
    thumbnail = album.thumbnail(1)
    assert thumbnail is not None
    assert 'alt="z, sample 1, a&lt;b.jpg"' in thumbnail
    captioned = album.captioned(2)
    assert captioned is not None
    assert "<figcaption><bdi>x&lt;y</bdi></figcaption>" in captioned
    assert (album.used, album.left) == (4, 0)
    assert album.characters > 2 * len(address)
    assert (album.address(0), album.thumbnail(1), album.captioned(2)) == (None, None, None)
    assert album.used == 4
    # Where the files lie is nobody's business.
    assert "secret" not in thumbnail + captioned + album.sample_name(0)


def test_pictures_without_files_are_called_by_their_place() -> None:
    data = LabelledImages([Image.new("L", (4, 4))], [0], ["x"], Preprocessing(mode="L"))
    assert Album(data, most=1).sample_name(0) == "sample 0"
