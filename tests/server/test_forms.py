"""Forms with files, taken apart within limits."""

import pytest

from nbdt.errors import InputError
from nbdt.server.errors import TooLargeError
from nbdt.server.forms import parse_files

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
        (form((HEAD, b"a"), end=b""), TYPE, "cut short"),
        (b"", TYPE, "cut short"),
        (form((b'Content-Disposition: form-data; name="rule"', b"hard")), TYPE, "is no file"),
        (form((b"X-Other: 1", b"hard")), TYPE, "is no file"),
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
