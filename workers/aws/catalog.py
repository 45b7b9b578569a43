"""Change sets at the Marketplace Catalog: started once however often it is tried, and read back."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from botocore.exceptions import ClientError

from listings.changesets import ChangeSet
from listings.reports import Evidence
from workers.aws.errors import DENIED, aws_errors, code_of, message_of
from workers.aws.sessions import Clients

CATALOG = "AWSMarketplace"


class Busy(Exception):
    """Another change set holds the product; the message is AWS's."""


class CheckRefused(Exception):
    """The Catalog took no change set with the intent VALIDATE; the message is AWS's."""

    @property
    def about_intent(self) -> bool:
        """Whether AWS objects to the intent (its reference grants it to AMI products only), not to the content."""
        return re.search(r"\bintent\b", str(self), re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class ChangeSetStatus:
    """``status`` is PREPARING, APPLYING, SUCCEEDED, CANCELLED or FAILED; ``errors`` as (code, message)."""

    change_set_id: str
    status: str
    failure_code: str = ""
    description: str = ""
    errors: tuple[tuple[str, str], ...] = ()

    @property
    def is_final(self) -> bool:
        return self.status in ("SUCCEEDED", "CANCELLED", "FAILED")

    @property
    def reason(self) -> str:
        return "; ".join(f"{code}: {message}" for code, message in self.errors) or self.description or self.status

    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(Evidence(message, label=code) for code, message in self.errors)

    def as_json(self) -> dict[str, Any]:
        return {
            "change_set_id": self.change_set_id,
            "status": self.status,
            "failure_code": self.failure_code,
            "reason": "" if self.status == "SUCCEEDED" else self.reason,
            "errors": [{"code": code, "message": message} for code, message in self.errors],
        }


def request_token(release: UUID, intent: str, change_set: ChangeSet, turn: int) -> str:
    """The same for every try at the same thing, so that a lost answer never starts it twice.

    ``turn`` counts the times that it was asked for anew after it had failed.
    """
    body = json.dumps([str(release), intent, turn, change_set], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def start(clients: Clients, change_set: ChangeSet, *, intent: str, token: str, name: str) -> str:
    """Start the change set, or find the one started with ``token``. Returns its id.

    ``intent`` is VALIDATE or APPLY. Raises Busy, CheckRefused (VALIDATE only) and ProblemError.
    """
    with aws_errors("start the change set" if intent == "APPLY" else "have the change set checked"):
        try:
            answer = clients.client("marketplace-catalog").start_change_set(
                Catalog=CATALOG, ChangeSet=change_set, ChangeSetName=name[:100], ClientRequestToken=token, Intent=intent
            )
        except ClientError as error:
            if code_of(error) == "ResourceInUseException":
                raise Busy(message_of(error)) from error
            if intent == "VALIDATE" and code_of(error) == "ValidationException":
                raise CheckRefused(message_of(error)) from error
            raise
    return str(answer["ChangeSetId"])


def status(clients: Clients, change_set_id: str) -> ChangeSetStatus:
    """Where the change set stands. Raises ProblemError."""
    with aws_errors(f"look up the change set {change_set_id}"):
        answer = clients.client("marketplace-catalog").describe_change_set(Catalog=CATALOG, ChangeSetId=change_set_id)
    errors = tuple(
        (str(detail.get("ErrorCode", "")), str(detail.get("ErrorMessage", "")))
        for change in answer.get("ChangeSet", [])
        for detail in change.get("ErrorDetailList") or []
    )
    return ChangeSetStatus(
        change_set_id,
        str(answer["Status"]),
        str(answer.get("FailureCode", "")),
        str(answer.get("FailureDescription", "")),
        errors,
    )


def is_listed(clients: Clients, product_id: str, arn: str) -> bool:
    """Whether the product has a version made from ``arn``; False where the role may not look. Raises ProblemError."""
    with aws_errors(f"look up the product {product_id}"):
        try:
            entity = clients.client("marketplace-catalog").describe_entity(Catalog=CATALOG, EntityId=product_id)
        except ClientError as error:
            if code_of(error) in DENIED:
                return False
            raise
    document = entity.get("DetailsDocument") or json.loads(entity.get("Details") or "{}")
    sources = [source for version in document.get("Versions") or [] for source in version.get("Sources") or []]
    return any(arn in (source.get("AlgorithmArn"), source.get("ModelPackageArn")) for source in sources)
