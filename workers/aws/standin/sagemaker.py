"""Algorithms and unversioned model packages: created, validated for a while, described, deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.aws.standin import buckets
from workers.aws.standin.errors import AwsError
from workers.aws.standin.images import Images
from workers.aws.standin.request import Request
from workers.aws.standin.store import Store, progress


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the two resources."""

    table: str
    prefix: str
    arn: str
    conflict: str


ALGORITHM = Kind("algorithms", "Algorithm", "algorithm", "ValidationException")
MODEL_PACKAGE = Kind("model_packages", "ModelPackage", "model-package", "ConflictException")
_KINDS = {
    "Algorithm": ALGORITHM,
    "Algorithms": ALGORITHM,
    "ModelPackage": MODEL_PACKAGE,
    "ModelPackages": MODEL_PACKAGE,
}
_NOT_DESCRIBED = frozenset({"Tags", "ClientToken"})


def _images(params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    training = params.get("TrainingSpecification")
    if training:
        yield training["TrainingImage"], training.get("TrainingImageDigest", "")
    for container in (params.get("InferenceSpecification") or {}).get("Containers", []):
        yield container.get("Image", ""), container.get("ImageDigest", "")


def _profiles(params: dict[str, Any]) -> list[dict[str, Any]]:
    return list((params.get("ValidationSpecification") or {}).get("ValidationProfiles", []))


class SageMaker:
    operations = frozenset(
        {
            "CreateAlgorithm",
            "DescribeAlgorithm",
            "ListAlgorithms",
            "DeleteAlgorithm",
            "CreateModelPackage",
            "DescribeModelPackage",
            "ListModelPackages",
            "DeleteModelPackage",
            "ListTags",
        }
    )

    def __init__(self, store: Store, images: Images, seconds: float) -> None:
        self.store, self.images, self.seconds = store, images, seconds

    def handle(self, request: Request) -> dict[str, Any]:
        if request.operation == "ListTags":
            return self._tags(request)
        verb = next(v for v in ("Create", "Describe", "List", "Delete") if request.operation.startswith(v))
        kind = _KINDS[request.operation.removeprefix(verb)]
        with self.store.lock:
            answer: dict[str, Any] = getattr(self, f"_{verb.lower()}")(kind, request)
        return answer

    def arn(self, kind: Kind, request: Request, name: str) -> str:
        return f"arn:aws:sagemaker:{request.region}:{request.account}:{kind.arn}/{name.lower()}"

    def find(self, arn: str) -> tuple[Kind, dict[str, Any]] | None:
        """A record by ARN, of either kind."""
        for kind in (ALGORITHM, MODEL_PACKAGE):
            if arn in self.store.table(kind.table):
                return kind, self.store.table(kind.table)[arn]
        return None

    def status(self, record: dict[str, Any]) -> str:
        final = "Failed" if record["failure"] else "Completed"
        return progress(record["created"], record["seconds"], ("Pending", "InProgress"), final)

    def _record(self, kind: Kind, request: Request) -> tuple[str, dict[str, Any]]:
        name = str(request.params[f"{kind.prefix}Name"])
        arn = name if name.startswith("arn:") else self.arn(kind, request, name)
        record = self.store.table(kind.table).get(arn)
        if record is None or record["account"] != request.account:
            raise AwsError("ValidationException", f"{kind.prefix} {arn} does not exist.")
        return arn, record

    def _create(self, kind: Kind, request: Request) -> dict[str, Any]:
        params = request.params
        if kind is MODEL_PACKAGE and not params.get("ModelPackageName"):
            raise AwsError("ValidationException", "The Marketplace takes unversioned packages: give ModelPackageName.")
        arn = self.arn(kind, request, str(params[f"{kind.prefix}Name"]))
        existing = self.store.table(kind.table).get(arn)
        if existing is not None:
            token = params.get("ClientToken")
            if token and token == existing["params"].get("ClientToken"):
                return {f"{kind.prefix}Arn": arn}
            raise AwsError(kind.conflict, f"Cannot create already existing {kind.arn} {arn}.")
        self._check_specifications(kind, params)
        failure = self._failure(request)
        self.store.table(kind.table)[arn] = {
            "account": request.account,
            "params": params,
            "created": time.time(),
            "failure": failure,
            "seconds": request.fault.seconds if request.fault and request.fault.seconds is not None else self.seconds,
        }
        self.store.save()
        return {f"{kind.prefix}Arn": arn}

    def _check_specifications(self, kind: Kind, params: dict[str, Any]) -> None:
        inference = params.get("InferenceSpecification")
        if kind is MODEL_PACKAGE and not inference and not params.get("SourceAlgorithmSpecification"):
            raise AwsError("ValidationException", "Either InferenceSpecification or a source algorithm is required.")
        if kind is MODEL_PACKAGE and inference:
            for field in ("SupportedTransformInstanceTypes", "SupportedRealtimeInferenceInstanceTypes"):
                if not inference.get(field):
                    raise AwsError("ValidationException", f"{field} is required for an unversioned model package.")
        if params.get("CertifyForMarketplace") and not _profiles(params):
            raise AwsError("ValidationException", "CertifyForMarketplace needs a ValidationSpecification.")

    def _failure(self, request: Request) -> dict[str, str]:
        """What will make the validation fail: a rule told so, or something that AWS would find on the way."""
        reasons = [self.images.check(request, image, digest) for image, digest in _images(request.params)]
        for container in (request.params.get("InferenceSpecification") or {}).get("Containers", []):
            data = container.get("ModelDataUrl")
            gone = buckets.missing(request.account, request.region, data) if data else ""
            if gone:
                raise AwsError("ValidationException", f"Could not find model data at {data}. {gone}")
        if request.fault and request.fault.failure_reason:
            return {"stage": request.fault.stage, "reason": request.fault.failure_reason}
        if any(reasons):
            return {"stage": "image_scan", "reason": next(reason for reason in reasons if reason)}
        found = [fault for profile in _profiles(request.params) for fault in self._profile_faults(request, profile)]
        reason = found[0] if found else ""
        return {"stage": "validation", "reason": reason} if reason else {}

    def _profile_faults(self, request: Request, profile: dict[str, Any]) -> Iterator[str]:
        training = profile.get("TrainingJobDefinition")
        if training:
            allowed = request.params["TrainingSpecification"]["SupportedTrainingInstanceTypes"]
            wanted = training["ResourceConfig"].get("InstanceType")
            if wanted not in allowed:
                yield f"ClientError: Training instance type {wanted} is not supported by the algorithm."
            for channel in training["InputDataConfig"]:
                source = channel["DataSource"].get("S3DataSource")
                yield from self._input_faults(request, source, channel["ChannelName"])
        transform = profile.get("TransformJobDefinition")
        if transform:
            source = transform["TransformInput"]["DataSource"]["S3DataSource"]
            yield from self._input_faults(request, source, "transform")

    def _input_faults(self, request: Request, source: dict[str, Any] | None, name: str) -> Iterator[str]:
        if source:
            gone = buckets.missing(request.account, request.region, source["S3Uri"])
            if gone:
                yield f"ClientError: Data download failed for {name}: {gone}"

    def _items(self, record: dict[str, Any], stage: str, name: str) -> dict[str, str]:
        status = self.status(record)
        failure = record["failure"] if status == "Failed" else {}
        if failure.get("stage") == stage:
            return {"Name": name, "Status": "Failed", "FailureReason": failure["reason"]}
        if failure and stage == "validation":
            return {"Name": name, "Status": "NotStarted"}  # the scan comes first, and it failed
        shown = {"Pending": "NotStarted", "Failed": "Completed"}.get(status, status)
        return {"Name": name, "Status": shown}

    def _describe(self, kind: Kind, request: Request) -> dict[str, Any]:
        arn, record = self._record(kind, request)
        params = record["params"]
        names = sorted({image for image, _ in _images(params)})
        described = {key: value for key, value in params.items() if key not in _NOT_DESCRIBED}
        described.update(
            {
                f"{kind.prefix}Arn": arn,
                "CreationTime": record["created"],
                f"{kind.prefix}Status": self.status(record),
                f"{kind.prefix}StatusDetails": {
                    "ValidationStatuses": [
                        self._items(record, "validation", profile["ProfileName"]) for profile in _profiles(params)
                    ],
                    "ImageScanStatuses": [self._items(record, "image_scan", name) for name in names],
                },
            }
        )
        if kind is ALGORITHM and record.get("product"):
            described["ProductId"] = record["product"]
        return described

    def _list(self, kind: Kind, request: Request) -> dict[str, Any]:
        wanted = str(request.params.get("NameContains", "")).lower()
        summaries = [
            {
                f"{kind.prefix}Name": record["params"][f"{kind.prefix}Name"],
                f"{kind.prefix}Arn": arn,
                "CreationTime": record["created"],
                f"{kind.prefix}Status": self.status(record),
            }
            for arn, record in sorted(self.store.table(kind.table).items())
            if record["account"] == request.account and f":{request.region}:" in arn and wanted in arn
        ]
        return {f"{kind.prefix}SummaryList": summaries}

    def _delete(self, kind: Kind, request: Request) -> dict[str, Any]:
        arn, record = self._record(kind, request)
        if self.status(record) in ("Pending", "InProgress"):
            raise AwsError("ConflictException", f"{arn} is being validated and cannot be deleted now.")
        del self.store.table(kind.table)[arn]
        self.store.save()
        return {}

    def _tags(self, request: Request) -> dict[str, Any]:
        with self.store.lock:
            found = self.find(str(request.params["ResourceArn"]))
        if found is None or found[1]["account"] != request.account:
            raise AwsError("ValidationException", f"Resource {request.params['ResourceArn']} does not exist.")
        return {"Tags": found[1]["params"].get("Tags", [])}
