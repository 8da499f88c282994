"""Keys: who has one is let in, as often as it allows; files that are not valid are refused."""

import asyncio
import json

import pytest

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.server.errors import RateLimitError
from nbdt.server.keys import Key, KeyRing, new_key, read_keys

DIGEST = "0" * 64


def test_a_new_key_opens_and_is_not_kept():
    secret, entry = new_key("team-a")
    other, _ = new_key("team-a")
    assert secret != other
    assert len(secret) > 40
    assert secret not in json.dumps(entry)
    ring = KeyRing([Key(name="team-b", sha256=DIGEST), Key(**entry)])
    assert ring.find(secret).name == "team-a"
    for wrong in (other, "", DIGEST, entry["sha256"], "\udcff", "ä"):
        assert ring.find(wrong) is None


@pytest.mark.parametrize("name", ["team a", "", "-a", "ä", "a" * 101])
def test_a_name_that_the_file_could_not_hold_gets_no_key(name):
    with pytest.raises(InputError, match="a key's name must consist of letters"):
        new_key(name)


def test_all_keys_are_compared_in_full(monkeypatch):
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append(a) or a == b)
    secret, entry = new_key("first")
    KeyRing([Key(**entry), Key(name="second", sha256=DIGEST)]).find(secret)
    assert len(compared) == 2


def test_a_key_may_be_used_so_often():
    async def main():
        key = Key(name="a", sha256=DIGEST, rate="3/minute")
        ring = KeyRing([key, Key(name="b", sha256=DIGEST)])
        for _ in range(3):
            await ring.count(key)
        with pytest.raises(RateLimitError, match="may be used 3/minute") as caught:
            await ring.count(key)
        assert 50 < caught.value.retry_after <= 61
        for _ in range(10):
            await ring.count(Key(name="b", sha256=DIGEST))

    asyncio.run(main())


def test_keys_that_are_replaced_stay_counted():
    async def main():
        key = Key(name="a", sha256=DIGEST, rate="3/minute")
        ring = KeyRing([key])
        for _ in range(3):
            await ring.count(key)
        secret, entry = new_key("b")
        assert ring.find(secret) is None
        ring.replace([key, Key(**entry)])
        assert ring.find(secret).name == "b"
        with pytest.raises(RateLimitError):
            await ring.count(key)
        ring.replace([key])
        assert ring.find(secret) is None

    asyncio.run(main())


def test_a_file_of_keys(tmp_path):
    path = tmp_path / "keys.json"
    secret, entry = new_key("a")
    path.write_text(json.dumps({"keys": [entry | {"rate": "5/second", "admin": True}]}))
    key = KeyRing(read_keys(path)).find(secret)
    assert (key.rate, key.admin) == ("5/second", True)
    with pytest.raises(NotFoundError):
        read_keys(tmp_path / "nope.json")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "expected {"),
        ({"keys": []}, "nobody would be let in"),
        ({"keys": [3]}, r"keys\[0\]"),
        (
            {"keys": [{"name": "a", "sha256": DIGEST, "secret": 1}]},
            r"keys\[0\] has an unknown key 'secret'",
        ),
        ({"keys": [{"name": "a b", "sha256": DIGEST}]}, r"keys\[0\]\.name"),
        ({"keys": [{"name": "a", "sha256": "abc"}]}, r"keys\[0\]\.sha256"),
        ({"keys": [{"name": "a", "sha256": DIGEST, "admin": 1}]}, r"keys\[0\]\.admin"),
        ({"keys": [{"name": "a", "sha256": DIGEST, "rate": "often"}]}, r"keys\[0\]\.rate"),
        ({"keys": [{"name": "a", "sha256": DIGEST, "rate": 3}]}, r"keys\[0\]\.rate"),
        (
            {"keys": [{"name": "a", "sha256": DIGEST, "rate": "600 per minute; 1/second"}]},
            r"keys\[0\]\.rate",
        ),
        ({"keys": [{"name": "a", "sha256": DIGEST}] * 2}, "two entries with the same name"),
    ],
)
def test_files_that_are_not_valid(tmp_path, document, said):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=said):
        read_keys(path)
