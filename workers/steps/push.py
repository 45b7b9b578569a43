"""Push: the tested image, byte for byte, to the team's ECR; what AWS validates with, to the team's bucket.

Everything is placed under its digest, so a step that is tried again sends nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from listings.blobs import open_blob
from listings.models import Team
from listings.problems import ProblemError
from listings.reports import Evidence, StepReport
from listings.spec import VersionSpec
from workers.aws import ecr as aws_ecr
from workers.aws import s3
from workers.aws.registration import validation_request
from workers.aws.sessions import Clients, session_for
from workers.registries import (
    DOCKER_MANIFEST,
    CopyFailed,
    Credentials,
    Registry,
    RegistryClient,
    RegistryError,
    TagTaken,
    copy_image,
    ecr,
    staging,
)
from workers.sources.samples import Sample, extract, set_digest
from workers.steps.contract import StepContext

#: Where Slipway keeps its objects in a team's bucket.
ARTIFACTS, SAMPLES = "slipway/artifacts", "slipway/samples"


def execute(context: StepContext) -> StepReport:
    team = context.version.listing.team
    _require_places(team)
    clients = session_for(team)
    clients.verify_account()
    s3.ensure_bucket(clients, team.s3_bucket)
    facts = _push_image(context, clients, team)
    context.stop.check()
    spec = VersionSpec.stored(dict(context.facts["fetch"]["spec"]))
    facts |= _push_artifacts(context, clients, team.s3_bucket, spec.kind)
    facts["validation"] = _push_samples(context, clients, team.s3_bucket, spec)
    return StepReport(facts)


def _require_places(team: Team) -> None:
    missing = [name for name, value in (("S3 bucket", team.s3_bucket), ("ECR prefix", team.ecr_prefix)) if not value]
    if missing:
        raise ProblemError("AWS-NOT-CONNECTED", missing=", ".join(missing))


# -- the image ---------------------------------------------------------------------------------------


def repository_name(prefix: str, slug: str) -> str:
    """The ECR repository of a listing: one per listing, below the team's prefix."""
    return f"{prefix.strip('/')}/{slug}".strip("/").lower()


def tag_name(version: str, digest: str) -> str:
    """``<version>-<first 12 of digest>``; what a tag may not hold (a semantic version's ``+``) becomes ``_``."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', version)[:100]}-{digest.removeprefix('sha256:')[:12]}"


def _push_image(context: StepContext, clients: Clients, team: Team) -> dict[str, Any]:
    staged = context.staged
    digest = staged.digest
    tag = tag_name(context.version.number, digest)
    context.log.section("Image")
    name = repository_name(team.ecr_prefix, context.version.listing.slug)
    uri = aws_ecr.ensure_repository(clients, name)
    signed_in = aws_ecr.authorization(clients)
    credentials = Credentials(signed_in.username, signed_in.password)
    target = ecr(uri, signed_in.endpoint, credentials)
    sent = _copy(context, (staging(), staged.repository), digest, target, tag)
    context.log.line(f"{'Copied to' if sent else 'Already there:'} {uri}:{tag}", "slipway")
    _verify(target, tag, digest)
    media_type = aws_ecr.manifest_media_type(clients, name, digest)
    if media_type != DOCKER_MANIFEST:
        raise ProblemError("PUSH-MEDIA-TYPE", repository=uri, media_type=media_type or "nothing")
    return {
        "repository_uri": uri,
        "digest": digest,
        "tag": tag,
        "media_type": media_type,
        "image_uri": f"{uri}@{digest}",
    }


def _copy(
    context: StepContext, source: tuple[Registry, str], digest: str, target: tuple[Registry, str], tag: str
) -> bool:
    name = target[0].public_reference(target[1])
    _require_staged(source, digest)
    try:
        return copy_image(
            source,
            digest,
            target,
            tag,
            workdir=context.workdir,
            stop=context.stop,
            say=context.log.line,
            timeout=settings.SLIPWAY.push_timeout_seconds,
        )
    except TagTaken as error:
        raise ProblemError("PUSH-TAG-TAKEN", repository=name, tag=tag, found=error.digest) from error
    except RegistryError as error:
        raise ProblemError("PUSH-REGISTRY", repository=name, detail=error) from error
    except CopyFailed as error:
        evidence = tuple(Evidence(line) for line in error.lines[-5:])
        raise ProblemError("PUSH-COPY", evidence=evidence, repository=name, detail=error) from error


def _require_staged(source: tuple[Registry, str], digest: str) -> None:
    """Tell a staging image that is gone from a target that refuses."""
    try:
        with RegistryClient(source[0]) as client:
            found = client.find(source[1], digest)
    except RegistryError as error:
        raise ProblemError("IMAGE-REGISTRY", detail=error) from error
    if found is None:
        raise ProblemError("IMAGE-GONE", detail=f"{source[1]} has no {digest}")


def _verify(target: tuple[Registry, str], tag: str, digest: str) -> None:
    """Read back what lies under the tag and hash it: the registry's word is not taken for it."""
    name = target[0].public_reference(target[1])
    try:
        with RegistryClient(target[0]) as client:
            found = client.manifest(target[1], tag)
    except RegistryError as error:
        raise ProblemError("PUSH-REGISTRY", repository=name, detail=error) from error
    if found.digest != digest:
        raise ProblemError("PUSH-DIGEST", repository=name, tag=tag, found=found.digest, digest=digest)
    if found.media_type != DOCKER_MANIFEST:
        raise ProblemError("PUSH-MEDIA-TYPE", repository=name, media_type=found.media_type)


