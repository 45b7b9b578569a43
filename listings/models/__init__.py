"""The tables."""

from listings.models.blobs import Blob, Upload, UploadPurpose
from listings.models.journal import AuditEvent, Notice
from listings.models.listings import Kind, Listing, Version
from listings.models.platform import Instance, WorkerProcess
from listings.models.releases import Comment, Release, Review
from listings.models.runs import Attempt, Check, Run, Step, Trigger
from listings.models.scans import Finding, Policy, ScanResult, Waiver
from listings.models.teams import Membership, Role, Team

__all__ = [
    "Attempt", "AuditEvent", "Blob", "Check", "Comment", "Finding", "Instance", "Kind", "Listing", "Membership",
    "Notice", "Policy", "Release", "Review", "Role", "Run", "ScanResult", "Step", "Team", "Trigger", "Upload",
    "UploadPurpose", "Version", "Waiver", "WorkerProcess",
]  # fmt: skip
