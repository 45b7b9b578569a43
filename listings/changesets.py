"""The Catalog change set that puts a registered resource on the Marketplace. Pure: no Django, no network.

One ``AddDeliveryOptions`` on the listing's product. Field names, limits and what is required follow the
Marketplace Catalog API's page on adding a version to a machine learning product and its published shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from listings.reports import CheckOutcome, CheckReport
from listings.spec import VersionSpec

ChangeSet = list[dict[str, Any]]

PRODUCT_TYPE = "MachineLearningProduct@1.0"
PRODUCT_ID = re.compile(r"prod-[a-z0-9]{4,59}")
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[A-Za-z0-9_+=,.@-]+")
_URL = re.compile(r"https://(www\.)?[-a-zA-Z0-9@._]{1,256}\.[a-zA-Z0-9()]{2,63}\b[-a-zA-Z0-9@_+./]*")
_NAME = re.compile(r"[ -~]+")
#: Kind in the spec -> (delivery option, its ARN field, the ARN's form).
_OPTIONS = {
    "Algorithm": ("SageMakerAlgorithmDeliveryOptionDetails", "SageMakerAlgorithmArn", "algorithm"),
    "ModelPackage": ("SageMakerModelPackageDeliveryOptionDetails", "SageMakerModelPackageArn", "model-package"),
}
#: Purpose -> where the spec lists the instance types that may be recommended.
_SUPPORTED = {
    "Training": ("training", "SupportedTrainingInstanceTypes"),
    "BatchTransform": ("inference", "SupportedTransformInstanceTypes"),
    "RealtimeInference": ("inference", "SupportedRealtimeInferenceInstanceTypes"),
}


class TeamFields(Protocol):
    @property
    def access_role_arn(self) -> str: ...


class ListingFields(Protocol):
    """What the change set takes from a listing besides the version's spec."""

    @property
    def product_id(self) -> str: ...
    @property
    def team(self) -> TeamFields: ...


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """``field`` is the Catalog's name, ``spec_field`` what the seller fills in, ``detail`` what is wrong."""

    code: str
    field: str
    spec_field: str
    detail: str

    def as_check(self) -> CheckReport:
        params = {"field": self.field, "spec_field": self.spec_field, "detail": self.detail}
        return CheckReport(self.code, CheckOutcome.FAIL, params)


def build(
    spec: Mapping[str, Any], *, arn: str, product_id: str, access_role_arn: str, version: str, release_notes: str = ""
) -> ChangeSet:
    """The change set for the version described by ``spec`` (VersionSpec as JSON) and registered as ``arn``.

    ``version`` becomes the title that buyers choose by; ``release_notes`` stands in where the spec has none.
    Nothing is invented: what the seller left empty stays out, and ``problems`` names it.
    """
    listing = spec.get("listing") or {}
    option, arn_field, _ = _OPTIONS[str(spec["kind"])]
    details = {
        arn_field: arn,
        "AccessRoleArn": access_role_arn,
        "UsageInstructions": listing.get("usage_instructions"),
        "SampleNotebookUrl": listing.get("sample_notebook_url"),
        "RepositoryUrl": listing.get("repository_url"),
        "InputProperties": _input(listing.get("input") or {}),
        "OutputProperties": _output(listing.get("output") or {}),
        "RecommendedInstanceTypes": _recommended(spec),
    }
    document = {
        "Version": _filled(
            {
                "VersionTitle": version,
                "ReleaseNotes": listing.get("release_notes") or release_notes,
            }
        ),
        "DeliveryOptions": [{"Details": {option: _filled(details)}}],
    }
    return [
        {
            "ChangeType": "AddDeliveryOptions",
            "Entity": {"Type": PRODUCT_TYPE, "Identifier": product_id},
            "DetailsDocument": document,
        }
    ]


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: the Catalog refuses empty texts even where a field is optional."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _sample(text: str | None) -> dict[str, Any]:
    return {"RealtimeInferenceText": text, "BatchTransformText": text} if text else {}


