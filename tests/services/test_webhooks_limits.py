"""A webhook's body through the real ASGI stack: counted as it arrives, kept nowhere when it is too long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.urls import reverse

from listings.models import Decision, Delivery, Listing, Provider, Webhook
from portal.asgi import application
from tests.asynchronous import run_async
from tests.bad_input import provokes
from tests.hook_sending import git_source, make_webhook, payload, secret_of, signed

pytestmark = pytest.mark.django_db(transaction=True)
MEGABYTE = 1 << 20


@pytest.fixture
def hook(seller: Any, listing: Listing) -> Webhook:
    git_source(listing)
    return make_webhook(seller, listing)


def send(hook: Webhook, body: bytes, *, announced: bool, headers: dict[str, str]) -> tuple[int, dict[str, Any], int]:
    """Status, answer, and how many bytes were taken."""
    path = reverse("hook", args=[hook.pk])
    sent = {"host": "testserver", "content-type": "application/json", **headers}
    sent |= {"content-length": str(len(body))} if announced else {}
    raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": raw, "scheme": "http", "server": ("testserver", 80), "client": ("192.0.2.1", 9),
    }  # fmt: skip
    taken = 0

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        async def counting() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return message

        await application(scope, counting, send)

    async def talk() -> tuple[int, dict[str, Any]]:
        web = ApplicationCommunicator(counted, scope)
        for begin in range(0, len(body), MEGABYTE):
            piece = body[begin : begin + MEGABYTE]
            await web.send_input({"type": "http.request", "body": piece, "more_body": begin + MEGABYTE < len(body)})
        start = await web.receive_output(timeout=60)
        answer = await web.receive_output(timeout=60)
        await web.wait(timeout=60)
        return int(start["status"]), json.loads(answer["body"])

    status, answer = run_async(talk())
    return status, answer, taken


@pytest.mark.parametrize("announced", [True, False])
@provokes("HOOK-TOO-LARGE", "a 30 MB body")
def test_thirty_megabytes_are_refused_before_they_are_kept_and_less_is_taken(announced: bool, hook: Webhook) -> None:
    body = json.dumps(payload("github-push") | {"pad": "x" * 30 * MEGABYTE}).encode()
    headers = signed(Provider.GITHUB, secret_of(hook), body)
    status, answer, taken = send(hook, body, announced=announced, headers=headers)
    assert (status, answer["code"], answer["decision"]) == (413, "HOOK-TOO-LARGE", "refused")
    assert taken <= 27 * MEGABYTE
    delivery = hook.deliveries.get()
    assert (delivery.decision, delivery.code, delivery.status) == (Decision.REFUSED, "HOOK-TOO-LARGE", 413)
    assert (delivery.body, delivery.headers["x-github-event"]) == (None, "push")

    small = json.dumps(payload("github-push") | {"pad": "x" * 11 * MEGABYTE}).encode()
    status, answer, _ = send(hook, small, announced=announced, headers=signed("github", secret_of(hook), small))
    assert (status, answer["decision"]) == (202, "built")


def test_an_unknown_webhook_keeps_nothing_of_what_is_too_long(hook: Webhook) -> None:
    pk = hook.pk
    hook.delete()
    hook.pk = pk
    status, answer, _ = send(hook, b"x" * 30 * MEGABYTE, announced=True, headers={})
    assert (status, answer["code"]) == (413, "HOOK-TOO-LARGE")
    assert Delivery.objects.count() == 0


def test_another_address_takes_no_such_body(hook: Webhook) -> None:
    from portal import limits

    assert limits.most_bytes(f"/hooks/{hook.pk}/") == 25 * MEGABYTE
    assert limits.most_bytes("/hooks/x/") < 12 * MEGABYTE
    assert limits.most_bytes(f"/hooks/{hook.pk}/more/") < 12 * MEGABYTE
