"""Problems of the push: the tested image on its way to the team's registry, and the inputs that AWS validates with."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "PUSH-TAG-TAKEN",
        Owner.SELLER,
        "The tag is in use for another image",
        "{repository} already has the tag {tag}, on {found}; tags are never moved.",
        "Delete that tag in ECR if nothing uses it, or give the version a new number.",
        NextAction.RETRY_STEP,
        "Amazon ECR user guide, Preventing image tags from being overwritten",
    ),
    Problem(
        "PUSH-REGISTRY",
        Owner.AWS,
        "The team's registry did not take the image",
        "Copying to {repository} failed: {detail}.",
        "Try the step again. If it persists, see whether the team's role may push to the repository "
        "(ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, ecr:PutImage).",
        NextAction.RETRY_STEP,
    ),
    Problem(
        "PUSH-COPY",
        Owner.PLATFORM,
        "The image could not be copied",
        "Copying to {repository} failed: {detail}.",
        "Try the step again; the last lines of the copy are below.",
        NextAction.RETRY_STEP,
    ),
    Problem(
        "PUSH-DIGEST",
        Owner.PLATFORM,
        "The team's registry has another image than was tested",
        "Under {tag}, {repository} answers {found}; {digest} was tested.",
        "Try the step again. Nothing is registered from a digest that was not tested.",
        NextAction.CALL_OPERATOR,
    ),
    Problem(
        "PUSH-MEDIA-TYPE",
        Owner.PLATFORM,
        "The pushed manifest is of a type that SageMaker refuses",
        "{repository} holds the image as {media_type}; SageMaker takes "
        "application/vnd.docker.distribution.manifest.v2+json only.",
        "The registry changed the manifest on the way. The operator should look at its settings.",
        NextAction.CALL_OPERATOR,
        "CreateModel refuses application/vnd.oci.image.manifest.v1+json and every index",
    ),
    Problem(
        "PUSH-SAMPLE-MISSING",
        Owner.SELLER,
        "A sample that the spec names is not in the source",
        "slipway.yaml names {path} for {use}, and the source has no such file or directory, or it is empty.",
        "Add the file to the source, or correct the path under tests in slipway.yaml, and submit a new version.",
        NextAction.FIX_AND_REBUILD,
    ),
    Problem(
        "PUSH-STORAGE",
        Owner.PLATFORM,
        "Stored content is missing",
        "{what} ({sha256}) is not in Slipway's storage any more.",
        "The operator should look at the storage; running the version again fetches its source anew.",
        NextAction.CALL_OPERATOR,
    ),
)
