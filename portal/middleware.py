"""What every request passes through."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from listings import mishaps
from listings.access import Permission
from listings.problems import Owner, ProblemError, get
from listings.templatetags.slipway import problem_text
from portal import access_log, errors

logger = logging.getLogger(__name__)
_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
Handler = Callable[[HttpRequest], HttpResponse]


class RequestId:
    """Gives each request an id, in its log lines and its answer; one that a proxy set is kept."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        request.META["slipway.request_id"] = request_id
        # The user is bound once known, and forgotten with the request.
        with structlog.contextvars.bound_contextvars(request_id=request_id, user=""):
            response = self.get_response(request)
        access_log.note(request)
        response["X-Request-ID"] = request_id
        return response


class WhoAsks:
    """Binds the user to a request's log lines; not on public pages, which may have to do without the database."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        is_public = getattr(view, "permission", None) is Permission.PUBLIC
        if not is_public and settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            structlog.contextvars.bind_contextvars(user=str(request.user.pk))


class RefuseNul:
    """Answers 400 to a NUL character in an address or a form: PostgreSQL could look for none and store none."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        # A view that takes a signed body reads it itself, before anybody parses it.
        forms = (request.GET,) if getattr(view, "raw_body", False) else (request.GET, request.POST)
        sent = (value for values in forms for _, many in values.lists() for value in many)
        if "\0" in request.path or any("\0" in value for value in sent):
            return HttpResponseBadRequest("A NUL character means nothing here.", content_type="text/plain")
        return None


class Problems:
    """Shows a ProblemError that no view has turned into a form's error as a page with its remedy."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        problem = exception if isinstance(exception, ProblemError) else mishaps.problem_of(exception)
        if problem is None:
            return None
        if problem.code == "PLATFORM-DATABASE-AWAY":
            logger.warning("%s %s: %s", request.method, request.path, exception)
            return errors.database_away(request)
        report = problem.report
        back = request.headers.get("Referer", "/")
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
            back = "/"
        context = {"report": report, "text": problem_text(report.code, report.params), "back": back}
        status = 409 if get(report.code).owner is Owner.SELLER else 503
        return render(request, "problem.html", context, status=status)


class PermissionsPolicy:
    """The pages use none of the browser's devices."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        return response


class NotAllowed:
    """Gives a person who opens the address of a button a page with the way back, not the browser's own."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_bare = response.status_code == 405 and not response.streaming and not response.content
        if is_bare and request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return errors.not_allowed(request, response.get("Allow", ""))
        return response
