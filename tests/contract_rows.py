"""The thirty ways in which sellers' containers fail on AWS, and the mark that names the test which provokes each.

The numbers are those of the table in docs/twin.md, which is made from here and from the marks.
"""

from __future__ import annotations

import pytest

from listings import problems

#: What a seller sees on AWS, if nobody looks before.
ROWS: dict[int, str] = {
    1: "the manifest is OCI, an index, or carries attestations: CreateModel refuses it",
    2: "the registry's scan does not support the image, which then counts as not scanned",
    3: "built for another machine: `exec format error`",
    4: "`serve` is not found on the PATH",
    5: "`train` is not there, or lost its executable bit",
    6: "an init program takes `train` or `serve` for the name of a program",
    7: "CMD without ENTRYPOINT: the argument takes its place and nothing starts",
    8: "the ping health check fails: wrong address, wrong status, a missing library, slow under load",
    9: "a batch transform's container never answers `/ping`",
    10: "server workers time out, are killed for memory, or a request takes over 60 s",
    11: "413: the server takes less than the batch payload",
    12: "the model archive is wrapped in one directory too many",
    13: "links, absolute paths or macOS leftovers in the model archive",
    14: "writes below `/opt/ml/model` while serving, which is read-only",
    15: "runs as another user than root: permission denied",
    16: "needs the network or credentials at run time",
    17: "image, archive and unpacked model do not fit on the disk",
    18: "Windows line ends, a byte order mark or a missing interpreter in a start script",
    19: "the interpreter is not in the image, or what it installs is not pinned",
    20: "image or role in another account or Region, or not found",
    21: "files baked below `/opt/ml` are gone at run time",
    22: "an S3 prefix sweeps stray files into the job",
    23: "the validation role is given by name instead of ARN",
    24: "a metric's expression does not match, or has no group: tuning fails",
    25: "a content type with a parameter, another accept type or a header line is not understood",
    26: "SIGTERM is ignored: killed after the grace, checkpoints lost",
    27: "hyperparameters arrive as text; crashes by signal or out of memory",
    28: "a buyer is not subscribed",
    29: "a severe vulnerability without a fix",
    30: "needs privileges, FUSE or more shared memory",
}
#: Not the image's doing: only a buyer meets it.
NOT_DETECTED = frozenset({28})


#: In place of a code, for what the gate itself tells.
GATE = "the release gate"


def detects(row: int, code: str) -> pytest.MarkDecorator:
    """Mark a test that provokes ``row`` and asserts that ``code`` tells it, and that a good one is left alone."""
    if row not in ROWS:
        raise ValueError(f"there is no row {row}")
    if code != GATE:
        problems.get(code)
    return pytest.mark.detects(row, code)
