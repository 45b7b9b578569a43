"""The local registry that plays ECR's: is this image there, and what is its manifest?"""

from __future__ import annotations

from dataclasses import dataclass, field

import requests

_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


@dataclass(frozen=True, slots=True)
class Manifest:
    digest: str
    media_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Registry:
    """``url`` with scheme, as the workers reach it."""

    url: str
    username: str
    password: str = field(repr=False)

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest under a digest or tag; None when the registry holds none.

        Raises requests.RequestException when the registry does not answer.
        """
        answer = requests.get(
            f"{self.url.rstrip('/')}/v2/{repository}/manifests/{reference}",
            auth=(self.username, self.password),
            headers={"Accept": _MANIFESTS},
            timeout=10,
        )
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return Manifest(answer.headers.get("Docker-Content-Digest", reference), media_type, answer.text)
