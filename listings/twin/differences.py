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
        "refused at once (TCP reset, port unreachable, unknown name); a phase that calls out is run again without an "
        "answer, and once more to hear what it says",
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
        "name server",
        "AWS's own",
        "169.254.169.253, answered by the holder; at that address there is nothing else",
    ),
    Difference(
        "a call by IPv6 while calls are listened to",
        "as by IPv4",
        "refused",
    ),
    Difference(
        "network interface",
        "`eth0`, as `resourceconfig.json` says",
        "the file says `eth0`; only `lo` exists, and with two hosts `eth0` between them",
    ),
    Difference(
        "distributed training",
        "as many hosts as asked for, which reach each other",
        "two, where the algorithm says it can; calls to elsewhere are refused only",
    ),
    Difference(
        "input modes",
        "FastFile fetches a file when it is read; Pipe streams from S3",
        "FastFile is a read-only directory with all files in it; Pipe is a named pipe fed from the sample, all of a "
        "channel's files one after the other",
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
        "connections to the server",
        "not documented; may be kept open",
        "one for each request",
    ),
    Difference(
        "joined records of a batch",
        "as many as fit into the payload",
        "100, and one body of the whole payload",
    ),
    Difference(
        "a wrong answer to `/execution-parameters`",
        "how it is taken is not documented",
        "a warning, and the defaults",
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
