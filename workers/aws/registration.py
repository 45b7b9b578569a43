"""From a version's spec and what was pushed to the request that registers it. Pure: no network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from listings.problems import ProblemError
from listings.spec import VersionSpec
from listings.spec.models import RequestSample

HASH_TAG = "slipway:request"
#: Gigabytes for the validation's training job: SageMaker wants a number, a sample needs little.
VOLUME_GB = 30
_SHORTEST_RUN = 3600


class RegistrationTeam(Protocol):
    @property
    def s3_bucket(self) -> str: ...
    @property
    def validation_role_arn(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Registration:
    """One CreateAlgorithm or CreateModelPackage. ``request_sha256`` covers all of ``params`` but the tags."""

    prefix: str  # "Algorithm" | "ModelPackage", as SageMaker's fields begin
    name: str
    params: dict[str, Any]
    request_sha256: str

    @property
    def words(self) -> str:
        return "the algorithm" if self.prefix == "Algorithm" else "the model package"

    def request(self) -> dict[str, Any]:
        """What is sent: the parameters, tagged with their hash so that a retry knows its own work."""
        tags = [{"Key": HASH_TAG, "Value": self.request_sha256}, {"Key": "slipway:managed", "Value": "true"}]
        sent = {**self.params, "Tags": tags}
        if self.prefix == "ModelPackage":
            sent["ClientToken"] = self.request_sha256[:36]
        return sent


def validation_request(spec: VersionSpec) -> RequestSample | None:
    """The request sample that AWS's validation sends: the first that the container must answer well."""
    samples = spec.tests.inference.requests if spec.tests.inference else []
    return next((sample for sample in samples if sample.expect.status < 400), None)


def register_request(spec: VersionSpec, push: Mapping[str, Any], team: RegistrationTeam, name: str) -> Registration:
    """The request for ``spec`` with the image and inputs that ``push`` (the push step's facts) placed.

    Raises ProblemError REGISTER-FACTS-MISSING.
    """
    image, digest = f"{_need(push, 'repository_uri')}:{_need(push, 'tag')}", _need(push, "digest")
    inference = spec.inference_specification(image, digest, _model_data_urls(spec, push))
    params: dict[str, Any] = {
        f"{spec.kind}Name": name,
        f"{spec.kind}Description": spec.listing.short_description[:1024].replace("\n", " "),
        "TrainingSpecification": spec.training_specification(image, digest) if spec.kind == "Algorithm" else None,
        "InferenceSpecification": inference,
        "ValidationSpecification": {
            "ValidationRole": team.validation_role_arn,
            "ValidationProfiles": [_profile(spec, push, f"s3://{team.s3_bucket}/slipway/validation/{name}")],
        },
        "CertifyForMarketplace": True,
    }
    params = {key: value for key, value in params.items() if value not in (None, "")}
    return Registration(spec.kind, name, params, _hash(params))


def _model_data_urls(spec: VersionSpec, push: Mapping[str, Any]) -> list[str]:
    """Of each inference container, "" where its model lies in the image."""
    if spec.kind != "ModelPackage":
        return []
    links = spec.inference.Containers if spec.inference else []
    if links:
        uris = push.get("artifact_uris") or {}
        return [_need(uris, link.ContainerHostname) if link.artifact else "" for link in links]
    in_image = spec.artifact is not None and spec.artifact.in_image
    return [str(push.get("artifact_uri") or "") if in_image else _need(push, "artifact_uri")]


def _hash(params: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _need(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if not value:
        raise ProblemError("REGISTER-FACTS-MISSING", missing=name)
    return str(value)


def _profile(spec: VersionSpec, push: Mapping[str, Any], output: str) -> dict[str, Any]:
    validation = push.get("validation") or {}
    profile: dict[str, Any] = {"ProfileName": "slipway-validation"}
    if spec.kind == "Algorithm":
        profile["TrainingJobDefinition"] = _training_job(spec, validation.get("training") or {}, f"{output}/training")
    sample = validation_request(spec)
    if spec.inference is not None and sample is not None:
        source = _need(validation, "transform")
        profile["TransformJobDefinition"] = _transform_job(spec, sample, source, f"{output}/transform")
    return profile


def _s3_source(uri: str) -> dict[str, Any]:
    return {"S3DataType": "S3Prefix", "S3Uri": uri}


def _training_job(spec: VersionSpec, channels: Mapping[str, str], output: str) -> dict[str, Any]:
    test = spec.tests.training
    if test is None or not channels:
        raise ProblemError("REGISTER-FACTS-MISSING", missing="the training sample")
    inputs = []
    for name, uri in channels.items():
        source = {**_s3_source(uri), "S3DataDistributionType": "FullyReplicated"}
        channel: dict[str, Any] = {"ChannelName": name, "DataSource": {"S3DataSource": source}}
        sample = test.channels.get(name)
        if sample is not None and sample.content_type:
            channel["ContentType"] = sample.content_type
        inputs.append(channel)
    return {
        "TrainingInputMode": spec.training_input_mode() or "File",
        "HyperParameters": dict(test.hyperparameters),
        "InputDataConfig": inputs,
        "OutputDataConfig": {"S3OutputPath": output},
        "ResourceConfig": {"InstanceType": test.instance_type, "InstanceCount": 1, "VolumeSizeInGB": VOLUME_GB},
        "StoppingCondition": {"MaxRuntimeInSeconds": max(_SHORTEST_RUN, 2 * test.timeout_seconds)},
    }


def _transform_job(spec: VersionSpec, sample: RequestSample, source: str, output: str) -> dict[str, Any]:
    test = spec.tests.inference
    assert test is not None
    job: dict[str, Any] = {
        "TransformInput": {
            "DataSource": {"S3DataSource": _s3_source(source)},
            "ContentType": sample.content_type,
            "CompressionType": "None",
            "SplitType": "None",
        },
        "TransformOutput": {"S3OutputPath": output, "AssembleWith": "None"},
        "TransformResources": {"InstanceType": test.instance_type, "InstanceCount": 1},
    }
    if sample.accept:
        job["TransformOutput"]["Accept"] = sample.accept
    if test.environment:
        job["Environment"] = dict(test.environment)
    return job


def difference(described: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """The first field in which what SageMaker holds is not what would be sent; empty when there is none.

    SageMaker adds fields of its own, so only what would be sent is compared.
    """
    return _difference(described, params, "")


def _difference(held: Any, sent: Any, path: str) -> str:
    if isinstance(sent, Mapping) and isinstance(held, Mapping):
        for key, value in sent.items():
            found = _difference(held.get(key), value, f"{path}.{key}" if path else key)
            if found:
                return found
        return ""
    if isinstance(sent, list) and isinstance(held, list) and len(sent) == len(held):
        pairs = enumerate(zip(held, sent, strict=True))
        return next((found for i, (one, other) in pairs if (found := _difference(one, other, f"{path}[{i}]"))), "")
    return "" if held == sent or (sent in ({}, []) and held is None) else path
