"""How a layer's bytes are read: ahead of their reader, and forward only."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listings.problems import ProblemError
from tests.images_by_hand import digest_of, file, tar
from workers.images import Limits
from workers.images.ahead import DEPTH, ReadAhead
from workers.images.layer import read_layer
from workers.images.streams import CHUNK, ForwardFile


class Pieces:
    """A source that gives its bytes a few at a time, and raises where it is told to."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)
        self.reads = 0

    def read(self, size: int) -> bytes:
        self.reads += 1
        found = self._pieces.pop(0) if self._pieces else b""
        if isinstance(found, Exception):
            raise found
        assert len(found) <= size
        return found


def ahead_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


class TestReadAhead:
    def test_gives_what_its_source_gives_to_the_end_and_then_nothing(self) -> None:
        with ReadAhead(Pieces(b"abc", b"de")) as reader:
            assert [reader.read(2), reader.read(2), reader.read(2)] == [b"ab", b"c", b"de"]
            assert [reader.read(2), reader.read(2)] == [b"", b""]

    def test_raises_what_its_source_raises_each_time_and_only_after_what_came_before(self) -> None:
        with ReadAhead(Pieces(b"abc", OSError("the line is cut"))) as reader:
            assert reader.read(9) == b"abc"
            for _ in range(2):
                with pytest.raises(OSError, match="the line is cut"):
                    reader.read(9)

    def test_reads_no_further_ahead_than_it_may(self) -> None:
        source = Pieces(*[b"x"] * 100)
        with ReadAhead(source) as reader:
            assert reader.read(1) == b"x"
        # One was taken, so that there was room for one more; leaving makes room for a last one.
        assert source.reads <= DEPTH + 2

    def test_nobody_reads_the_source_once_it_is_left(self) -> None:
        source = Pieces(*[b"x"] * 100)
        with pytest.raises(KeyError), ReadAhead(source):
            raise KeyError
        before = source.reads
        assert not ahead_threads()
        assert source.reads == before


class TestForwardFile:
    @given(
        st.binary(max_size=300), st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=20), st.integers(1, 60)
    )
    def test_reads_and_seeks_as_a_file_does(self, content: bytes, moves: list[tuple[bool, int]], piece: int) -> None:
        pieces = [content[start : start + piece] for start in range(0, len(content), piece)]
        ours, real = ForwardFile(Pieces(*pieces)), io.BytesIO(content)
        for is_read, count in moves:
            if is_read:
                assert ours.read(count) == real.read(count)
            else:
                # Beyond the end there is nothing to stand on.
                real.seek(min(real.tell() + count, len(content)))
                assert ours.seek(ours.tell() + count) == real.tell()
            assert ours.tell() == real.tell()

    def test_there_is_no_way_back(self) -> None:
        source = ForwardFile(Pieces(b"abcdef"))
        source.read(4)
        with pytest.raises(tarfile.StreamError):
            source.seek(3)


class TestLayers:
    def test_entries_across_many_chunks_are_all_there(self) -> None:
        items = [file(f"f{number}", bytes([number]) * (CHUNK // 3 + number)) for number in range(20)]
        blob = gzip.compress(tar(items), 1)
        facts = read_layer(io.BytesIO(blob), digest_of(blob), Limits(), check=lambda: None)
        assert [(entry.path, entry.size) for entry in facts.entries] == [(m.name, m.size) for m, _ in items]
        assert not ahead_threads()

    @pytest.mark.parametrize("cut", [1, CHUNK // 2, CHUNK, 3 * CHUNK])
    def test_a_layer_that_ends_early_is_refused_and_leaves_no_thread(self, cut: int) -> None:
        plain = tar([file("a", b"x" * 4 * CHUNK), file("b", b"y")])[: -cut - 10240]
        for blob in (plain, gzip.compress(plain, 1)):
            with pytest.raises(ProblemError) as caught:
                read_layer(io.BytesIO(blob), digest_of(blob), Limits(), check=lambda: None)
            assert caught.value.code == "IMAGE-LAYER-UNREADABLE"
            assert not ahead_threads()

    def test_a_bomb_is_unpacked_no_further_than_its_limit(self) -> None:
        blob = gzip.compress(tar([file("a", bytes(64 * CHUNK))]))
        with pytest.raises(ProblemError) as caught:
            read_layer(io.BytesIO(blob), digest_of(blob), Limits(bytes=CHUNK), check=lambda: None)
        assert caught.value.code == "IMAGE-LAYER-LIMIT"
        assert not ahead_threads()