# -- what AWS validates with -------------------------------------------------------------------------


def _push_artifacts(context: StepContext, clients: Clients, bucket: str, kind: str) -> dict[str, Any]:
    """A model package's archives. An algorithm's model is made by AWS's own training and never sent.

    ``artifact_uri``: the one archive, or None; ``artifact_uris``: those of a pipeline, by container.
    """
    fetch = context.facts["fetch"]
    if kind != "ModelPackage":
        return {"artifact_uri": None, "artifact_uris": {}}
    own = {"sha256": fetch.get("artifact_sha256"), "bytes": fetch.get("artifact_bytes")}
    pipeline = fetch.get("artifacts") or {}
    if own["sha256"] or pipeline:
        context.log.section("Model artifacts")
    return {
        "artifact_uri": _push_artifact(context, clients, bucket, own) if own["sha256"] else None,
        "artifact_uris": {name: _push_artifact(context, clients, bucket, each) for name, each in pipeline.items()},
    }


def _push_artifact(context: StepContext, clients: Clients, bucket: str, artifact: Mapping[str, Any]) -> str:
    sha256, size = str(artifact["sha256"]), int(artifact["bytes"])
    try:
        with open_blob(sha256) as body:
            uri = s3.put_by_digest(clients, bucket, ARTIFACTS, "model.tar.gz", body, sha256=sha256, size=size)
    except FileNotFoundError as error:
        raise ProblemError("PUSH-STORAGE", what="The model artifact", sha256=sha256) from error
    context.log.line(uri, "slipway")
    return uri


def _push_samples(context: StepContext, clients: Clients, bucket: str, spec: VersionSpec) -> dict[str, Any]:
    """The sample data, each set under a prefix of its own: SageMaker reads everything below the address it is given."""
    training_test = spec.tests.training
    channels = {name: sample.path for name, sample in training_test.channels.items()} if training_test else {}
    requests = transform_samples(spec)
    if not channels and not requests:
        return {"training": {}, "transform": None}
    context.log.section("Validation inputs")
    found = _from_source(context, [*channels.values(), *requests])
    training = {}
    for name, path in channels.items():
        samples = _present(found, path, f"the channel {name}")
        training[name] = _put_set(context, clients, bucket, samples)
    numbered: list[Sample] = []
    for number, path in enumerate(requests, 1):
        numbered.extend(
            replace(sample, name=f"{number:02d}-{sample.name}") for sample in _present(found, path, "a request sample")
        )
    return {"training": training, "transform": _put_set(context, clients, bucket, numbered) if numbered else None}


def transform_samples(spec: VersionSpec) -> list[str]:
    """The request bodies that AWS's batch transform is given: the one that is registered, and those of its types.

    One job has one content type and one accept type, and one record that is answered badly fails it all (contract
    reference, 2.4), so samples of bad input stay here.
    """
    first = validation_request(spec)
    if first is None or spec.tests.inference is None:
        return []
    alike = [
        sample.body for sample in spec.tests.inference.requests
        if (sample.content_type, sample.accept) == (first.content_type, first.accept) and sample.expect.status < 300
    ]  # fmt: skip
    return list(dict.fromkeys([first.body, *alike]))


def _from_source(context: StepContext, paths: list[str]) -> dict[str, list[Sample]]:
    sha256 = str(context.facts["fetch"]["archive_sha256"])
    try:
        with open_blob(sha256) as archive:
            return extract(archive, paths, context.workdir / "samples", context.stop.check)
    except FileNotFoundError as error:
        raise ProblemError("PUSH-STORAGE", what="The version's source", sha256=sha256) from error


def _present(found: dict[str, list[Sample]], path: str, use: str) -> list[Sample]:
    if not found[path]:
        raise ProblemError("PUSH-SAMPLE-MISSING", path=path, use=use)
    return found[path]


def _put_set(context: StepContext, clients: Clients, bucket: str, samples: list[Sample]) -> str:
    folder = f"{SAMPLES}/sha256/{set_digest(samples)}"
    for sample in samples:
        context.stop.check()
        with sample.file.open("rb") as body:
            s3.put(clients, bucket, f"{folder}/{sample.name}", body, sha256=sample.sha256, size=sample.size)
    context.log.line(f"{s3.uri(bucket, folder)}/: {len(samples)} files", "slipway")
    return f"{s3.uri(bucket, folder)}/"
