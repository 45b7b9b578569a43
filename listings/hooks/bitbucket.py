"""Bitbucket Cloud and Data Center: support.atlassian.com, "Event payloads" and "Manage webhooks"."""

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
    dig,
    first_refs,
    foreign,
    git_push,
    text,
    want_list,
    want_name,
    want_text,
)

FORM = False
_NAME = "Bitbucket"


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """Raises ProblemError HOOK-SIGNATURE."""
    signatures.verify_hmac(secrets, body, headers.get("x-hub-signature", ""), "X-Hub-Signature", "sha256=")


def delivery_id(headers: Headers) -> str:
    return headers.get("x-request-uuid", "") or headers.get("x-request-id", "")


def event_name(headers: Headers) -> str:
    return headers.get("x-event-key", "")


def read(headers: Headers, payload: dict[str, Any]) -> tuple[Event, ...]:
    """One event per changed ref; Bitbucket does not say which files changed. Raises ProblemError HOOK-NOT-PROVIDERS."""
    name = text(event_name(headers), 60)
    if not name:
        raise foreign(_NAME, "there is no X-Event-Key header")
    if name == "diagnostics:ping":
        return (Event(EventKind.PING, name),)
    sender = text(dig(payload, "actor", "nickname") or dig(payload, "actor", "name"))
    if name == "repo:push":
        repository = want_name(_NAME, payload, "repository", "full_name")
        changes = want_list(_NAME, payload, "push", "changes")
        found = first_refs([_cloud(change, repository, sender) for change in changes])
        return found or (Event(EventKind.OTHER, name, repository=repository, sender=sender),)
    if name == "repo:refs_changed":
        project = want_name(_NAME, payload, "repository", "project", "key")
        repository = f"{project}/{want_name(_NAME, payload, 'repository', 'slug')}"
        changes = want_list(_NAME, payload, "changes")
        found = first_refs([_data_center(change, repository, sender) for change in changes])
        return found or (Event(EventKind.OTHER, name, repository=repository, sender=sender),)
    kind = EventKind.PULL_REQUEST if name.startswith(("pullrequest:", "pr:")) else EventKind.OTHER
    repository = text(dig(payload, "repository", "full_name"), 255)
    return (Event(kind, name, repository=repository, sender=sender),)


def _cloud(change: object, repository: str, sender: str) -> Event:
    deleted = dig(change, "new") is None
    side = "old" if deleted else "new"
    folder = "tags" if want_text(_NAME, change, side, "type") in ("tag", "annotated_tag") else "heads"
    return git_push(
        _NAME, "repo:push", ref=f"refs/{folder}/{want_text(_NAME, change, side, 'name')}",
        commit=dig(change, side, "target", "hash"), deleted=deleted, repository=repository, sender=sender,
    )  # fmt: skip


def _data_center(change: object, repository: str, sender: str) -> Event:
    return git_push(
        _NAME, "repo:refs_changed", ref=want_text(_NAME, change, "ref", "id"), commit=dig(change, "toHash"),
        deleted=dig(change, "type") == "DELETE", repository=repository, sender=sender,
    )  # fmt: skip


def sample(about: Sample) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a push, without signature."""
    new = {"type": "branch", "name": about.ref, "target": {"type": "commit", "hash": about.commit}}
    payload = {
        "push": {"changes": [{"new": new, "old": None, "created": False, "closed": False, "forced": False}]},
        "repository": {"full_name": about.repository}, "actor": {"nickname": "slipway-test"},
    }  # fmt: skip
    return {"x-event-key": "repo:push", "content-type": "application/json"}, payload


def sign(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    return {"x-request-uuid": identity, "x-hub-signature": f"sha256={signatures.hex_hmac(secret, body)}"}
