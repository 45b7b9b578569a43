"""The push that a test delivery makes up: shaped and signed as the provider's own."""

from __future__ import annotations

import json
import uuid
from datetime import datetime

from listings.addresses import parse_image
from listings.hooks import PROVIDERS, Sample, repositories
from listings.models import ListingSource, Provider, SourceKind, Webhook
from listings.services.webhooks import secrets_of

_COMMIT, _DIGEST = "5" * 40, "sha256:" + "5" * 64


def sample_of(webhook: Webhook, now: datetime) -> tuple[dict[str, str], bytes]:
    """Headers (names in lower case) and body of a push to the branch that the listing is built from."""
    provider = PROVIDERS[webhook.provider]
    source = ListingSource.objects.filter(listing=webhook.listing_id).first()
    headers, payload = provider.sample(_about(webhook, source))
    identity = f"test-{uuid.uuid4()}"
    if webhook.provider == Provider.REGISTRY:
        payload["events"][0]["id"] = identity  # its only id stands in the body
    body = json.dumps(payload).encode()
    secret = secrets_of(webhook, now)[0]
    return headers | provider.sign(secret, identity, body, now), body


def _about(webhook: Webhook, source: ListingSource | None) -> Sample:
    is_image = webhook.provider == Provider.REGISTRY or (source is not None and source.kind == SourceKind.IMAGE)
    if is_image:
        reference = source.image_reference if source is not None else ""
        parsed = parse_image(reference) if reference else None
        return Sample(parsed.repository if parsed else "example/image", parsed.tag if parsed else "latest", _DIGEST)
    name = repositories.path_of(source.git_url) if source is not None else "example/repository"
    return Sample(name, (source.git_ref if source is not None else "") or "main", _COMMIT)
