"""Files in a channel's sample that are no data: an S3 prefix would sweep them into the training job."""

from __future__ import annotations

import re
from collections.abc import Iterable

from listings.reports import CheckOutcome, CheckReport, Evidence
from listings.spec import VersionSpec

#: Certain ones only: what a data set may well consist of is left alone.
_STRAY = re.compile(
    r"(?i)(\..+|readme(\..*)?|licen[cs]e(\..*)?|thumbs\.db|desktop\.ini|_success|.+\.(manifest|md5|sha256))"
)
MOST_SHOWN = 20


def check(spec: VersionSpec, names: Iterable[str]) -> CheckReport | None:
    """``names``: of every file of the source. None without a directory among the channels' samples."""
    given = spec.tests.training.channels.values() if spec.tests.training else ()
    known = set(names)
    folders = sorted({sample.path.rstrip("/") for sample in given} - known)
    if not folders:
        return None
    stray = sorted(
        name for name in known
        if any(name.startswith(f"{folder}/") for folder in folders) and _STRAY.fullmatch(name.rpartition("/")[2])
    )  # fmt: skip
    params = {"count": str(len(stray)), "paths": ", ".join(folders)}
    evidence = tuple(Evidence(name[:300]) for name in stray[:MOST_SHOWN])
    return CheckReport("SOURCE-SAMPLE-STRAY", CheckOutcome.WARN if stray else CheckOutcome.PASS, params, evidence)
