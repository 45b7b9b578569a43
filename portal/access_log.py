"""One line for each request: method, path, status, milliseconds, request id, user. Never a query, never a key.

It stands outside of everything else, so that refused bodies and live streams are told, too.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

logger = logging.getLogger("portal.access")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Left in the scope by what knows them.
USER, PATH = "slipway.user", "slipway.path"
#: Asked every few seconds by machines, or once per page: told only when they fail, or at level DEBUG.
_QUIET = re.compile(r"/(static/.*|healthz|readyz|metrics)")
#: Parts of an address that open something to whoever has them.
_KEYS = frozenset({"key", "token", "uidb36", "secret", "code"})
#: The same where no view was found: without the last slash, for another host, or refused before.
KEY_IN_PATH = re.compile(r"(/(?:invitations|account/password/reset/key|account/confirm-email)/)(?!\*\*\*)[^/\s]+")


def logged(application: Application) -> Application:
    """``application``, with one line for each HTTP request when its answer has been sent or given up."""

    async def wrapper(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        began, status, request_id = time.monotonic(), 0, ""

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
                request_id = headers.get(b"x-request-id", b"").decode("latin-1")
            await send(message)

        try:
            await application(scope, receive, watched)
        finally:
            _tell(scope, status, request_id, time.monotonic() - began)

    return wrapper


def _tell(scope: Scope, status: int, request_id: str, seconds: float) -> None:
    path = KEY_IN_PATH.sub(r"\1***", scope.get(PATH) or scope["path"])
    # Status 0: the client went away, or the process failed, before there was an answer.
    is_quiet = _QUIET.fullmatch(path) and 0 < status < 400
    told = {
        "method": scope["method"], "path": path, "status": status, "ms": round(seconds * 1000),
        "request_id": request_id, "user": scope.get(USER, ""),
    }  # fmt: skip
    logger.log(logging.DEBUG if is_quiet else logging.INFO, "request", extra=told)


def note(request: Any) -> None:
    """Leave in the scope of a Django request, once it is answered, who asked and the path without its keys."""
    scope = getattr(request, "scope", None)
    if scope is None:
        return
    user = getattr(request, "_cached_user", None)  # asked for by the view; the log itself asks nothing
    if user is not None and user.is_authenticated:
        scope[USER] = str(user.pk)
    match = getattr(request, "resolver_match", None)
    path = request.path
    for name, value in (match.kwargs if match else {}).items():
        if name in _KEYS and value:
            path = path.replace(str(value), "***")
    scope[PATH] = path
