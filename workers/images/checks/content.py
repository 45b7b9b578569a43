"""Files that do not belong into an image: below /opt/ml, and parts of the host's NVIDIA driver."""

from __future__ import annotations

import re
from collections.abc import Iterator

from listings.reports import CheckReport, Evidence
from workers.images.checks.subject import PASS, WARN, Subject, few

#: Libraries with the driver's version in their name. CUDA's stubs and forward compatibility libraries are no driver.
_DRIVER = re.compile(
    r"(?:libcuda|libnvidia-ml|libnvidia-cfg|libnvcuvid)\.so\.\d{3,}\.\d+(?:\.\d+)?|nvidia(?:-uvm)?\.ko(?:\.[xgz]+)?"
)
_NO_DRIVER = re.compile(r"/(?:compat|stubs)/|^/usr/local/cuda")


def checks(subject: Subject) -> Iterator[CheckReport]:
    yield _opt_ml(subject)
    yield _driver(subject)


def _opt_ml(subject: Subject) -> CheckReport:
    count = 0
    shown: list[Evidence] = []
    for node in subject.image.tree.below("/opt/ml"):
        count += 1
        if len(shown) < 10:
            shown.append(subject.about(node, f"/{node.entry.path}"))
    return CheckReport("IMAGE-OPT-ML", WARN if count else PASS, {"count": str(count)}, tuple(shown))


def _driver(subject: Subject) -> CheckReport:
    found: list[Evidence] = []
    for node in subject.image.tree.files():
        path = f"/{node.entry.path}"
        # Container runtimes leave empty files where they have mounted the host's.
        if node.entry.size and _DRIVER.fullmatch(path.rpartition("/")[2]) and not _NO_DRIVER.search(path):
            found.append(subject.about(node, path))
    found.sort(key=lambda evidence: evidence.text)
    return CheckReport("IMAGE-NVIDIA-DRIVER", WARN if found else PASS, {"count": str(len(found))}, few(found))
