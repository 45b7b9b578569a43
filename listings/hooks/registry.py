"""OCI registries that speak Distribution's notifications: distribution.github.io, "Work with notifications"."""

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
    image_push,
    text,
    want_list,
    want_name,
    want_text,
)

FORM = False
_NAME = "An OCI registry"
_CONTENT_TYPE = "application/vnd.docker.distribution.events.v1+json"


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """The registry signs nothing; its endpoint's ``headers`` send the secret. Raises ProblemError HOOK-SIGNATURE."""
    signatures.verify_token(secrets, headers.get("authorization", ""), "Authorization", "Bearer ")


def delivery_id(headers: Headers) -> str:
    """None in the headers: the ids stand in the events, and a repeated envelope is the same bytes."""
    return ""


def event_name(headers: Headers) -> str:
    return ""


def read(headers: Headers, payload: dict[str, Any]) -> tuple[Event, ...]:
    """The pushes of tags; without any, the first thing that happened. Raises ProblemError HOOK-NOT-PROVIDERS."""
    events = want_list(_NAME, payload, "events")
    if not events:
        raise foreign(_NAME, "“events” is empty")
    # Each layer of an image is an event, too: the tag may come after any number of them.
    found = [_event(item) for item in events]
    images = first_refs([event for event in found if event.kind is EventKind.IMAGE])
    return images or (found[0],)


def _event(item: object) -> Event:
    action = text(want_text(_NAME, item, "action"), 60)
    repository = want_name(_NAME, item, "target", "repository")
    sender = text(dig(item, "actor", "name"))
    tag = dig(item, "target", "tag")
    if action == "push" and tag:
        digest = dig(item, "target", "digest")
        return image_push(_NAME, action, tag=tag, digest=digest, repository=repository, sender=sender)
    kind = EventKind.DELETED if action == "delete" else EventKind.OTHER
    return Event(kind, action, text(tag, 128), repository=repository, sender=sender)


def sample(about: Sample) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of a pushed tag, without the secret."""
    target = {
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": about.commit, "length": 708,
        "repository": about.repository, "tag": about.ref,
    }  # fmt: skip
    event = {"id": "slipway-test", "action": "push", "target": target, "actor": {"name": "slipway-test"}}
    return {"content-type": _CONTENT_TYPE}, {"events": [event]}


def sign(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}
