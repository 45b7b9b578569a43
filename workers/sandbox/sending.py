"""Input on its way into a holder's volume: models and samples, which only the host's disk bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from docker.errors import APIError

from listings.problems import ProblemError
from workers.sandbox.holder_client import Holder
from workers.sandbox.resources.profile import DISK_RESERVE_BYTES
from workers.steps.contract import Stop

CHUNK_BYTES = 1 << 20
#: What fits anywhere, and how much is sent before the disk is measured again: other tests fill it, too.
MEASURED_BYTES = DISK_RESERVE_BYTES // 4


def until_stopped(chunks: Iterable[bytes], stop: Stop) -> Iterator[bytes]:
    """The chunks, for as long as the step is not told to stop. Raises StepStopped."""
    for chunk in chunks:
        stop.check()
        yield chunk


def send_archive(holder: Holder, path: str, archive: Path, stop: Stop) -> None:
    """Unpack a tar file of samples at ``path`` of the holder's volume, and remove the file.

    Raises ProblemError TEST-HOST-ROOM, StepStopped.
    """
    with archive.open("rb") as data:
        send(holder, path, iter(lambda: data.read(CHUNK_BYTES), b""), stop, "the sample files")
    archive.unlink()


def send(holder: Holder, path: str, chunks: Iterable[bytes], stop: Stop, what: str) -> None:
    """Unpack a tar at ``path`` of the holder's volume. ``what``: it is, as part of a sentence.

    Raises ProblemError TEST-HOST-ROOM, StepStopped, and what ``chunks`` raises.
    """

    def free_bytes() -> int:
        return int(holder.call("measure", stop, path=path, max_bytes=0, max_entries=0)["free_bytes"])

    free = free_bytes()
    try:
        holder.container.put_archive(path, while_room(free, free_bytes, until_stopped(chunks, stop), what))
    except APIError as error:
        if "no space left" not in str(error.explanation or error).lower():
            raise
        raise _no_room(free, what) from error


def while_room(free: int, free_bytes: Callable[[], int], chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """The chunks, while the reserve stays free. Small ones fit anywhere: they are not what fills the disk.

    ``free``: bytes before the first, which is what will be free again; ``free_bytes``: how many are now.
    Raises ProblemError TEST-HOST-ROOM.
    """
    room = max(free - DISK_RESERVE_BYTES, MEASURED_BYTES)
    unmeasured = 0
    for chunk in chunks:
        if unmeasured > MEASURED_BYTES:
            unmeasured = 0
            room = free_bytes() - DISK_RESERVE_BYTES
        room -= len(chunk)
        unmeasured += len(chunk)
        if room < 0:
            raise _no_room(free, what)
        yield chunk


def _no_room(free: int, what: str) -> ProblemError:
    return ProblemError("TEST-HOST-ROOM", what=what, free_mb=free >> 20, reserve_mb=DISK_RESERVE_BYTES >> 20)
