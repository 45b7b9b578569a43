"""How much a request may send. Counted as it arrives: Django would first spool it all to disk, whoever sent it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The addresses that take files, and room for a form's other fields and its boundaries.
_FILES = re.compile(r"/t/[^/]+/(uploads|listings/[^/]+/versions/new)/")
_SLACK = 1024 * 1024


class _TooLarge(Exception):
    pass


def most_bytes(path: str) -> int:
    """The longest body that ``path`` takes, in bytes. A version's form may carry a source and an artifact."""
    if _FILES.fullmatch(path):
        return 2 * int(settings.SLIPWAY.upload_max_bytes) + _SLACK
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + _SLACK


def limited(application: Application) -> Application:
    """``application``, with a body that is too long answered 413 before it is kept anywhere."""

    async def wrapper(scope: Scope, receive: Receive, send: Send) -> None:
        limit, got, answering = most_bytes(scope["path"]), 0, False
        if _announced(scope) > limit:
            await _refuse(send)
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
                await _refuse(send)

    return wrapper


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"This is more than Slipway takes at once.\n"})
