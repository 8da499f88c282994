"""Bodies read as documents and forms: each refusal names the place, and none costs much."""

import pytest

from nbdt.errors import InputError
from nbdt.server.errors import TooLargeError
from nbdt.server.parsing import Instances, OnlyInstances, parse_files, read_document, sources_of


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not valid JSON"),
        (b"[" * 10_000, "nested too deeply"),
        (b'{"a": ' * 10_000, "nested too deeply"),
        (b"[NaN]", "the number NaN"),
        (b"[Infinity]", "the number Infinity"),
        (b"[1e999]", "64 bits cannot hold"),
        (b"[" + b"9" * 50 + b"]", "64 bits cannot hold"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b'\xff\xfe{\x00"', "UTF-16"),
        (b'"\xc3"', "not UTF-8"),
    ],
)
def test_json_is_read_strictly(body, said):
    with pytest.raises(InputError, match=said):
        read_document(Instances, body)


def test_the_body_has_to_be_an_object():
    with pytest.raises(InputError, match="must be a JSON object, got a list"):
        read_document(Instances, b"[]")


def test_there_may_be_so_many_instances():
    assert len(sources_of([[1.0]] * 3, 3)) == 3
    with pytest.raises(TooLargeError, match="4 rows; the limit is 3"):
        sources_of([[1.0]] * 4, 3)
    with pytest.raises(InputError, match="holds no row"):
        sources_of([], 3)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (Instances, b"{}", "the body lacks 'instances'"),
        (Instances, b'{"instances": null}', "instances: .*valid list"),
        (Instances, b'{"instances": {}}', "instances: .*valid list"),
        (OnlyInstances, b'{"instances": [], "rule": "hard"}', "the body has an unknown key 'rule'"),
    ],
)
def test_bodies_have_to_hold_instances(kind, body, said):
    with pytest.raises(InputError, match=said):
        read_document(kind, body)


def test_further_keys_are_ignored_where_a_protocol_allows_them():
    assert read_document(Instances, b'{"instances": [1], "more": 2}').instances == [1]


HEAD = b'Content-Disposition: form-data; name="image"; filename="../../etc/passwd"'
TYPE = "multipart/form-data; boundary=xx"


def form(*parts, end=b"--xx--\r\n"):
    return b"".join(b"--xx\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + end


def test_the_files_of_a_form_in_order():
    assert parse_files(form((HEAD, b"a\r\n--x"), (HEAD, b"")), TYPE, 2) == [b"a\r\n--x", b""]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (form((HEAD, b"a")), "multipart/form-data", "names no boundary"),
        (form((HEAD, b"a"), end=b""), TYPE, "truncated"),
        (b"", TYPE, "truncated"),
        (form((b'Content-Disposition: form-data; name="rule"', b"hard")), TYPE, "is not a file"),
        (form((b"X-Other: 1", b"hard")), TYPE, "is not a file"),
        (b"--yy\r\n", TYPE, "not valid"),
        (form((b"A" * 100_000 + b": b", b"c")), TYPE, "not valid"),
        (form((b"\r\n".join(b"X: y" for _ in range(1000)), b"c")), TYPE, "not valid"),
    ],
)
def test_forms_that_are_not_valid(body, kind, said):
    with pytest.raises(InputError, match=said):
        parse_files(body, kind, 3)


def test_a_form_may_have_so_many_files():
    with pytest.raises(TooLargeError, match="more than 3 files"):
        parse_files(form(*[(HEAD, b"")] * 4), TYPE, 3)
