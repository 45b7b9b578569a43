"""Headers that would keep Python busy for minutes, or lead it backwards, are refused before the library sees them."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listings.problems import ProblemError
from tests.images_by_hand import digest_of, entry, file, tar
from workers.images import Limits
from workers.images.layer import read_layer
from workers.pax import MOST_DIGITS, CheckedHeader, require_records
from workers.sources.members import Limits as SourceLimits
from workers.sources.members import members

DAMAGED = {
    "digits in a row": b"40000 comment=" + b"1" * 39985 + b"\n",
    "records shorter than any": b"2 " * 1000 + b"2 k=",
    "no newline": b"9 path=ab",
    "a length beyond the end": b"99 path=a\n",
    "no keyword": b"6 =ab\n",
    "no value": b"8 pathA\n",
    "no length": b"path=a\n",
    "a length of nothing": b"0 path=a\n",
}


def extended(header: bytes, kind: bytes = tarfile.XHDTYPE) -> list[tuple[tarfile.TarInfo, bytes]]:
    info = entry("PaxHeaders/a", kind=kind)
    info.size = len(header)
    return [(info, header), file("a", b"content")]


def negative(size: int) -> bytes:
    """An archive of one entry that claims ``size`` bytes, which a header writes in base 256."""
    info = entry("a")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" + size.to_bytes(11, "big", signed=True)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(10240)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
@pytest.mark.parametrize("header", DAMAGED.values(), ids=DAMAGED)
def test_damaged_extended_headers_are_refused(header: bytes, kind: bytes) -> None:
    blob = tar(extended(header, kind))
    with pytest.raises(ProblemError) as of_layer:
        read_layer(io.BytesIO(blob), digest_of(blob), Limits(), check=lambda: None)
    assert of_layer.value.code == "IMAGE-LAYER-UNREADABLE"
    with pytest.raises(ProblemError) as of_source:
        list(members(io.BytesIO(blob), len(blob), SourceLimits(bytes=1 << 30, files=100), lambda: None))
    assert of_source.value.code == "SOURCE-NOT-ARCHIVE"


@pytest.mark.parametrize("size", [-1, -511, -512, -1024, -(2**60)])
def test_entries_of_negative_size_are_refused(size: int) -> None:
    blob = negative(size)
    with pytest.raises(ProblemError) as caught:
        read_layer(io.BytesIO(blob), digest_of(blob), Limits(), check=lambda: None)
    assert caught.value.code == "IMAGE-LAYER-UNREADABLE"


@pytest.mark.parametrize("size", [-1, -511, -512, -1536])
def test_negative_sizes_of_extended_headers_are_refused(size: int) -> None:
    record = b" size=%d\n" % size
    length = len(record) + 2
    blob = tar(extended(b"%d%s" % (length, record)))
    with pytest.raises(ProblemError) as caught:
        read_layer(io.BytesIO(blob), digest_of(blob), Limits(), check=lambda: None)
    assert caught.value.code == "IMAGE-LAYER-UNREADABLE"


WORDS = st.text("abcXYZ.-", min_size=1, max_size=20)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)


@given(st.dictionaries(WORDS, VALUES, max_size=5))
def test_what_the_library_writes_is_read_as_before(headers: dict[str, str]) -> None:
    info = tarfile.TarInfo("d/" * 80 + "9" * 255)
    info.pax_headers = headers
    blob = info.tobuf(tarfile.PAX_FORMAT) + bytes(10240)
    with (
        tarfile.open(fileobj=io.BytesIO(blob), tarinfo=CheckedHeader) as ours,
        tarfile.open(fileobj=io.BytesIO(blob)) as real,
    ):
        found, plain = ours.next(), real.next()
    assert found is not None
    assert plain is not None
    assert (found.name, found.pax_headers) == (plain.name, plain.pax_headers)


def test_as_many_digits_as_a_name_may_have_are_no_damage() -> None:
    require_records(b"%d path=%s\n" % (MOST_DIGITS + 10, b"9" * MOST_DIGITS))
