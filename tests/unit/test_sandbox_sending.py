"""Input on its way into a holder's volume stays within the room that the host's disk has at that time."""

from collections.abc import Iterator

import pytest

from listings.problems import ProblemError
from workers.sandbox import sending

MIB = 1 << 20
PIECE = bytes(64 * MIB)


class Disk:
    """A disk that is filled by what is sent, and by others."""

    def __init__(self, free_mib: int, others_mib: int = 0) -> None:
        self.free = free_mib * MIB
        self.others = others_mib * MIB
        self.measured = 0

    def free_bytes(self) -> int:
        self.measured += 1
        return self.free

    def take(self, chunks: Iterator[bytes]) -> int:
        taken = 0
        for chunk in chunks:
            taken += len(chunk)
            self.free -= len(chunk) + self.others
        return taken


def pieces(mib: int) -> Iterator[bytes]:
    return (PIECE for _ in range(mib // 64))


def test_what_fits_is_sent_whole_however_much_it_is() -> None:
    disk = Disk(free_mib=6 * 1024)
    assert disk.take(sending.while_room(disk.free, disk.free_bytes, pieces(4096), "the model")) == 4096 * MIB
    assert disk.measured > 10


def test_little_is_sent_even_where_the_reserve_is_gone() -> None:
    disk = Disk(free_mib=512)
    assert disk.take(sending.while_room(disk.free, disk.free_bytes, pieces(256), "the sample files")) == 256 * MIB


def test_two_models_that_fill_the_disk_together_leave_the_reserve_nearly_whole() -> None:
    disk = Disk(free_mib=6 * 1024, others_mib=64)
    with pytest.raises(ProblemError) as raised:
        disk.take(sending.while_room(disk.free, disk.free_bytes, pieces(4096), "the model"))
    assert raised.value.code == "TEST-HOST-ROOM"
    assert raised.value.report.params["free_mb"] == "6144"
    assert disk.free >= 512 * MIB
