"""Where the twin differs from AWS: shown on the report page, and written into docs/twin.md by ``make docs``."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    topic: str
    aws: str
    twin: str


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "a call to the network",
        "how it fails is not documented; it may hang",
        "refused at once (TCP reset, port unreachable, unknown name)",
    ),
    Difference(
        "a call to any address on a port that the container itself listens on",
        "fails",
        'reaches the container itself; recorded as "answered by itself"',
    ),
    Difference(
        "`ping`",
        "not documented",
        "no answer, also from 127.0.0.1",
    ),
    Difference(
        "UDP port 53, and TCP port 53 of 127.0.0.1",
        "free",
        "taken by the resolver",
    ),
    Difference(
        "network interface",
        "`eth0`, as `resourceconfig.json` says",
        "the file says `eth0`; only `lo` exists",
    ),
    Difference(
        "distributed training",
        "several hosts that reach each other",
        "one host",
    ),
    Difference(
        "input modes",
        "File, FastFile, Pipe",
        "File and FastFile, both as plain files; Pipe alone is refused (`TEST-INPUT-MODE`)",
    ),
    Difference(
        "who sends requests",
        "another process on the host",
        "the holder, from inside the namespace; what listens on 127.0.0.1 only is found in the kernel's table",
    ),
    Difference(
        "inference test",
        "a batch transform job",
        "single requests and parallel clients at `/invocations`; started once more in batch mode",
    ),
    Difference(
        "GPU",
        "as the instance type",
        "none; a GPU type is given its CPU side only",
    ),
    Difference(
        "`/opt/ml/model`",
        "the archive's files",
        "the same, owned by root; links that leave it are left out when collected, refused when uploaded",
    ),
    Difference(
        "memory peak",
        "",
        "the kernel's high-water mark where it keeps one and it can be read, less the file cache of that moment; else "
        "the highest reading; 0 where there was none",
    ),
    Difference(
        "disk",
        "the instance's volume",
        "a budget, looked at about four times a second; it can be passed by what is written in between. A file that is "
        "deleted and still open is not seen; below 1 GiB of free disk the run is stopped (`TEST-HOST-DISK`)",
    ),
    Difference(
        "`VOLUME` below `/opt/ml`",
        "not documented",
        "empty at the start; what is written there is kept with the rest",
    ),
)


def table() -> str:
    """The differences as a table in Markdown."""
    rows = ["| | AWS | the twin |", "|---|---|---|"]
    rows += [f"| {row.topic} | {row.aws} | {row.twin} |".replace("|  |", "| |") for row in DIFFERENCES]
    return "\n".join(rows) + "\n"
