"""What the Marketplace looks for in one AddDeliveryOptions change, and the error codes that it answers with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workers.aws.standin.request import Request
from workers.aws.standin.sagemaker import SageMaker
from workers.aws.standin.store import Store

Finding = tuple[str, str]

_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[A-Za-z0-9_+=,.@-]+")
_URL = re.compile(r"https://[-a-zA-Z0-9@._]{1,256}\.[a-zA-Z0-9()]{2,63}\b[-a-zA-Z0-9@_+./]*")
#: Field (dotted) and its longest text.
_TEXTS = {
    "UsageInstructions": 10_000,
    "SampleNotebookUrl": 2_000,
    "RepositoryUrl": 2_000,
    "InputProperties.Description": 10_000,
    "OutputProperties.Description": 10_000,
}
_OBJECTS = ("InputProperties.SampleInput", "OutputProperties.SampleOutput", "RecommendedInstanceTypes")
_SUPPORTED = {
    "Training": ("TrainingSpecification", "SupportedTrainingInstanceTypes"),
    "BatchTransform": ("InferenceSpecification", "SupportedTransformInstanceTypes"),
    "RealtimeInference": ("InferenceSpecification", "SupportedRealtimeInferenceInstanceTypes"),
}


def _code(path: str) -> str:
    """``InputProperties.SampleInput`` -> ``INPUT_PROPERTIES_SAMPLE_INPUT``."""
    return "_".join(re.findall(r"[A-Z][a-z]*", path)).upper()


def _at(value: dict[str, Any], path: str) -> Any:
    found: Any = value
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def delivery_faults(change: dict[str, Any], request: Request, store: Store, sagemaker: SageMaker) -> Iterator[Finding]:
    """Every fault of the change as (code, message)."""
    details = change["DetailsDocument"]
    options = details.get("DeliveryOptions") or []
    if len(options) != 1 or len(options[0].get("Details") or {}) != 1:
        yield "INVALID_INPUT", "Provide exactly one delivery option."
        return
    shape, option = next(iter(options[0]["Details"].items()))
    product = store.table("products")[change["Entity"]["Identifier"]]
    yield from _version_faults(details.get("Version") or {}, product)
    arn_field = {
        "SageMakerAlgorithmDeliveryOptionDetails": "SageMakerAlgorithmArn",
        "SageMakerModelPackageDeliveryOptionDetails": "SageMakerModelPackageArn",
    }.get(shape)
    if arn_field is None:
        yield "INVALID_INPUT", f"{shape} is not a delivery option of a machine learning product."
        return
    yield from _text_faults(option)
    yield from _asset_faults(str(option.get(arn_field) or ""), option, product, request, sagemaker)


def _version_faults(version: dict[str, Any], product: dict[str, Any]) -> Iterator[Finding]:
    title, notes = str(version.get("VersionTitle") or ""), str(version.get("ReleaseNotes") or "")
    if not title.strip():
        yield "MISSING_VERSION_TITLE", "VersionTitle is required."
    elif len(title) > 64:
        yield "INVALID_VERSION_TITLE", "VersionTitle has more than 64 characters."
    elif any(known["VersionTitle"] == title for known in product["versions"]):
        yield "DUPLICATE_VERSION_TITLE", "The provided version title is already in use. Create a unique version title."
    if not notes.strip():
        yield "MISSING_RELEASE_NOTES", "ReleaseNotes is required."
    elif len(notes) > 30_000:
        yield "INVALID_RELEASE_NOTES", "ReleaseNotes has more than 30000 characters."


def _text_faults(option: dict[str, Any]) -> Iterator[Finding]:
    for path, longest in _TEXTS.items():
        text = _at(option, path)
        if not isinstance(text, str) or not text.strip():
            yield f"MISSING_{_code(path)}", f"{path} is required."
        elif len(text) > longest:
            yield f"INVALID_{_code(path)}", f"{path} has more than {longest} characters."
        elif path.endswith("Url") and not _URL.fullmatch(text):
            yield f"INVALID_{_code(path)}", f"{path} is not a valid https address."
    for path in _OBJECTS:
        if not _at(option, path):
            yield f"MISSING_{_code(path)}", f"{path} is required."
    role = str(option.get("AccessRoleArn") or "")
    if not role:
        yield "MISSING_ACCESS_ROLE_ARN", "AccessRoleArn is required."
    elif not _ROLE.fullmatch(role):
        yield "INVALID_ACCESS_ROLE", "We couldn't locate the IAM role ARN you provided."


def _asset_faults(
    arn: str, option: dict[str, Any], product: dict[str, Any], request: Request, sagemaker: SageMaker
) -> Iterator[Finding]:
    if not re.fullmatch(r"arn:aws:sagemaker:[a-z0-9-]{4,24}:\d{12}:(algorithm|model-package)/\S{1,2048}", arn):
        yield "INVALID_ASSET_ARN", "You didn't provide a valid ARN. Enter a valid ARN and try again."
        return
    found = sagemaker.find(arn)
    if found is None or found[1]["account"] != request.account:
        yield "ASSET_NOT_FOUND", "We couldn't locate the ARN you provided."
        return
    record = found[1]
    if any(known["Arn"] == arn for known in product["versions"]):
        yield "DUPLICATE_ASSET", "You didn't provide a unique ARN for this product."
    if sagemaker.status(record) != "Completed" or not record["params"].get("CertifyForMarketplace"):
        yield "ASSET_VALIDATION_EXCEPTION", f"Unable to ingest {arn}: it is not certified for AWS Marketplace."
    recommended = option.get("RecommendedInstanceTypes") or {}
    for purpose, (specification, field) in _SUPPORTED.items():
        supported = (record["params"].get(specification) or {}).get(field) or []
        if supported and recommended.get(purpose) not in supported:
            yield (
                "INVALID_RECOMMENDED_INSTANCE_TYPE",
                f"You didn't provide a valid instance type for {purpose}. Valid types are: {', '.join(supported)}",
            )
