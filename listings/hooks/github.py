"""GitHub: docs.github.com, "Webhook events and payloads" and "Validating webhook deliveries"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from listings.hooks import signatures
from listings.hooks.events import (
    Event,
    EventKind,
    Headers,
    Sample,
    changed_paths,
    dig,
    foreign,
    git_push,
    text,
    want_name,
    want_text,
)

FORM = True
_NAME = "GitHub"


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """Raises ProblemError HOOK-SIGNATURE. The older SHA-1 signature alone is refused."""
    given = headers.get("x-hub-signature-256", "")
    if not given and headers.get("x-hub-signature"):
        raise signatures.wrong("only X-Hub-Signature (SHA-1) came, which can be forged; X-Hub-Signature-256 is needed")
    signatures.verify_hmac(secrets, body, given, "X-Hub-Signature-256", "sha256=")


def delivery_id(headers: Headers) -> str:
    return headers.get("x-github-delivery", "")


def event_name(headers: Headers) -> str:
    return headers.get("x-github-event", "")


def read(headers: Headers, payload: dict[str, Any]) -> tuple[Event, ...]:
    """Raises ProblemError HOOK-NOT-PROVIDERS."""
    name = text(event_name(headers), 60)
    if not name:
        raise foreign(_NAME, "there is no X-GitHub-Event header")
    repository = text(dig(payload, "repository", "full_name"), 255)
    sender = text(dig(payload, "sender", "login") or dig(payload, "pusher", "name"))
    if name == "push":
        return (_push(payload, sender),)
    if name == "ping":
        if not isinstance(payload.get("zen"), str) and not isinstance(payload.get("hook"), dict):
            raise foreign(_NAME, "a ping has “zen” and “hook”")
        return (Event(EventKind.PING, name, repository=repository, sender=sender),)
    if name == "delete":
        ref = text(want_text(_NAME, payload, "ref"), 255)
        return (Event(EventKind.DELETED, name, ref, repository=repository, sender=sender),)
    kind = EventKind.PULL_REQUEST if name.startswith("pull_request") else EventKind.OTHER
    return (Event(kind, name, repository=repository, sender=sender),)


def _push(payload: dict[str, Any], sender: str) -> Event:
    ref, after = want_text(_NAME, payload, "ref"), want_text(_NAME, payload, "after")
    # An annotated tag's "after" is the tag object; what it points to is the head commit.
    commit = dig(payload, "head_commit", "id") if ref.startswith("refs/tags/") else None
    return git_push(
        _NAME, "push", ref=ref, commit=commit or after, deleted=payload.get("deleted") is True,
        repository=want_name(_NAME, payload, "repository", "full_name"), sender=sender,
        paths=changed_paths(payload.get("commits")),
    )  # fmt: skip


def sample(about: Sample) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a push that names no changed files, without signature."""
    payload = {
        "ref": f"refs/heads/{about.ref}", "before": "0" * 40, "after": about.commit, "created": False, "deleted": False,
        "forced": False, "repository": {"full_name": about.repository}, "pusher": {"name": "slipway-test"},
        "sender": {"login": "slipway-test"}, "head_commit": {"id": about.commit}, "commits": [],
    }  # fmt: skip
    return {"x-github-event": "push", "content-type": "application/json"}, payload


def sign(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    return {"x-github-delivery": identity, "x-hub-signature-256": f"sha256={signatures.hex_hmac(secret, body)}"}