def _input(given: Mapping[str, Any]) -> dict[str, Any]:
    return _filled(
        {
            "Description": given.get("description"),
            "Limitations": given.get("limitations"),
            "SampleInput": _sample(given.get("sample")),
            "Parameters": [
                _filled(
                    {
                        "Name": each.get("name"),
                        "Description": each.get("description"),
                        "Constraints": each.get("constraints"),
                        "Required": bool(each.get("required")),
                    }
                )
                for each in given.get("parameters") or []
            ],
        }
    )


def _output(given: Mapping[str, Any]) -> dict[str, Any]:
    return _filled(
        {
            "Description": given.get("description"),
            "SampleOutput": _sample(given.get("sample")),
            "Parameters": [
                _filled(
                    {
                        "Name": each.get("name"),
                        "Description": each.get("description"),
                        "AlwaysReturned": bool(each.get("always_returned")),
                    }
                )
                for each in given.get("parameters") or []
            ],
        }
    )


def _supported(spec: Mapping[str, Any], purpose: str) -> list[str]:
    part, field = _SUPPORTED[purpose]
    return list((spec.get(part) or {}).get(field) or [])


def _recommended(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the seller recommends; where nothing is said, the first type that the version supports."""
    chosen = (spec.get("listing") or {}).get("recommended_instance_types") or {}
    return _filled(
        {purpose: chosen.get(purpose) or next(iter(_supported(spec, purpose)), None) for purpose in _SUPPORTED}
    )


def problems(change_set: ChangeSet, spec: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    """Every required field that is missing and every field that the Catalog would refuse, in reading order."""
    change = change_set[0]
    document = change["DetailsDocument"]
    kind = str(spec["kind"])
    option, arn_field, arn_kind = _OPTIONS[kind]
    details = document["DeliveryOptions"][0]["Details"][option]
    arn_form = re.compile(rf"arn:aws:sagemaker:[a-z0-9-]{{4,24}}:\d{{12}}:{arn_kind}/\S{{1,2048}}")
    found = [
        *_pattern(change["Entity"], "Identifier", "the listing's product id", PRODUCT_ID, "prod-…"),
        *_text(document["Version"], "VersionTitle", "the version's number", 64),
        *_text(document["Version"], "ReleaseNotes", "listing.release_notes", 30_000),
        *_pattern(details, arn_field, "the registered resource", arn_form, f"arn:aws:sagemaker:…:{arn_kind}/…"),
        *_pattern(details, "AccessRoleArn", "the team's access role", _ROLE, "arn:aws:iam::…:role/name, no path"),
        *_text(details, "UsageInstructions", "listing.usage_instructions", 10_000),
        *_url(details, "SampleNotebookUrl", "listing.sample_notebook_url"),
        *_url(details, "RepositoryUrl", "listing.repository_url"),
        *_properties(details.get("InputProperties") or {}, "Input"),
        *_properties(details.get("OutputProperties") or {}, "Output"),
        *_recommendations(details.get("RecommendedInstanceTypes") or {}, spec),
    ]
    return tuple(found)


def faults(spec: VersionSpec, listing: ListingFields) -> tuple[FieldProblem, ...]:
    """What would keep a version from being published, known before it is registered."""
    data = spec.as_json()
    kind = _OPTIONS[str(spec.kind)][2]
    change_set = build(
        data,
        arn=f"arn:aws:sagemaker:us-east-1:000000000000:{kind}/not-registered-yet",
        version="0.0.0",
        product_id=listing.product_id,
        access_role_arn=listing.team.access_role_arn,
    )
    return problems(change_set, data)


def missing_fields(spec: VersionSpec, listing: ListingFields) -> tuple[str, ...]:
    """The places to fill in before a version can be published, each once."""
    return tuple(dict.fromkeys(fault.spec_field for fault in faults(spec, listing)))


def _missing(field: str, spec_field: str) -> FieldProblem:
    return FieldProblem("CHANGESET-FIELD-MISSING", field, spec_field, "it is empty")


def _invalid(field: str, spec_field: str, detail: str) -> FieldProblem:
    return FieldProblem("CHANGESET-FIELD-INVALID", field, spec_field, detail)


def _text(
    fields: Mapping[str, Any], name: str, spec_field: str, longest: int, *, label: str = "", required: bool = True
) -> Iterable[FieldProblem]:
    text = str(fields.get(name) or "")
    if not text.strip():
        if required:
            yield _missing(label or name, spec_field)
    elif len(text) > longest:
        yield _invalid(label or name, spec_field, f"it has {len(text)} characters, the limit is {longest}")


def _pattern(
    fields: Mapping[str, Any], name: str, spec_field: str, form: re.Pattern[str], shown: str
) -> Iterable[FieldProblem]:
    text = str(fields.get(name) or "")
    if not text:
        yield _missing(name, spec_field)
    elif not form.fullmatch(text):
        yield _invalid(name, spec_field, f"{text!r} is not of the form {shown}")


def _url(fields: Mapping[str, Any], name: str, spec_field: str) -> Iterable[FieldProblem]:
    text = str(fields.get(name) or "")
    if text and len(text) > 2_000:
        yield _invalid(name, spec_field, f"it has {len(text)} characters, the limit is 2000")
    else:
        yield from _pattern(fields, name, spec_field, _URL, "https://host.name/path, without a query")


def _properties(fields: Mapping[str, Any], side: str) -> Iterable[FieldProblem]:
    """``side`` is Input or Output; the Catalog allows 35 parameters on each."""
    part, spec_part = f"{side}Properties", f"listing.{side.lower()}"
    yield from _text(fields, "Description", f"{spec_part}.description", 10_000, label=f"{part}.Description")
    yield from _text(
        fields, "Limitations", f"{spec_part}.limitations", 1_000, label=f"{part}.Limitations", required=False
    )
    sample = fields.get(f"Sample{side}") or {}
    yield from _text(sample, "RealtimeInferenceText", f"{spec_part}.sample", 10_000, label=f"{part}.Sample{side}")
    parameters = fields.get("Parameters") or []
    if len(parameters) > 35:
        yield _invalid(f"{part}.Parameters", f"{spec_part}.parameters", f"{len(parameters)} are given, the limit is 35")
    for number, parameter in enumerate(parameters):
        yield from _parameter(parameter, f"{part}.Parameters[{number}]", f"{spec_part}.parameters[{number}]")


def _parameter(fields: Mapping[str, Any], part: str, spec_part: str) -> Iterable[FieldProblem]:
    yield from _text(fields, "Name", f"{spec_part}.name", 100, label=f"{part}.Name")
    name = str(fields.get("Name") or "")
    if name and not _NAME.fullmatch(name):
        yield _invalid(f"{part}.Name", f"{spec_part}.name", "only printable ASCII is allowed")
    yield from _text(fields, "Description", f"{spec_part}.description", 1_000, label=f"{part}.Description")
    yield from _text(
        fields, "Constraints", f"{spec_part}.constraints", 1_500, label=f"{part}.Constraints", required=False
    )


def _recommendations(chosen: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterable[FieldProblem]:
    """A recommendation for each purpose that the version supports, and out of what it supports."""
    for purpose in _SUPPORTED:
        field = f"RecommendedInstanceTypes.{purpose}"
        spec_field = f"listing.recommended_instance_types.{purpose}"
        supported = _supported(spec, purpose)
        given = chosen.get(purpose)
        if supported and given not in supported:
            yield _invalid(field, spec_field, f"{given} is not among the supported types: {', '.join(supported)}")
        elif given and not supported:
            yield _invalid(field, spec_field, "the version lists no supported types for this purpose")
    if not chosen:
        yield _missing("RecommendedInstanceTypes", "listing.recommended_instance_types")
