"""Scan: which operating system the image is made of. Facts only: the gate holds them against the policy."""

from __future__ import annotations

from listings.reports import ScanReport, StepReport
from workers.scanners.operating_system import identify
from workers.steps.contract import StepContext
from workers.steps.inspect import staged_image

SCANNER, SCANNER_VERSION = "slipway-os", "1"
UNKNOWN = (
    "cannot determine the operating system: the image has none of the files that tell it (/etc/os-release, "
    "/usr/lib/os-release, /etc/lsb-release, /etc/debian_version, /etc/alpine-release, /etc/redhat-release and its like)"
)


def execute(context: StepContext) -> StepReport:
    system = identify(staged_image(context).tree)
    if system is None:
        context.log.line(f"Operating system: {UNKNOWN}", "slipway")
        report = ScanReport(SCANNER, SCANNER_VERSION, complete=False, detail=UNKNOWN)
        return StepReport({"os": {"id": "", "version_id": "", "name": ""}}, scan=report)
    context.log.line(f"Operating system: {system.name}, from {system.path}", "slipway")
    report = ScanReport(
        SCANNER,
        SCANNER_VERSION,
        complete=True,
        os_id=system.id,
        os_version=system.version,
        os_name=system.name,
        detail=f"read from {system.path}",
    )
    return StepReport({"os": {"id": system.id, "version_id": system.version, "name": system.name}}, scan=report)
