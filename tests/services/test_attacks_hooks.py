"""Attacks on shared disks and processors by somebody who holds one webhook's secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db.models import Sum

from listings import blobs
from listings.models import Blob, Listing, Provider, Webhook
from listings.services import deliveries
from tests.hook_sending import COMMIT, URLS, git_source, make_webhook, payload, secret_of

pytestmark = pytest.mark.django_db(transaction=True)


def _sign(hook: Webhook, body: bytes) -> str:
    return "sha256=" + hmac.new(secret_of(hook).encode(), body, hashlib.sha256).hexdigest()


def test_one_body_sent_again_under_new_ids_does_not_fill_the_disk(
    seller: Any, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub signs the body only: whoever saw one delivery can repeat it with another X-GitHub-Delivery."""
    git_source(listing)
    hook = make_webhook(seller, listing)
    body = json.dumps(payload("github-push") | {"filler": "x" * 100_000}).encode()
    monkeypatch.setattr(deliveries, "BODIES_KEPT", 450_000)
    headers = {
        "x-github-event": "push", "content-type": "application/json", "x-hub-signature-256": _sign(hook, body),
    }  # fmt: skip
    for number in range(8):
        deliveries.receive(hook, headers | {"x-github-delivery": f"again-{number}"}, body)
    kept = hook.deliveries.exclude(body=None)
    assert hook.deliveries.count() == 8
    assert [row.key for row in kept] == [f"again-{number}" for number in (7, 6, 5, 4)]
    assert (Blob.objects.aggregate(bytes=Sum("size"))["bytes"] or 0) <= 450_000
    assert all(default_storage.exists(blobs.path_of(row.body_id)) for row in kept)


def test_a_body_that_tells_of_many_refs_is_looked_through_once(
    seller: Any, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_source(listing, URLS[Provider.BITBUCKET])
    hook = make_webhook(seller, listing, Provider.BITBUCKET)
    change = {"old": None, "new": {"type": "branch", "name": "other", "target": {"hash": COMMIT}}}
    said = {"push": {"changes": [change] * 20}, "repository": {"full_name": "acme/decision-trees"}}
    body, looked, redacted = json.dumps(said).encode(), [], deliveries.redacted
    monkeypatch.setattr(deliveries, "redacted", lambda *given: looked.append(1) or redacted(*given))
    headers = {"x-event-key": "repo:push", "content-type": "application/json", "x-hub-signature": _sign(hook, body)}
    assert len(deliveries.receive(hook, headers, body)) == 20
    assert len(looked) == 1
