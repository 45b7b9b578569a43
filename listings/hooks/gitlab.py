"""GitLab: docs.gitlab.com, "Webhooks" and "Webhook events". Also its newer signing tokens (Standard Webhooks)."""

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
_NAME = "GitLab"


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """Raises ProblemError HOOK-SIGNATURE or HOOK-TIMESTAMP. A signature, where there is one, decides alone."""
    if headers.get("webhook-signature"):
        signatures.verify_standard(secrets, headers, body, now)
    else:
        signatures.verify_token(secrets, headers.get("x-gitlab-token", ""), "X-Gitlab-Token")


def delivery_id(headers: Headers) -> str:
    # X-Gitlab-Event-UUID is shared by all deliveries that one webhook sets off, so it is no delivery's id.
    return headers.get("webhook-id", "") or headers.get("idempotency-key", "")


def event_name(headers: Headers) -> str:
    return headers.get("x-gitlab-event", "")


def read(headers: Headers, payload: dict[str, Any]) -> tuple[Event, ...]:
    """Raises ProblemError HOOK-NOT-PROVIDERS."""
    if not event_name(headers):
        raise foreign(_NAME, "there is no X-Gitlab-Event header")
    name = payload.get("object_kind") or payload.get("event_name")
    if not isinstance(name, str) or not name:
        raise foreign(_NAME, "there is no text at “object_kind”")
    name = text(name, 60)
    repository = text(dig(payload, "project", "path_with_namespace"), 255)
    sender = text(payload.get("user_username") or dig(payload, "user", "username") or payload.get("user_name"))
    if name in ("push", "tag_push"):
        after = want_text(_NAME, payload, "after")
        return (
            git_push(
                _NAME, name, ref=want_text(_NAME, payload, "ref"),
                # An annotated tag's "after" is the tag object; checkout_sha is the commit.
                commit=payload.get("checkout_sha") or after, deleted=is_nothing(after),
                repository=want_name(_NAME, payload, "project", "path_with_namespace"), sender=sender,
                paths=changed_paths(payload.get("commits"), payload.get("total_commits_count")),
            ),
        )  # fmt: skip
    kind = EventKind.PULL_REQUEST if name == "merge_request" else EventKind.OTHER
    return (Event(kind, name, repository=repository, sender=sender),)


def sample(about: Sample) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a push that names no changed files, without signature."""
    payload = {
        "object_kind": "push", "event_name": "push", "before": "0" * 40, "after": about.commit,
        "ref": f"refs/heads/{about.ref}", "checkout_sha": about.commit, "user_username": "slipway-test",
        "project": {"path_with_namespace": about.repository}, "commits": [], "total_commits_count": 0,
    }  # fmt: skip
    return {"x-gitlab-event": "Push Hook", "content-type": "application/json"}, payload


def sign(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    return {"idempotency-key": identity, "x-gitlab-token": secret}
