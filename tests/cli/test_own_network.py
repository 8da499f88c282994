import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nbdt.classifiers import own_network
from nbdt.errors import InputError
from nbdt.hierarchy.shapes import flat
from nbdt.model import NBDT
from nbdt.pretrained import own_arguments
from tests.cli.conftest import refused

CODE = """
from torch import nn
from neighbour import WIDTH

class Mine(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.hidden = nn.Linear(64, width)
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        return self.out(self.hidden(x.flatten(1)).relu())

def build(width=WIDTH):
    return Mine(width)

def nothing():
    return "a network"

def broken():
    raise RuntimeError("out of paint\\nand more")

NAME = "mine"
"""


@pytest.fixture
def source(run, tmp_path):
    """The file of a network, and its weights in weights.safetensors."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "neighbour.py").write_text("WIDTH = 5\n")
    (folder / "mine.py").write_text(CODE)
    (folder / "wrong.py").write_text("def build(:\n")
    torch.manual_seed(0)
    save_file(own_network("code/mine.py:build").state_dict(), tmp_path / "weights.safetensors")
    return "code/mine.py:build"


def test_it_becomes_a_model_that_commands_can_use(run, source, tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\ncar\n")
    steps = ["--preprocessing", '{"mode": "L", "resize": [8, 8]}']
    options = ["--classes", "classes.txt", *steps, "-o", "model"]
    result = run("convert", source, "--weights", "weights.safetensors", *options)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith(f"nbdt explain model IMAGE … --network {source}\n")
    network = own_network(source)
    model = NBDT.from_pretrained("model", network=network)
    assert model.provenance["network"] == "mine.py:build"
    assert model.classes == ("cat", "dog", "car")
    for name in model.classes:
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 99).save(tmp_path / "photos" / name / "grey.png")
    refused(
        run("explain", "model", "photos/cat/grey.png"), "give a command --network mine.py:build"
    )
    refused(run("evaluate", "model", "photos"), "give a command --network mine.py:build")
    with pytest.raises(InputError, match=r"own_network\('mine.py:build'\)\."):
        NBDT.from_pretrained("model")
    pixels = torch.full((1, 1, 8, 8), 99 / 255)
    result = run("explain", "model", "photos/cat/grey.png", "--network", source)
    assert model.explain(pixels)[0].prediction_name in result.stdout
    for command in (
        "evaluate model photos",
        "calibrate model photos --guarantee 0.5",
        "train model photos --epochs 1 --hold-out 0 -o tuned",
        "tree support model --count 2",
    ):
        result = run(*command.split(), "--network", source)
        assert result.exit_code == 0, result.stderr


def test_its_arguments_are_remembered(run, source, tmp_path):
    network = own_network(source, width=7)
    save_file(network.state_dict(), tmp_path / "wide.safetensors")
    options = ["--argument", "width=7", "--classes", "cat,dog,car", "-o", "model"]
    steps = ["--preprocessing", '{"mode": "L", "resize": [8, 8]}']
    assert run("convert", source, "--weights", "wide.safetensors", *options, *steps).exit_code == 0
    Image.new("L", (8, 8), 99).save("grey.png")
    assert run("explain", "model", "grey.png", "--network", source).exit_code == 0
    with pytest.raises(InputError, match=r"own_network\('mine.py:build', width=7\)\."):
        NBDT.from_pretrained("model")


def test_a_model_made_in_python_remembers_its_source_and_takes_only_numbers(source, tmp_path):
    NBDT(own_network(source), flat(3)).save_pretrained("model")
    with pytest.raises(
        InputError, match=r"was made from mine\.py:build, whose code is run only if"
    ):
        NBDT.from_pretrained("model")
    for arguments, taken in (
        ({"width": 7, "path": "/etc/passwd", "wide": True}, {"width": 7, "wide": True}),
        (["width"], {}),
    ):
        model = NBDT(own_network(source), flat(3))
        model.provenance = {"arguments": arguments}
        model.save_pretrained("model")
        assert own_arguments("model") == taken
    model.provenance = {"network": "os.system('x')", "arguments": {"width": 7}}
    model.save_pretrained("model")
    assert own_arguments("model") == {}
    with pytest.raises(InputError, match="does not say how its network is built"):
        NBDT.from_pretrained("model")


@pytest.mark.parametrize(("wrong", "said"), [
    ("code/gone.py:build", "code/gone.py: no such file"),
    ("code/mine.py:Build", "code/mine.py: it has no function 'Build'"),
    ("code/mine.py:NAME", "it has no function 'NAME'"),
    ("code/mine.py", "a network of your own is FILE.py:FUNCTION, got 'code/mine.py'"),
    ("code/mine.py:a b", "a network of your own is FILE.py:FUNCTION, got"),
    ("code/mine.py:nothing", "code/mine.py:nothing returned str; expected a network"),
    ("code/mine.py:broken", "code/mine.py: broken failed: RuntimeError: out of paint"),
    ("code/wrong.py:build", "code/wrong.py: build failed: SyntaxError: "),
])  # fmt: skip
@pytest.mark.usefixtures("source")
def test_what_gives_no_network_is_told_in_one_sentence(wrong, said, run):
    refused(run("convert", wrong, "--weights", "weights.safetensors", "-o", "model"), said)


def test_files_do_not_get_each_others_neighbours(tmp_path):
    for name, width in (("one", 3), ("two", 4)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "neighbour.py").write_text(f"WIDTH = {width}\n")
        (tmp_path / name / "mine.py").write_text(CODE)
    found = [own_network(f"{tmp_path / name}/mine.py:build") for name in ("one", "two")]
    assert [network.hidden.out_features for network in found] == [3, 4]
    assert own_network(f"{tmp_path}/one/mine.py:build", width=7).hidden.out_features == 7
    assert not {"mine", "neighbour"} & set(sys.modules)
    (tmp_path / "one" / "neighbour.py").write_text("WIDTH = 50\n")
    assert own_network(f"{tmp_path}/one/mine.py:build").hidden.out_features == 50
