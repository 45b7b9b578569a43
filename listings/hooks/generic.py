"""Anybody who signs as Standard Webhooks (standardwebhooks.com) says; for pipelines of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from listings.hooks import signatures
from listings.hooks.events import (
    PATHS_AT_MOST,
    Event,
    EventKind,
    Headers,
    Sample,
    dig,
    foreign,
    git_push,
    image_push,
    text,
    want_text,
)

FORM = False
_NAME = "A Standard Webhook for Slipway"


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """Raises ProblemError HOOK-SIGNATURE or HOOK-TIMESTAMP."""
    signatures.verify_standard(secrets, headers, body, now)


def delivery_id(headers: Headers) -> str:
    return headers.get("webhook-id", "")


def event_name(headers: Headers) -> str:
    return ""


def read(headers: Headers, payload: dict[str, Any]) -> tuple[Event, ...]:
    """``slipway.build`` and ``slipway.ping``; the shape is in docs/webhooks.md. Raises HOOK-NOT-PROVIDERS."""
    name = text(want_text(_NAME, payload, "type"), 60)
    data = payload.get("data")
    sender = text(dig(data, "sender"))
    if name == "slipway.ping":
        return (Event(EventKind.PING, name, sender=sender),)
    if name != "slipway.build":
        return (Event(EventKind.OTHER, name, sender=sender),)
    named = [key for key in ("ref", "branch", "tag") if dig(data, key) is not None]
    if len(named) != 1:
        raise foreign(_NAME, "“data” must name exactly one of ref, branch and tag")
    value = want_text(_NAME, data, named[0])
    if dig(data, "digest") is not None:
        return (image_push(_NAME, name, tag=value, digest=dig(data, "digest"), sender=sender),)
    full = {"ref": value, "branch": f"refs/heads/{value}", "tag": f"refs/tags/{value}"}[named[0]]
    return (
        git_push(
            _NAME, name, ref=full, commit=dig(data, "commit"), deleted=False,
            repository=text(dig(data, "repository"), 255), sender=sender, paths=_paths(dig(data, "paths")),
        ),
    )  # fmt: skip


def _paths(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or len(value) > PATHS_AT_MOST:
        return None
    return tuple(item for item in value if isinstance(item, str))


def sample(about: Sample) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a request to build, without signature."""
    data: dict[str, Any] = {"branch": about.ref, "sender": "slipway-test"}
    data["digest" if about.commit.startswith("sha256:") else "commit"] = about.commit
    return {"content-type": "application/json"}, {"type": "slipway.build", "data": data}


def sign(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    return signatures.sign_standard(secret, identity, body, now)
