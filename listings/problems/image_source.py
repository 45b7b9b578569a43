"""Problems of this area: an existing image, fetched from the registry that the seller names."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_FIX, _RETRY, _CALL = NextAction.FIX_INPUT, NextAction.RETRY_STEP, NextAction.CALL_OPERATOR
_DOCKER = "Docker, Image manifest version 2, schema 2"
_OCI = "OCI image specification 1.1"
_DISTRIBUTION = "OCI distribution specification 1.1"
_AWS = "CreateModel refuses application/vnd.oci.image.manifest.v1+json and every index"


def _seller(code: str, title: str, cause: str, remedy: str, action: NextAction, source: str = "") -> Problem:
    return Problem(f"SOURCE-IMAGE-{code}", Owner.SELLER, title, cause, remedy, action, source)


def _platform(code: str, title: str, cause: str, remedy: str, action: NextAction = _RETRY) -> Problem:
    return Problem(f"SOURCE-IMAGE-{code}", Owner.PLATFORM, title, cause, remedy, action)


_FINDING = (
    _seller(
        "STAGING",
        "The reference leads to Slipway's own registry",
        "{reference} names the staging registry of this installation, whose images belong to other runs.",
        "Name the image in your own registry.",
        _FIX,
    ),
    _seller(
        "NOT-FOUND",
        "There is no such image",
        "{host} has no repository “{repository}”, or does not show it without a sign-in.",
        "Check the spelling; if the repository is private, choose a registry password for {host} in the version.",
        _RETRY,
        _DISTRIBUTION,
    ),
    _seller(
        "NO-TAG",
        "The image has no such tag",
        "{host}/{repository} has no tag “{tag}”.",
        "Push the tag and retry this step, or submit a version with a tag that exists.",
        _RETRY,
        _DISTRIBUTION,
    ),
    _seller(
        "NO-DIGEST",
        "The image is no longer at its registry",
        "{host}/{repository} has nothing under {digest}{pinned}.",
        "Push that very image again and retry this step, or submit a new version for the image that is there now.",
        _RETRY,
        _DISTRIBUTION,
    ),
    _seller(
        "PRIVATE",
        "The registry asks for a sign-in",
        "{host} does not show “{repository}” to everybody, and the version has no registry password. Many registries "
        "answer the same for a repository that does not exist.",
        "Make a registry password for {host} on the team's page and submit a version with it; check the spelling, too.",
        _FIX,
        _DISTRIBUTION,
    ),
    _seller(
        "CREDENTIALS",
        "The registry refuses the password",
        "{host} does not accept the user name and password of “{credential}”.",
        "Rotate the credential with a password or token that is valid, then retry this step.",
        _RETRY,
        _DISTRIBUTION,
    ),
    _seller(
        "DENIED",
        "The account may not read the image",
        "{host} does not let the account {account} read “{repository}”, or there is no such repository.",
        "Give the account the right to pull at the registry, or choose another credential; then retry this step.",
        _RETRY,
        _DISTRIBUTION,
    ),
    _seller(
        "SIGN-IN-ELSEWHERE",
        "The registry wants the password sent elsewhere",
        "{host} asks to sign in at {realm}. A password is sent to its own host only, or to one of the same domain.",
        "Use the registry's own address in the reference and in the credential; where the sign-in really is at another "
        "host, ask the operator to list {realm} under SLIPWAY_SOURCE_ALLOW_HOSTS.",
        _FIX,
        "Docker, Registry token authentication",
    ),
)

_REACHING = (
    _seller(
        "UNREACHABLE",
        "The registry does not answer",
        "{host} cannot be reached: {detail}.",
        "Check the host in the reference; if it is right, retry this step once the registry is back.",
        _RETRY,
    ),
    _seller(
        "REGISTRY",
        "The registry answered with an error",
        "{host} answered: {detail}",
        "Retry this step; if it persists, ask those who run the registry.",
        _RETRY,
        _DISTRIBUTION,
    ),
    _seller(
        "RATE-LIMIT",
        "The registry allows no more downloads now",
        "{host} limits how often images are downloaded: {detail}",
        "Retry this step later, or choose a registry password: signed-in accounts are usually allowed more.",
        _RETRY,
    ),
    _seller(
        "TLS",
        "The registry's certificate is not trusted",
        "The connection to {host} is not secure: {detail}.",
        "Give the registry a certificate of a public authority with its whole chain; for a private authority, ask the "
        "operator to add it to the workers (SSL_CERT_FILE). Then retry this step.",
        _RETRY,
    ),
    _seller(
        "PLAIN-HTTP",
        "The registry speaks plain HTTP",
        "{host} answers without TLS, so anybody on the way could change the image.",
        "Put the registry behind HTTPS, or ask the operator to list {host} under SLIPWAY_SOURCE_ALLOW_HOSTS; then "
        "retry this step.",
        _RETRY,
    ),
    _seller(
        "REDIRECTS",
        "The registry sends elsewhere without an end",
        "{host} answers with redirects only: {detail}.",
        "Name the registry by its own address.",
        _FIX,
    ),
    _seller(
        "BROKEN",
        "The image's bytes are not the promised ones",
        "{host} sent {what} that is not what its digest or size says: {detail}.",
        "Retry this step; if it happens again, push the image anew: it is damaged at the registry.",
        _RETRY,
        _DISTRIBUTION,
    ),
)

_SHAPE = (
    _seller(
        "PLATFORM",
        "The image is not for linux/amd64",
        "{reference} exists for {platforms} only. AWS validates every algorithm and model package on x86-64 machines.",
        "Build it with --platform linux/amd64 (or add that platform to the index), push it under the same tag, and "
        "retry this step.",
        _RETRY,
        "SageMaker API, TransformInstanceType: no ARM instance type can run the validation's transform job",
    ),
    _seller(
        "NOT-IMAGE",
        "The reference is not a container image",
        "{reference} is {what}, which no container can be started from.",
        "Name the image itself: signatures, SBOMs and charts often lie beside it under another tag.",
        _FIX,
        _OCI,
    ),
    _seller(
        "SCHEMA-1",
        "The image has the oldest manifest format",
        "{reference} is a Docker manifest of schema 1, retired in 2019; it names its layers by no digest that is kept.",
        "Pull it with a current engine and push it again, then retry this step.",
        _RETRY,
        _DOCKER,
    ),
    _seller(
        "MANIFEST",
        "The image's manifest cannot be used",
        "The manifest of {reference} is not what the specification describes: {detail}.",
        "Push the image anew with Docker, BuildKit or skopeo, then retry this step.",
        _RETRY,
        _OCI,
    ),
    _seller(
        "LAYER",
        "A layer cannot be taken over",
        "Layer {layer} is {what}.",
        "Push the image with ordinary layers: unencrypted, and stored in the registry itself. Then retry this step.",
        _RETRY,
        _OCI,
    ),
    _seller(
        "TOO-LARGE",
        "The image is too large",
        "Its layers have {size} compressed; at most {limit} are fetched.",
        "Make the image smaller: data belongs into training channels or the model artifact. Or ask the operator to "
        "raise SLIPWAY_IMAGE_MAX_BYTES.",
        _RETRY,
    ),
    _seller(
        "CONVERT",
        "The image cannot be converted",
        "SageMaker takes Docker manifests of version 2, schema 2, and the image could not be turned into one: {detail}",
        "Push the image anew with Docker or BuildKit (--output type=image,push=true,oci-mediatypes=false), then retry "
        "this step.",
        _RETRY,
        _AWS,
    ),
)

_PLATFORM = (
    _platform(
        "STAGE",
        "The staging registry refused the image",
        "The image was fetched, but could not be put into the staging registry: {detail}",
        "Retry this step; if it persists, the operator looks at the staging registry, its disk and its sign-in.",
    ),
    _platform(
        "DISK",
        "The worker's disk is too full for the image",
        "The image needs {size}; the worker {worker} has {free} left.",
        "The operator makes room on the worker's disk; then retry this step.",
    ),
)

PROBLEMS: tuple[Problem, ...] = _FINDING + _REACHING + _SHAPE + _PLATFORM
