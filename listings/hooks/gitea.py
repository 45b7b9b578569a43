"""Gitea and Forgejo: docs.gitea.com, "Webhooks"."""

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
    is_nothing,
    text,
    want_name,
    want_text,
)

FORM = False
_NAME = "Gitea"


def _header(headers: Headers, name: str) -> str:
    """Forgejo sends its own headers beside Gitea's."""
    return headers.get(f"x-gitea-{name}", "") or headers.get(f"x-forgejo-{name}", "")


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """Raises ProblemError HOOK-SIGNATURE."""
    signatures.verify_hmac(secrets, body, _header(headers, "signature"), "X-Gitea-Signature")


def delivery_id(headers: Headers) -> str:
    return _header(headers, "delivery")


def event_name(headers: Headers) -> str:
    return _header(headers, "event")


def read(headers: Headers, payload: dict[str, Any]) -> tuple[Event, ...]:
    """Raises ProblemError HOOK-NOT-PROVIDERS."""
    name = text(event_name(headers), 60)
    if not name:
        raise foreign(_NAME, "there is no X-Gitea-Event header")
    repository = text(dig(payload, "repository", "full_name"), 255)
    sender = text(dig(payload, "pusher", "login") or dig(payload, "sender", "login"))
    if name == "push":
        ref, after = want_text(_NAME, payload, "ref"), want_text(_NAME, payload, "after")
        # As with GitHub: "after" of an annotated tag may be the tag object.
        commit = dig(payload, "head_commit", "id") if ref.startswith("refs/tags/") else None
        return (
            git_push(
                _NAME, name, ref=ref, commit=commit or after, deleted=is_nothing(after),
                repository=want_name(_NAME, payload, "repository", "full_name"), sender=sender,
                paths=changed_paths(payload.get("commits"), payload.get("total_commits")),
            ),
        )  # fmt: skip
    if name == "delete":
        ref = text(want_text(_NAME, payload, "ref"), 255)
        return (Event(EventKind.DELETED, name, ref, repository=repository, sender=sender),)
    kind = EventKind.PULL_REQUEST if name.startswith("pull_request") else EventKind.OTHER
    return (Event(kind, name, repository=repository, sender=sender),)


def sample(about: Sample) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a push that names no changed files, without signature."""
    payload = {
        "ref": f"refs/heads/{about.ref}", "before": "0" * 40, "after": about.commit, "total_commits": 0,
        "commits": [], "head_commit": {"id": about.commit}, "repository": {"full_name": about.repository},
        "pusher": {"login": "slipway-test"}, "sender": {"login": "slipway-test"},
    }  # fmt: skip
    return {"x-gitea-event": "push", "content-type": "application/json"}, payload


def sign(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    return {"x-gitea-delivery": identity, "x-gitea-signature": signatures.hex_hmac(secret, body)}
