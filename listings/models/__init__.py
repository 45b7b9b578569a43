"""The tables."""

from listings.models.blobs import Blob, IncomingUpload, Upload, UploadPurpose
from listings.models.hooks import CommitStatus, Decision, Delivery, Provider, StatusState, Webhook
from listings.models.invitations import Invitation
from listings.models.journal import AuditEvent, Notice
from listings.models.listings import Kind, Listing, SourceKind, Version
from listings.models.platform import Instance, WorkerProcess
from listings.models.releases import Comment, Release, Review
from listings.models.runs import Attempt, Check, Run, Step, Trigger
from listings.models.scans import Finding, Policy, ScanResult, Waiver
from listings.models.sources import Credential, CredentialKind, ListingSource, StatusProvider
from listings.models.teams import Membership, Role, Team

__all__ = [
    "Attempt", "AuditEvent", "Blob", "Check", "Comment", "CommitStatus", "Credential", "CredentialKind", "Decision",
    "Delivery", "Finding", "IncomingUpload", "Instance", "Invitation", "Kind", "Listing", "ListingSource", "Membership",
    "Notice", "Policy", "Provider", "Release", "Review", "Role", "Run", "ScanResult", "SourceKind", "StatusProvider",
    "StatusState", "Step", "Team", "Trigger", "Upload", "UploadPurpose", "Version", "Waiver", "Webhook",
    "WorkerProcess",
]  # fmt: skip
