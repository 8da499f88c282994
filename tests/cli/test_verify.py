import json

import pytest

from nbdt.files import file_sha256
from nbdt.pretrained import CONFIG, SEAL, WEIGHTS
from tests.cli.conftest import refused


def test_every_byte_is_covered_by_one_hash(run, ask, own):
    root = file_sha256(own / CONFIG)
    document = ask("verify", own)
    assert document["root_hash"] == root
    assert document["files"][WEIGHTS] == file_sha256(own / WEIGHTS)
    result = run("verify", own, "--expect", root[:12].upper())
    assert result.exit_code == 0
    assert root in result.stdout
    refused(run("verify", own, "--expect", "0" * 64), f"the root hash is {root}, not 000")
    refused(run("verify", own, "--expect", "cat"), "takes 12 to 64 hexadecimal digits")
    with (own / WEIGHTS).open("ab") as file:
        file.write(b" ")
    refused(run("verify", own), "is not the one that was saved")


@pytest.mark.parametrize("damage", ["config", "seal"])
def test_edits_by_hand_are_taken_when_asked(run, own, damage):
    if damage == "config":
        document = json.loads((own / CONFIG).read_text())
        document["preprocessing"]["mean"] = [0.5]
        (own / CONFIG).write_text(json.dumps(document))
    else:
        (own / SEAL).unlink()
    refused(run("verify", own), "nbdt verify --reseal")
    result = run("verify", own, "--reseal")
    assert result.exit_code == 0
    assert "took config.json as they are now" in result.stderr
    assert "nothing had changed" in run("verify", own, "--reseal").stderr
