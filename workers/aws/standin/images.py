"""ECR where moto's is no use: a sign-in that opens the local registry, and manifests read from it."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

from workers.aws.standin.errors import AwsError
from workers.aws.standin.registry import Registry
from workers.aws.standin.request import Request

DOCKER_V2S2 = "application/vnd.docker.distribution.manifest.v2+json"
TOKEN_SECONDS = 12 * 3600
_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Images:
    """The operations of ECR that the stand-in answers itself."""

    operations = frozenset({"GetAuthorizationToken", "BatchGetImage", "DescribeImages"})

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def handle(self, request: Request) -> dict[str, Any]:
        if request.operation == "GetAuthorizationToken":
            return self._token()
        if request.operation == "BatchGetImage":
            return self._batch_get(request)
        return self._describe(request)

    def _token(self) -> dict[str, Any]:
        token = base64.b64encode(f"{self.registry.username}:{self.registry.password}".encode()).decode()
        return {
            "authorizationData": [
                {
                    "authorizationToken": token,
                    "expiresAt": time.time() + TOKEN_SECONDS,
                    "proxyEndpoint": self.registry.url,
                }
            ]
        }

    def _batch_get(self, request: Request) -> dict[str, Any]:
        repository = str(request.params["repositoryName"])
        images, failures = [], []
        for wanted in request.params["imageIds"]:
            found = self.registry.manifest(repository, wanted.get("imageDigest") or wanted.get("imageTag", ""))
            if found is None:
                failures.append(
                    {
                        "imageId": wanted,
                        "failureCode": "ImageNotFound",
                        "failureReason": "Requested image not found",
                    }
                )
            else:
                images.append(
                    {
                        "registryId": request.account,
                        "repositoryName": repository,
                        "imageId": {**wanted, "imageDigest": found.digest},
                        "imageManifest": found.body,
                        "imageManifestMediaType": found.media_type,
                    }
                )
        return {"images": images, "failures": failures}

    def _describe(self, request: Request) -> dict[str, Any]:
        repository = str(request.params["repositoryName"])
        details = []
        for wanted in request.params.get("imageIds", []):
            found = self.registry.manifest(repository, wanted.get("imageDigest") or wanted.get("imageTag", ""))
            if found is None:
                raise AwsError(
                    "ImageNotFoundException",
                    f"The image with imageId {wanted} does not exist within the repository "
                    f"with name '{repository}' in the registry with id '{request.account}'",
                )
            details.append(
                {
                    "registryId": request.account,
                    "repositoryName": repository,
                    "imageDigest": found.digest,
                    "imageManifestMediaType": found.media_type,
                }
            )
        return {"imageDetails": details}

    def check(self, request: Request, image: str, digest: str) -> str:
        """Refuse an image that SageMaker would refuse at once; return why its validation must fail, or "".

        Raises AwsError for another account's or Region's image and for one that is not in the registry.
        """
        found = _IMAGE.fullmatch(image)
        if found is None:
            raise AwsError("ValidationException", f"Image {image!r} is not an Amazon ECR registry path.")
        if found["account"] != request.account:
            raise AwsError(
                "ValidationException",
                f"Image {image} is in account {found['account']}; it must be in the caller's, {request.account}.",
            )
        if found["region"] != request.region:
            raise AwsError(
                "ValidationException",
                f"Image {image} is in Region {found['region']}; it must be in {request.region}.",
            )
        reference = digest or found["digest"] or found["tag"] or "latest"
        manifest = self.registry.manifest(found["repository"], reference)
        if manifest is None:
            raise AwsError("ValidationException", f"Requested image {image}@{reference} not found.")
        if manifest.media_type != DOCKER_V2S2:
            return f"Unsupported manifest media type {manifest.media_type} for image {image}."
        return ""
