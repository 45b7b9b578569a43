"""What comes in at a webhook's address: verified, read, decided on, and kept, redacted."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet, Sum
from django.utils import timezone

from listings import blobs, links, problems
from listings.access import Permission, require
from listings.hooks import PROVIDERS, Event, payload_of
from listings.hooks.body import printable, redacted, redacted_headers
from listings.hooks.events import Headers
from listings.models import Blob, Decision, Delivery, Webhook
from listings.problems import ProblemError
from listings.services import audit, pushes
from listings.services.webhooks import name_of, secrets_of

#: How many deliveries a webhook keeps: of those that were decided on, and of those refused for one reason (who knows no
#: secret can bring about only some of the reasons, and so not hide what a sender with the secret did wrong).
VERIFIED_KEPT, REFUSED_KEPT = 500, 50
#: How much of their bodies, in bytes: who holds a secret can send the largest one again and again under new ids.
BODIES_KEPT = 200 * 1024**2
#: Decisions after which the same delivery id is not decided on again.
SETTLED = (Decision.BUILT, Decision.ACKNOWLEDGED, Decision.IGNORED, Decision.FAILED)
#: HTTP statuses of what is refused. A sender must not try again what would end the same way.
_STATUS = {
    "HOOK-SIGNATURE": 401, "HOOK-TIMESTAMP": 401, "HOOK-TOO-LARGE": 413, "HOOK-CONTENT-TYPE": 415, "HOOK-NOT-JSON": 400,
    "HOOK-NOT-PROVIDERS": 422,
}  # fmt: skip
_GOOD_KEY = re.compile(r"[\x21-\x7e]{1,180}")
_INTERESTING = (Decision.BUILT, Decision.FAILED, Decision.REPEATED, Decision.ACKNOWLEDGED, Decision.IGNORED)


@dataclass(frozen=True, slots=True)
class _Request:
    """One request that was verified. ``started`` is perf_counter()'s when it came in."""

    webhook: Webhook
    headers: dict[str, str]
    started: float
    is_test: bool = False
    replay_of: Delivery | None = None
    replayed_by: Any = None


def receive(webhook: Webhook, headers: Headers, body: bytes, *, is_test: bool = False) -> list[Delivery]:
    """Verify, read and decide one request; ``headers`` with names in lower case, ``body`` as it came.

    One delivery per ref that it tells of, the most telling first. What is refused is listed, too; nothing is raised
    for it. Raises ProblemError SECRET-UNREADABLE.
    """
    started, now = perf_counter(), timezone.now()
    provider = PROVIDERS[webhook.provider]
    secrets = secrets_of(webhook, now)
    try:
        provider.verify(secrets, headers, body, now)
        payload = payload_of(headers, body, form=provider.FORM)
        events: tuple[Event, ...] = provider.read(headers, payload)
    except ProblemError as error:
        return [refuse(webhook, headers, error, body=body, started=started)]
    request = _Request(webhook, redacted_headers(headers), started, is_test)
    key = _key(provider.delivery_id(headers), body)
    found, clean = [], cache(lambda: redacted(payload, secrets))
    for index, event in enumerate(events):
        own = f"{key}#{index}" if len(events) > 1 else key
        found.append(_settle(request, event, own, partial(_keep, clean, index)))
    _prune(webhook.deliveries.exclude(decision=Decision.REFUSED), VERIFIED_KEPT)
    _prune_bodies(webhook)
    return sorted(found, key=lambda delivery: _INTERESTING.index(Decision(delivery.decision)))


def _key(identity: str, body: bytes) -> str:
    """The sender's delivery id if it can be kept as it is; else a SHA-256 of it, or of the body where there is none."""
    if _GOOD_KEY.fullmatch(identity):
        return identity
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape") or body).hexdigest()


def refuse(
    webhook: Webhook, headers: Headers, error: ProblemError, *, body: bytes = b"", started: float | None = None
) -> Delivery:
    """List a request that was refused: no body of it is kept, and of all that were for the same reason the latest."""
    provider = PROVIDERS[webhook.provider]
    delivery = Delivery.objects.create(
        webhook=webhook, key=hashlib.sha256(body).hexdigest(), event=printable(provider.event_name(headers), 60),
        decision=Decision.REFUSED, code=error.code, params=error.report.params, headers=redacted_headers(headers),
        status=_STATUS[error.code], milliseconds=_milliseconds(started) if started is not None else 0,
    )  # fmt: skip
    _prune(webhook.deliveries.filter(decision=Decision.REFUSED, code=error.code), REFUSED_KEPT)
    return delivery


