"""Deliveries as each provider sends them: signed here by hand, so that no code under test signs for itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from pathlib import Path
from typing import Any

from django.test import Client
from django.urls import reverse

from listings import sealing
from listings.models import Listing, ListingSource, Provider, SourceKind, Webhook
from listings.services import webhooks

PAYLOADS = Path(__file__).parent / "payloads"
COMMIT = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
DIGEST = "sha256:" + "3b5d6a7c" * 8
URLS = {
    Provider.GITHUB: "https://github.com/acme/decision-trees.git",
    Provider.GITLAB: "git@gitlab.example:acme/ml/decision-trees.git",
    Provider.BITBUCKET: "https://bitbucket.org/acme/decision-trees.git",
    Provider.GITEA: "ssh://git@gitea.example:2222/acme/decision-trees.git",
    Provider.GENERIC: "https://git.example/acme/decision-trees",
}
IMAGE = "registry.example:5000/acme/decision-trees:latest"


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def push(ref: str = "refs/heads/main", commit: str = COMMIT, **more: Any) -> dict[str, Any]:
    """A push to GitHub, of one commit that changes one file."""
    head = {"id": commit, "added": [], "modified": ["src/train.py"], "removed": []}
    return payload("github-push") | {"ref": ref, "after": commit, "head_commit": head, "commits": [head]} | more


def tag(name: str = "v1.2.3", commit: str = COMMIT) -> dict[str, Any]:
    return push(f"refs/tags/{name}", commit, commits=[])


def git_source(listing: Listing, url: str = URLS[Provider.GITHUB], **fields: Any) -> ListingSource:
    return ListingSource.objects.create(listing=listing, kind=SourceKind.GIT, git_url=url, git_ref="main", **fields)


def make_webhook(
    user: Any,
    listing: Listing,
    provider: Provider = Provider.GITHUB,
    branches: str = "main",
    tags: str = "v*",
    paths: str = "",
) -> Webhook:
    wanted = webhooks.Wanted(branches.split(), tags.split(), paths.split())
    return webhooks.create_webhook(user, listing, provider, wanted)[0]


def secret_of(webhook: Webhook) -> str:
    return sealing.reveal(webhook.sealed, str(webhook.pk))


def _mac(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(secret: str, body: bytes, identity: str, stamp: int | None = None) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0, section "Signature scheme"."""
    stamp = int(time.time()) if stamp is None else stamp
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": identity, "webhook-timestamp": str(stamp), "webhook-signature": signature}


def signed(provider: str, secret: str, body: bytes, *, event: str = "", identity: str = "") -> dict[str, str]:
    """The headers that ``provider`` sends with ``body``."""
    identity = identity or str(uuid.uuid4())
    match provider:
        case Provider.GITHUB:
            own = {"X-GitHub-Event": event or "push", "X-GitHub-Delivery": identity}
            return own | {"X-Hub-Signature-256": f"sha256={_mac(secret, body)}"}
        case Provider.GITLAB:
            return {"X-Gitlab-Event": event or "Push Hook", "Idempotency-Key": identity, "X-Gitlab-Token": secret}
        case Provider.BITBUCKET:
            own = {"X-Event-Key": event or "repo:push", "X-Request-UUID": identity}
            return own | {"X-Hub-Signature": f"sha256={_mac(secret, body)}"}
        case Provider.GITEA:
            own = {"X-Gitea-Event": event or "push", "X-Gitea-Delivery": identity}
            return own | {"X-Gitea-Signature": _mac(secret, body)}
        case Provider.REGISTRY:
            return {"Authorization": f"Bearer {secret}"}
    return standard(secret, body, identity)


def post(
    webhook: Webhook, body: bytes | dict[str, Any], headers: dict[str, str] | None = None, *, event: str = "",
    identity: str = "", content_type: str = "application/json", client: Client | None = None,
) -> Any:  # fmt: skip
    """Post to the webhook's own address, rightly signed unless ``headers`` are given."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if headers is None:
        headers = signed(webhook.provider, secret_of(webhook), raw, event=event, identity=identity)
    client = client or Client()
    return client.post(reverse("hook", args=[webhook.pk]), raw, content_type=content_type, headers=headers)
