"""The Marketplace Catalog: change sets that take a while, lock their product, and name what they object to."""

from __future__ import annotations

import json
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from workers.aws.standin.delivery import Finding, delivery_faults
from workers.aws.standin.errors import AwsError
from workers.aws.standin.request import Request
from workers.aws.standin.sagemaker import SageMaker
from workers.aws.standin.store import Store, progress

CATALOG = "AWSMarketplace"
_PRODUCT = re.compile(r"prod-[a-z0-9]{4,59}")
_PRODUCT_TYPE = "MachineLearningProduct@1.0"


def _time(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _source(arn: str) -> dict[str, str]:
    algorithm = ":algorithm/" in arn
    kind, field = ("SageMakerAlgorithm", "AlgorithmArn") if algorithm else ("SageMakerModelPackage", "ModelPackageArn")
    return {"Type": kind, field: arn}


class Catalog:
    operations = frozenset({"StartChangeSet", "DescribeChangeSet", "ListChangeSets", "DescribeEntity"})

    def __init__(self, store: Store, sagemaker: SageMaker, seconds: float) -> None:
        self.store, self.sagemaker, self.seconds = store, sagemaker, seconds

    def handle(self, request: Request) -> dict[str, Any]:
        if request.region != "us-east-1":
            raise AwsError("AccessDeniedException", "The Marketplace Catalog is served in us-east-1.", 403)
        if request.params.get("Catalog") != CATALOG:
            raise AwsError("ResourceNotFoundException", f"Catalog {request.params.get('Catalog')} does not exist.", 404)
        handlers = {
            "StartChangeSet": self._start,
            "DescribeChangeSet": self._describe,
            "ListChangeSets": self._list,
            "DescribeEntity": self._entity,
        }
        with self.store.lock:
            self._settle()
            return handlers[request.operation](request)

    def status(self, record: dict[str, Any]) -> str:
        final = "FAILED" if record["faults"] else "SUCCEEDED"
        return progress(record["started"], record["seconds"], ("PREPARING", "APPLYING"), final)

    def _settle(self) -> None:
        """Let every APPLY that has succeeded since the last call take effect on its product."""
        for change_set_id, record in self.store.table("change_sets").items():
            if record["settled"] or self.status(record) not in ("SUCCEEDED", "FAILED"):
                continue
            record["settled"] = True
            if self.status(record) == "SUCCEEDED" and record["intent"] == "APPLY":
                for change in record["changes"]:
                    self._apply(change_set_id, change)
            self.store.save()

    def _apply(self, change_set_id: str, change: dict[str, Any]) -> None:
        details = change["DetailsDocument"]
        option = next(iter(details["DeliveryOptions"][0]["Details"].values()))
        arn = option.get("SageMakerAlgorithmArn") or option["SageMakerModelPackageArn"]
        product = self._product(change["Entity"]["Identifier"], "")
        product["versions"].append(
            {
                "Id": str(uuid.uuid5(uuid.NAMESPACE_URL, change_set_id)),
                "Arn": arn,
                "VersionTitle": details["Version"]["VersionTitle"],
                "ReleaseNotes": details["Version"]["ReleaseNotes"],
            }
        )
        found = self.sagemaker.find(arn)
        if found:
            found[1]["product"] = change["Entity"]["Identifier"]

    def _product(self, identifier: str, account: str) -> dict[str, Any]:
        """A product by id. Sellers make theirs in the Management Portal: any well-formed id is its first user's."""
        if not _PRODUCT.fullmatch(identifier):
            raise AwsError("ResourceNotFoundException", f"Entity {identifier} does not exist.", 404)
        product: dict[str, Any] = self.store.table("products").setdefault(
            identifier, {"account": account, "versions": [], "modified": time.time()}
        )
        if account and product["account"] != account:
            raise AwsError("ResourceNotFoundException", f"Entity {identifier} does not exist.", 404)
        return product

    def _start(self, request: Request) -> dict[str, Any]:
        params = request.params
        token = params.get("ClientRequestToken")
        body = {key: params.get(key) for key in ("ChangeSet", "Intent")}
        for change_set_id, record in self.store.table("change_sets").items():
            if token and record["token"] == token and record["account"] == request.account:
                if record["body"] != body:
                    raise AwsError("ValidationException", "ClientRequestToken was used with another change set.", 422)
                return self._started(change_set_id, record)
        changes = [self._change(request, change) for change in params["ChangeSet"]]
        for change in changes:
            self._refuse_if_locked(change["Entity"]["Identifier"])
        change_set_id = uuid.uuid4().hex[:25]
        record = self._new_record(request, changes, body)
        self.store.table("change_sets")[change_set_id] = record
        self.store.save()
        return self._started(change_set_id, record)

    def _new_record(self, request: Request, changes: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        faults: list[Finding] = [
            fault for change in changes for fault in delivery_faults(change, request, self.store, self.sagemaker)
        ]
        failure_code = "CLIENT_ERROR"
        if request.fault and request.fault.failure_reason:
            faults = [(request.fault.error_code, request.fault.failure_reason)]
            failure_code = request.fault.failure_code
        seconds = request.fault.seconds if request.fault and request.fault.seconds is not None else self.seconds
        return {
            "account": request.account,
            "token": request.params.get("ClientRequestToken"),
            "body": body,
            "name": request.params.get("ChangeSetName", ""),
            "intent": request.params.get("Intent", "APPLY"),
            "changes": changes,
            "started": time.time(),
            "seconds": seconds,
            "settled": False,
            "faults": [list(fault) for fault in faults],
            "failure_code": failure_code,
        }

    def _change(self, request: Request, change: dict[str, Any]) -> dict[str, Any]:
        entity = change["Entity"]
        if change["ChangeType"] != "AddDeliveryOptions" or entity["Type"] != _PRODUCT_TYPE:
            message = f"ChangeType {change['ChangeType']} is not available for {entity['Type']}."
            raise AwsError("ValidationException", message, 422)
        self._product(str(entity.get("Identifier", "")), request.account)
        if ("Details" in change) == ("DetailsDocument" in change):
            raise AwsError("ValidationException", "Give exactly one of Details and DetailsDocument.", 422)
        document = change.get("DetailsDocument") or json.loads(change["Details"])
        return {**{k: v for k, v in change.items() if k != "Details"}, "DetailsDocument": document}

    def _refuse_if_locked(self, identifier: str) -> None:
        for change_set_id, record in self.store.table("change_sets").items():
            busy = self.status(record) in ("PREPARING", "APPLYING")
            if busy and any(change["Entity"]["Identifier"] == identifier for change in record["changes"]):
                raise AwsError(
                    "ResourceInUseException",
                    f"Requested change set has entities locked by change sets - entity: '{identifier}', "
                    f"change sets: '{change_set_id}'.",
                    423,
                )

    def _started(self, change_set_id: str, record: dict[str, Any]) -> dict[str, Any]:
        arn = f"arn:aws:aws-marketplace:us-east-1:{record['account']}:{CATALOG}/ChangeSet/{change_set_id}"
        return {"ChangeSetId": change_set_id, "ChangeSetArn": arn}

    def _describe(self, request: Request) -> dict[str, Any]:
        change_set_id = str(request.params["ChangeSetId"])
        record = self.store.table("change_sets").get(change_set_id)
        if record is None or record["account"] != request.account:
            raise AwsError("ResourceNotFoundException", f"Change set {change_set_id} does not exist.", 404)
        status = self.status(record)
        answer = {
            **self._started(change_set_id, record),
            "ChangeSetName": record["name"],
            "Intent": record["intent"],
            "StartTime": _time(record["started"]),
            "Status": status,
            "ChangeSet": [
                {**change, "Details": json.dumps(change["DetailsDocument"]), "ErrorDetailList": []}
                for change in record["changes"]
            ],
        }
        if status in ("SUCCEEDED", "FAILED"):
            answer["EndTime"] = _time(record["started"] + record["seconds"])
        if status == "FAILED":
            answer["FailureCode"] = record["failure_code"]
            answer["FailureDescription"] = "Change set has failed."
            answer["ChangeSet"][0]["ErrorDetailList"] = [
                {"ErrorCode": code, "ErrorMessage": message} for code, message in record["faults"]
            ]
        return answer

    def _list(self, request: Request) -> dict[str, Any]:
        return {
            "ChangeSetSummaryList": [
                {
                    **self._started(change_set_id, record),
                    "ChangeSetName": record["name"],
                    "StartTime": _time(record["started"]),
                    "Status": self.status(record),
                    "EntityIdList": [change["Entity"]["Identifier"] for change in record["changes"]],
                }
                for change_set_id, record in self.store.table("change_sets").items()
                if record["account"] == request.account
            ]
        }

    def _entity(self, request: Request) -> dict[str, Any]:
        identifier = str(request.params["EntityId"])
        product = self._product(identifier, request.account)
        document = {
            "Description": {"ProductTitle": identifier, "Visibility": "Limited"},
            "Versions": [
                {
                    "Id": version["Id"],
                    "VersionTitle": version["VersionTitle"],
                    "ReleaseNotes": version["ReleaseNotes"],
                    "Sources": [_source(version["Arn"])],
                }
                for version in product["versions"]
            ],
        }
        owner = f"arn:aws:aws-marketplace:us-east-1:{request.account}:{CATALOG}"
        return {
            "EntityType": _PRODUCT_TYPE,
            "EntityIdentifier": f"{identifier}@{len(product['versions']) + 1}",
            "EntityArn": f"{owner}/MachineLearningProduct/{identifier}",
            "LastModifiedDate": _time(product["modified"]),
            "Details": json.dumps(document),
            "DetailsDocument": document,
        }
