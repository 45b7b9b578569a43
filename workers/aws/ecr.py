"""The team's image repositories: made once, with immutable tags; and the short-lived sign-in for them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from listings.problems import ProblemError
from workers.aws.errors import aws_errors, code_of
from workers.aws.sessions import Clients

#: SageMaker refuses every other manifest type (reference: contract, practice 7.1).
DOCKER_V2S2 = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True, slots=True)
class Authorization:
    """Sign-in for the registry at ``endpoint`` (scheme and host, ECR's proxy), valid until ``expires_at``."""

    username: str
    password: str = field(repr=False)
    endpoint: str
    expires_at: datetime

    @property
    def host(self) -> str:
        return self.endpoint.split("://", 1)[-1].rstrip("/")

    @property
    def insecure(self) -> bool:
        """True where the registry speaks plain HTTP (the stand-in's)."""
        return self.endpoint.startswith("http://")


def ensure_repository(clients: Clients, name: str) -> str:
    """Make the repository unless it exists; returns its ``repositoryUri``, the only name given to SageMaker.

    Tags are immutable and images are scanned on push. Raises ProblemError.
    """
    ecr = clients.client("ecr")
    with aws_errors(f"create the ECR repository {name}"):
        try:
            answer = ecr.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                tags=[{"Key": "slipway:managed", "Value": "true"}],
            )
            return str(answer["repository"]["repositoryUri"])
        except ClientError as error:
            if code_of(error) != "RepositoryAlreadyExistsException":
                raise
    with aws_errors(f"look up the ECR repository {name}"):
        found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    if found.get("imageTagMutability") != "IMMUTABLE":
        raise ProblemError("AWS-REPOSITORY-MUTABLE", repository=name)
    return str(found["repositoryUri"])


def authorization(clients: Clients) -> Authorization:
    """A fresh sign-in (ECR's is valid for 12 hours). Raises ProblemError."""
    with aws_errors("sign in to ECR"):
        data: dict[str, Any] = clients.client("ecr").get_authorization_token()["authorizationData"][0]
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return Authorization(username, password, str(data["proxyEndpoint"]), data["expiresAt"])


def manifest_media_type(clients: Clients, repository: str, digest: str) -> str | None:
    """The media type of the manifest that ECR holds under ``digest``; None when it holds none. Raises ProblemError."""
    with aws_errors(f"read the manifest of {repository}@{digest}"):
        answer = clients.client("ecr").batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    for image in answer.get("images", []):
        manifest = image.get("imageManifest") or "{}"
        return str(image.get("imageManifestMediaType") or json.loads(manifest).get("mediaType", ""))
    return None
