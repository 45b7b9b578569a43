"""How much a request may send. Counted as it arrives: Django would first spool it all to disk, whoever sent it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.db import close_old_connections
from django.http import HttpRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The addresses that take files, and room for a form's other fields and its boundaries.
_FILES = re.compile(r"/t/([^/]+)/(?:uploads|listings/[^/]+/versions/new)/(?:spec\.yaml)?")
_SLACK = 1024 * 1024
#: A webhook's address: whoever posts there has no session, and proves who it is by the body itself.
_HOOK = re.compile(r"/hooks/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/?")


class _TooLarge(Exception):
    pass


def most_bytes(path: str) -> int:
    """The longest body that ``path`` takes, in bytes. A version's form may carry a source and an artifact."""
    if _HOOK.fullmatch(path):
        return int(settings.SLIPWAY.webhook_max_bytes)
    if _FILES.fullmatch(path):
        return 2 * int(settings.SLIPWAY.upload_max_bytes) + _SLACK
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + _SLACK


def limited(application: Application) -> Application:
    """``application``, with a body that is too long answered 413 before it is kept anywhere."""

    async def wrapper(scope: Scope, receive: Receive, send: Send) -> None:
        limit, got, answering = await _limit(scope), 0, False
        if _announced(scope) > limit:
            await _refuse(scope, send)
            return

        async def counted() -> MutableMapping[str, Any]:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > limit:
                raise _TooLarge
            return message

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await application(scope, counted, watched)
        except _TooLarge:
            if not answering:
                await _refuse(scope, send)

    return wrapper


async def _limit(scope: Scope) -> int:
    """Files are taken only from who may upload them to this team: anybody else's would fill the disk before they are
    refused."""
    most, small = most_bytes(scope["path"]), most_bytes("")
    if _HOOK.fullmatch(scope["path"]):
        return most
    files = _FILES.fullmatch(scope["path"])
    key = _session_key(scope) if files else ""
    return most if files and key and await sync_to_async(_may_upload)(key, files[1]) else small


def _session_key(scope: Scope) -> str:
    cookies: SimpleCookie = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookies.load(value.decode("latin-1"))
            except CookieError:
                continue
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else ""


def _may_upload(key: str, slug: str) -> bool:
    """Whether the session's user may do in the team what the addresses that take files want (listings/views)."""
    from listings.access import Permission, can
    from listings.models import Team

    close_old_connections()
    try:
        session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        if SESSION_KEY not in session:
            return False
        user = get_user(cast(HttpRequest, SimpleNamespace(session=session)))
        team = Team.objects.filter(slug=slug).first()
        return team is not None and bool(can(user, Permission.DEVELOP, team))
    finally:
        close_old_connections()


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(scope: Scope, send: Send) -> None:
    hook = _HOOK.fullmatch(scope["path"])
    if hook:
        kind, body = b"application/json", await sync_to_async(_refuse_delivery)(hook[1], scope)
    else:
        kind, body = b"text/plain; charset=utf-8", b"This is more than Slipway takes at once.\n"
    headers = [(b"content-type", kind), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refuse_delivery(webhook: str, scope: Scope) -> bytes:
    """List the delivery with its webhook, so that its owner learns why nothing was built."""
    from listings.services import deliveries

    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    close_old_connections()
    try:
        return json.dumps(deliveries.refuse_too_large(webhook, headers)).encode()
    finally:
        close_old_connections()