def refuse_too_large(webhook_id: str, headers: Headers) -> dict[str, Any]:
    """List a request whose body was not even read, if there is such a webhook. The answer to the sender."""
    limit = int(settings.SLIPWAY.webhook_max_bytes)
    error = ProblemError("HOOK-TOO-LARGE", limit=limit)
    webhook = Webhook.objects.filter(pk=webhook_id).first()
    if webhook is not None:
        refuse(webhook, headers, error)
    return refusal(error)


def refusal(error: ProblemError) -> dict[str, Any]:
    """What a sender is answered whose request was refused."""
    cause = problems.fill(problems.get(error.code).cause, error.report.params)
    nothing = {"version": None, "run": None, "url": None}
    return {"decision": Decision.REFUSED.value, "code": error.code, "reason": cause, **nothing}


def answer(made: list[Delivery]) -> dict[str, Any]:
    """What a sender is answered: the first delivery, and all of them where one request told of several refs."""
    told = _told(made[0])
    return told if len(made) == 1 else told | {"deliveries": [_told(delivery) for delivery in made]}


def _told(delivery: Delivery) -> dict[str, Any]:
    page = ""
    if delivery.run is not None:
        page = links.run(delivery.run)
    elif delivery.version is not None:
        page = links.version(delivery.version)
    return {
        "decision": str(delivery.decision),
        "code": delivery.code,
        "reason": reason(delivery),
        "version": delivery.version.number if delivery.version else None,
        "run": delivery.run.number if delivery.run else None,
        "url": settings.SLIPWAY.public_url.rstrip("/") + page if page else None,
    }


def _settle(request: _Request, event: Event, key: str, keep: Callable[[], Blob]) -> Delivery:
    """Decide on one event, once for each delivery id; again only where somebody replays it."""
    if request.replay_of is None:
        first = _first(request.webhook, key)
        if first is not None:
            return _repeat(request, event, first)
    body = keep()
    try:
        return _decide(request, event, key, body)
    except IntegrityError:
        # Another process took the same delivery meanwhile; ours has left nothing behind.
        first = _first(request.webhook, key)
        drop_bodies([body.sha256])
        if first is None:
            raise
        return _repeat(request, event, first)
    except BaseException:
        drop_bodies([body.sha256])
        raise


def _first(webhook: Webhook, key: str) -> Delivery | None:
    rows = Delivery.objects.filter(webhook=webhook, key=key, decision__in=SETTLED, replay_of=None)
    if not rows.exists():  # as nearly always, and much cheaper to ask than for all that a repetition tells
        return None
    return rows.select_related("version__listing__team", "run__version__listing__team").first()


@transaction.atomic
def _decide(request: _Request, event: Event, key: str, body: Blob) -> Delivery:
    """The delivery comes first: its unique id keeps a second one waiting, then out. Raises IntegrityError for that."""
    delivery = Delivery.objects.create(decision=Decision.IGNORED, body=body, **_columns(request, event, key))
    verdict = pushes.decide(request.webhook, event, is_test=request.is_test, is_replay=request.replay_of is not None)
    delivery.decision, delivery.code, delivery.params = verdict.decision, verdict.code, verdict.params
    delivery.version, delivery.run = verdict.version, verdict.run
    delivery.status = 202 if verdict.decision == Decision.BUILT else 200
    delivery.milliseconds = _milliseconds(request.started)
    delivery.save()
    return delivery


def _repeat(request: _Request, event: Event, first: Delivery) -> Delivery:
    before = Decision(first.decision).label.lower()
    return Delivery.objects.create(
        decision=Decision.REPEATED, code="HOOK-REPEATED", params={"before": before}, version=first.version,
        run=first.run, **_columns(request, event, first.key), milliseconds=_milliseconds(request.started),
    )  # fmt: skip


def _columns(request: _Request, event: Event, key: str) -> dict[str, Any]:
    return {
        "webhook": request.webhook, "key": key, "event": event.name[:80], "ref": event.ref, "commit": event.commit,
        "sender": event.sender, "headers": request.headers, "status": 200, "is_test": request.is_test,
        "replay_of": request.replay_of, "replayed_by": request.replayed_by,
    }  # fmt: skip


def _milliseconds(started: float) -> int:
    return round((perf_counter() - started) * 1000)


