"""Algorithms and model packages at SageMaker: look, create, delete, and read what became of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from listings.problems import ProblemError
from listings.reports import CheckOutcome, CheckReport, Evidence
from workers.aws.errors import DENIED, aws_errors, code_of, evidence_of, message_of
from workers.aws.registration import HASH_TAG, Registration, difference
from workers.aws.sessions import Clients

_CALLS = {
    "Algorithm": ("create_algorithm", "describe_algorithm", "delete_algorithm"),
    "ModelPackage": ("create_model_package", "describe_model_package", "delete_model_package"),
}
#: SageMaker has no error of its own for "there is none": a ValidationException says so in words.
_ABSENT = re.compile(r"does ?n[o']t exist|not found|could not find|cannot find|not be found", re.IGNORECASE)
_TAKEN = re.compile(r"already exist|duplicate", re.IGNORECASE)
#: Reasons that only AWS can do something about.
_AWS_FAULT = re.compile(
    r"internal ?(server ?)?(error|failure)|capacity ?error|insufficient capacity|service ?unavailable|"
    r"unable to provision",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Resource:
    """What Describe* said. ``status`` is Pending, InProgress, Completed, Failed or Deleting."""

    prefix: str
    described: dict[str, Any]

    @property
    def arn(self) -> str:
        return str(self.described[f"{self.prefix}Arn"])

    @property
    def status(self) -> str:
        return str(self.described[f"{self.prefix}Status"])

    @property
    def is_final(self) -> bool:
        return self.status in ("Completed", "Failed")

    def _items(self, name: str) -> list[dict[str, str]]:
        details = self.described.get(f"{self.prefix}StatusDetails") or {}
        return list(details.get(name) or [])

    def checks(self) -> tuple[CheckReport, ...]:
        """One check for each image scan and each validation profile, with AWS's own reason."""
        kinds = (("REGISTER-IMAGE-SCAN", "ImageScanStatuses"), ("REGISTER-VALIDATION", "ValidationStatuses"))
        return tuple(_check(code, item) for code, name in kinds for item in self._items(name))

    def reasons(self) -> tuple[Evidence, ...]:
        """AWS's own words, one for each part that failed."""
        items = [*self._items("ImageScanStatuses"), *self._items("ValidationStatuses")]
        return tuple(
            Evidence(item.get("FailureReason") or "AWS gives no reason.", label=item["Name"])
            for item in items
            if item["Status"] == "Failed"
        )

    def failed_at_aws(self) -> bool:
        """Whether every reason given lies on AWS's side."""
        reasons = self.reasons()
        return bool(reasons) and all(_AWS_FAULT.search(reason.text) for reason in reasons)


def _check(code: str, item: dict[str, str]) -> CheckReport:
    outcome = {"Completed": CheckOutcome.PASS, "Failed": CheckOutcome.FAIL}.get(item["Status"], CheckOutcome.SKIP)
    reason = item.get("FailureReason", "")
    evidence = (Evidence(reason, label=item["Name"]),) if reason else ()
    return CheckReport(code, outcome, {"name": item["Name"], "status": item["Status"], "reason": reason}, evidence)


def describe(clients: Clients, wanted: Registration) -> Resource | None:
    """The resource of that name, or None. Raises ProblemError."""
    call = getattr(clients.client("sagemaker"), _CALLS[wanted.prefix][1])
    with aws_errors(f"look up {wanted.words} {wanted.name}"):
        try:
            return Resource(wanted.prefix, dict(call(**{f"{wanted.prefix}Name": wanted.name})))
        except ClientError as error:
            gone = code_of(error) in ("ResourceNotFound", "ResourceNotFoundException")
            if gone or (code_of(error) == "ValidationException" and _ABSENT.search(message_of(error))):
                return None
            raise


def _is_taken(error: ClientError) -> bool:
    return code_of(error) in ("ConflictException", "ResourceInUse") or bool(_TAKEN.search(message_of(error)))


def create(clients: Clients, wanted: Registration) -> None:
    """Create it. A name that turns out to be taken is no error here: an answer may have been lost on the way,
    so the caller looks whose it is. Raises ProblemError REGISTER-NOT-CREATED for what SageMaker refuses."""
    call = getattr(clients.client("sagemaker"), _CALLS[wanted.prefix][0])
    with aws_errors(f"create {wanted.words} {wanted.name}"):
        try:
            call(**wanted.request())
        except ClientError as error:
            if _is_taken(error):
                return
            if code_of(error) == "ValidationException":
                raise ProblemError(
                    "REGISTER-NOT-CREATED",
                    evidence=(evidence_of(error),),
                    operation=error.operation_name,
                    message=message_of(error),
                ) from error
            raise


def delete(clients: Clients, wanted: Registration) -> None:
    """Remove a failed resource of ours, so that its name is free again. Raises ProblemError."""
    call = getattr(clients.client("sagemaker"), _CALLS[wanted.prefix][2])
    with aws_errors(f"delete {wanted.words} {wanted.name}, whose validation failed"):
        call(**{f"{wanted.prefix}Name": wanted.name})


def stranger(clients: Clients, wanted: Registration, found: Resource) -> str:
    """How ``found`` differs from what is wanted; empty when it is the same, whoever created it."""
    if _tagged_hash(clients, found.arn) == wanted.request_sha256:
        return ""
    return difference(found.described, wanted.params)


def _tagged_hash(clients: Clients, arn: str) -> str:
    with aws_errors(f"read the tags of {arn}"):
        try:
            tags = clients.client("sagemaker").list_tags(ResourceArn=arn)["Tags"]
        except ClientError as error:
            if code_of(error) in DENIED:
                return ""  # a convenience only: without it the fields themselves are compared
            raise
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == HASH_TAG), "")
