"""The ASGI application: live streams ahead of Django, whose middleware they do not need."""

from __future__ import annotations

import logging
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Python's warnings become lines of the log, as in Celery's processes.
logging.captureWarnings(True)

from django.core.asgi import get_asgi_application  # noqa: E402

django_application = get_asgi_application()

from portal import access_log, celery, limits, live  # noqa: E402 - needs configured settings

celery.warm_up()

_pages = limits.limited(django_application)


async def _application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"].startswith("/live/"):
        await live.application(scope, receive, send)
    elif scope["type"] == "http":
        await _pages(scope, receive, send)
    elif scope["type"] == "lifespan":
        await live.lifespan(scope, receive, send)


application = access_log.logged(_application)
