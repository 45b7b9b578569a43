"""Names that AWS gets to see."""

from __future__ import annotations

import hashlib
import re

from listings.spec import aws


def aws_name(listing_slug: str, version: str) -> str:
    """The AlgorithmName or ModelPackageName of one version, e.g. ``churn-1-0-0``.

    Always within SageMaker's EntityName (1 to 63 letters, digits and inner hyphens). What cannot be
    kept as it is (a cut slug, characters that had to go) is told apart by a hash of the original.
    """
    limit = aws.limits("EntityName").maximum or 63
    exact = f"{listing_slug}-{version}"
    kept = re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", listing_slug) and re.fullmatch(r"\d+\.\d+\.\d+", version)
    slug, tail = (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in (listing_slug, version))
    name = f"{slug}-{tail}"
    if kept and len(name) <= limit:
        return name
    digest = hashlib.sha256(exact.encode()).hexdigest()[:8]
    room = limit - len(digest) - 1
    tail = tail[-(room // 2) :].strip("-")
    head = slug[: room - len(tail) - 1].strip("-")
    return "-".join(part for part in (head, tail, digest) if part)


def resource_name(listing_slug: str, version: str, run_number: int) -> str:
    """The name at SageMaker. A later run of the same version is another image, so it gets another name."""
    return aws_name(listing_slug, version if run_number == 1 else f"{version}-r{run_number}")
