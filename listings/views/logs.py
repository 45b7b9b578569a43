"""The log of one attempt: as text, as pages of records, and searched. Live lines come by another way (portal/live.py).

Which attempt, and whether the user may see it, is the caller's business: these take an Attempt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse

from listings import livelog
from listings.blobs import open_blob
from listings.livelog import LineKind, Record
from listings.models import Attempt

PAGE_LINES = 20_000
MOST_HITS = 2_000
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def ticket(request: HttpRequest, owner_id: UUID) -> JsonResponse:
    """A ticket for the live stream of a run or release that the user may see."""
    return _json({"ticket": livelog.issue_ticket(owner_id, request.user.pk), "seconds": livelog.TICKET_SECONDS})


def raw(request: HttpRequest, attempt: Attempt, *, download: bool = False) -> HttpResponse:
    """The stored log as plain text; ``?ansi=1`` keeps colours. 409 while the attempt still writes it.

    Answered whole: a stored log is bounded to about 10 MB.
    """
    if attempt.log_id is None:
        status = 409 if attempt.is_open else 404
        text = "This log is stored when the step ends.\n" if attempt.is_open else "This attempt wrote no log.\n"
    else:
        status, text = 200, "".join(f"{_line(record)}\n" for record in _records(attempt))
        if request.GET.get("ansi") != "1":
            text = _COLOURS.sub("", text)
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    if status == 200:
        response["Content-Disposition"] = f'{"attachment" if download else "inline"}; filename="{file_name(attempt)}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    return response


def download(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    return raw(request, attempt, download=True)


def lines(request: HttpRequest, attempt: Attempt) -> JsonResponse:
    """Records from line ``?from=`` on, at most ``?count=``: ``[number, time, kind, text, missing?]``.

    ``state`` is ``stored``, ``live`` (follow the stream) or ``none``; ``next`` the line to ask for next, or null.
    """
    if attempt.log_id is None:
        return _json({"state": _unstored(attempt), "lines": [], "next": None})
    first = _number(request, "from", 1)
    count = min(_number(request, "count", PAGE_LINES), PAGE_LINES)
    later = (record for record in _records(attempt) if record.number + max(record.missing, 1) > first)
    page = list(islice(later, count))
    more = next(later, None)
    return _json(
        {
            "state": "stored",
            "total": attempt.log_lines,
            "lines": [_fields(record) for record in page],
            "next": more.number if more else None,
        }
    )


def search(request: HttpRequest, attempt: Attempt) -> JsonResponse:
    """Lines that contain ``?q=`` in any case: ``count`` of all, and the first of them as ``hits`` of [number, text]."""
    words = request.GET.get("q", "").strip().casefold()
    if attempt.log_id is None or not words:
        state = "stored" if attempt.log_id else _unstored(attempt)
        return _json({"state": state, "count": 0, "hits": []})
    hits: list[tuple[int, str]] = []
    count = 0
    for record in _records(attempt):
        text = _COLOURS.sub("", record.text)
        if words in text.casefold():
            count += 1
            if len(hits) < MOST_HITS:
                hits.append((record.number, text))
    return _json({"state": "stored", "count": count, "hits": hits})


def file_name(attempt: Attempt) -> str:
    """For a download: listing, version, step and attempt, of ASCII letters, digits, dots and dashes."""
    version = attempt.step.version
    parts = (version.listing.slug, version.number, attempt.step.name, str(attempt.number))
    return re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(map(str, parts))) + ".log"


def _records(attempt: Attempt) -> Iterator[Record]:
    with open_blob(str(attempt.log_id)) as stored:
        yield from livelog.read_records(stored)


def _line(record: Record) -> str:
    if record.kind in (LineKind.DROPPED, LineKind.GAP):
        return f"[... {record.missing} lines dropped: {record.number} to {record.number + record.missing - 1} ...]"
    if record.kind == LineKind.SECTION:
        return f"== {record.text}"
    return record.text


def _fields(record: Record) -> list[object]:
    return list(record) if record.missing else list(record[:4])


def _unstored(attempt: Attempt) -> str:
    return "live" if attempt.is_open else "none"


def _number(request: HttpRequest, name: str, default: int) -> int:
    given = request.GET.get(name, "")
    return max(1, int(given)) if given.isascii() and given.isdigit() and len(given) < 10 else default


def _json(data: dict[str, object]) -> JsonResponse:
    response = JsonResponse(data)
    response["Cache-Control"] = "private, no-store"
    return response