def reason(delivery: Delivery) -> str:
    """Why it was decided so, in a sentence."""
    if delivery.code:
        return problems.fill(problems.get(delivery.code).cause, delivery.params)
    return problems.fill("Version {number} was made from {ref} at {commit}.", delivery.params)


# Bodies. Each is stored with an id of its own, so that no two deliveries share a file and each can be removed.


def _keep(clean: Callable[[], Any], index: int) -> Blob:
    kept = {"id": uuid.uuid4().hex, "index": index, "payload": clean()}
    return blobs.store(json.dumps(kept, ensure_ascii=False).encode())


def stored_body(delivery: Delivery) -> tuple[dict[str, Any], int] | None:
    """The redacted JSON of a delivery, and which of its events this is; None if it was not kept or is gone."""
    if delivery.body_id is None:
        return None
    try:
        with blobs.open_blob(delivery.body_id) as file:
            kept = json.load(file)
    except FileNotFoundError:
        return None
    return kept["payload"], kept["index"]


def bodies_of(deliveries: QuerySet[Delivery]) -> list[str]:
    return list(deliveries.exclude(body=None).values_list("body_id", flat=True))


def drop_bodies(sha256s: Iterable[str]) -> None:
    """Remove stored bodies that no delivery speaks of any more."""
    for sha256 in sha256s:
        try:
            Blob.objects.filter(pk=sha256).delete()
        except ProtectedError:  # a replay has it, too
            continue
        default_storage.delete(blobs.path_of(sha256))


def _prune(deliveries: QuerySet[Delivery], keep: int) -> None:
    """Remove all but the latest ``keep``."""
    old = list(deliveries.order_by("-created_at").values_list("pk", flat=True)[keep : keep + 1000])
    if old:
        rows = Delivery.objects.filter(pk__in=old)
        bodies = bodies_of(rows)
        rows.delete()
        drop_bodies(bodies)


def _prune_bodies(webhook: Webhook) -> None:
    """Remove the bodies of the oldest deliveries beyond BODIES_KEPT; the deliveries stay."""
    rows = webhook.deliveries.exclude(body=None)
    if (rows.aggregate(bytes=Sum("body__size"))["bytes"] or 0) <= BODIES_KEPT:
        return
    total, old = 0, []
    for pk, sha256, size in rows.order_by("-created_at").values_list("pk", "body_id", "body__size"):
        total += size
        if total > BODIES_KEPT:
            old.append((pk, sha256))
    Delivery.objects.filter(pk__in=[pk for pk, _ in old]).update(body=None)
    drop_bodies(sha256 for _, sha256 in old)


# By hand.


def replay(user: Any, delivery: Delivery) -> Delivery:
    """Decide on a kept delivery again, as if it came now. Raises ProblemError HOOK-NO-BODY.

    It may be decided although its id is known; what versions may be made is judged as ever.
    """
    webhook = delivery.webhook
    require(user, Permission.DEVELOP, webhook.listing.team)
    kept = stored_body(delivery)
    if kept is None or delivery.body is None:
        detail = "it was refused" if delivery.decision == Decision.REFUSED else "it repeats another one, or is too old"
        raise ProblemError("HOOK-NO-BODY", detail=detail)
    started, (payload, index), body = perf_counter(), kept, delivery.body
    event: Event = PROVIDERS[webhook.provider].read(delivery.headers, payload)[index]
    first = delivery.replay_of or delivery
    request = _Request(webhook, delivery.headers, started, delivery.is_test, first, user)
    with transaction.atomic():
        made = _decide(request, event, delivery.key, body)
        audit.record(
            user, "delivery.replay", f"{event.name} {event.ref}".strip(), listing=webhook.listing,
            url=links.delivery(made), decision=str(made.decision), code=made.code,
        )  # fmt: skip
    _prune(webhook.deliveries.exclude(decision=Decision.REFUSED), VERIFIED_KEPT)
    return made


def send_test(user: Any, webhook: Webhook, now: datetime | None = None) -> Delivery:
    """Sign a push as the provider would and take it in as if it came from outside; a test builds nothing."""
    from listings.services.samples import sample_of

    require(user, Permission.DEVELOP, webhook.listing.team)
    headers, body = sample_of(webhook, now or timezone.now())
    delivery = receive(webhook, headers, body, is_test=True)[0]
    audit.record(
        user, "webhook.test", name_of(webhook), listing=webhook.listing,
        url=links.delivery(delivery), decision=str(delivery.decision), code=delivery.code,
    )  # fmt: skip
    return delivery
