"""Files on their way in: kept before any form is judged. Whole, or in pieces by the tus protocol."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import wraps
from typing import IO, Any, cast

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import http_date
from django.views.decorators.http import require_http_methods, require_POST

from listings import problems
from listings.access import Permission, guarded
from listings.models import IncomingUpload, Team, Upload, UploadPurpose
from listings.problems import ProblemError
from listings.services import incoming as service
from listings.services import versions

_TUS = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
_PIECE = "application/offset+octet-stream"
_NUMBER = re.compile(r"[0-9]{1,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: What the protocol answers; everything else is the usual 422.
_STATUS = {
    "UPLOAD-PROTOCOL": 400, "UPLOAD-OFFSET": 409, "UPLOAD-GONE": 410, "UPLOAD-TOO-LARGE": 413, "UPLOAD-PIECE-SIZE": 413,
    "UPLOAD-BUSY": 423, "UPLOAD-TOO-MANY": 429, "UPLOAD-PIECE": 460, "UPLOAD-NO-SPACE": 507,
}  # fmt: skip
View = Callable[..., HttpResponse]


@require_POST
@guarded(Permission.DEVELOP)
def upload(request: HttpRequest, team: Team) -> JsonResponse:
    """Store ``file`` for ``purpose``: ``{id, filename, size, sha256}``, or a problem with 422."""
    sent, purpose = request.FILES.get("file"), request.POST.get("purpose", "")
    try:
        if sent is None or purpose not in UploadPurpose.values:
            raise ProblemError("UPLOAD-MISSING")
        row = versions.store_upload(
            request.user, team, UploadPurpose(purpose), sent.name or "upload", sent.file, sent.size or 0
        )
    except ProblemError as error:
        return _problem(error, 422)
    return _kept(row)


def _kept(row: Upload) -> JsonResponse:
    return JsonResponse({"id": row.pk, "filename": row.filename, "size": row.blob.size, "sha256": row.blob_id})


def _problem(error: ProblemError, status: int) -> JsonResponse:
    problem, params = problems.get(error.code), error.report.params
    answer = {
        "code": error.code,
        "title": problem.title,
        "cause": problems.fill(problem.cause, params),
        "remedy": problems.fill(problem.remedy, params),
    }
    return JsonResponse(answer, status=status)


def _speaks_tus(view: View) -> View:
    """Answer as the protocol wants: its headers, its status codes, and only to its version."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in ("OPTIONS", "GET") and request.headers.get("Tus-Resumable") != _TUS:
            response = HttpResponse(f"This speaks tus {_TUS}.\n", status=412, content_type="text/plain")
            response["Tus-Version"] = _TUS
        else:
            try:
                response = view(request, *args, **kwargs)
            except ProblemError as error:
                response = _problem(error, _STATUS.get(error.code, 422))
        response["Tus-Resumable"] = _TUS
        response["Cache-Control"] = "no-store"
        return response

    return wrapper


@require_http_methods(["OPTIONS", "POST"])
@guarded(Permission.DEVELOP)
@_speaks_tus
def tus(request: HttpRequest, team: Team) -> HttpResponse:
    """What is offered (OPTIONS), or the announcement of a file, which may carry its first piece (POST)."""
    if request.method == "OPTIONS":
        response = HttpResponse(status=204)
        response["Tus-Version"] = _TUS
        response["Tus-Extension"] = _EXTENSIONS
        response["Tus-Max-Size"] = str(settings.SLIPWAY.upload_max_bytes)
        response["Tus-Checksum-Algorithm"] = "sha256"
        return response
    meta = _metadata(request.headers.get("Upload-Metadata", ""))
    purpose, sha256 = meta.get("purpose", ""), meta.get("sha256", "").lower()
    if purpose not in UploadPurpose.values:
        raise _malformed(f"the metadata names no purpose out of {', '.join(UploadPurpose.values)}")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise _malformed("the metadata's sha256 is not 64 hexadecimal digits")
    filename = "".join(filter(str.isprintable, meta.get("filename", "").rpartition("/")[2])) or "upload"
    size = _number(request, "Upload-Length")
    row = service.begin(request.user, team, UploadPurpose(purpose), filename, size, sha256=sha256)
    response = HttpResponse(status=201)
    response["Location"] = reverse("tus_file", args=[team.slug, row.pk])
    if request.content_type == _PIECE:
        _append(request, row, 0)
    return _standing(response, row)


@require_http_methods(["GET", "HEAD", "PATCH", "DELETE"])
@guarded(Permission.DEVELOP)
@_speaks_tus
def tus_file(request: HttpRequest, team: Team, incoming: Any) -> HttpResponse:
    """How much has arrived (HEAD; GET as JSON), the next piece (PATCH), or the end of it (DELETE)."""
    row = _incoming(request, team, incoming)
    if request.method == "DELETE":
        service.cancel(request.user, row)
        return HttpResponse(status=204)
    if request.method == "PATCH":
        if request.content_type != _PIECE:
            return HttpResponse(f"A piece is sent as {_PIECE}.\n", status=415, content_type="text/plain")
        _append(request, row, _number(request, "Upload-Offset"))
        return _standing(HttpResponse(status=204), row)
    service.require_alive(row)
    standing = {"filename": row.filename, "size": row.size, "offset": row.offset}
    return _standing(JsonResponse(standing), row)


@require_POST
@guarded(Permission.DEVELOP)
def tus_finish(request: HttpRequest, team: Team, incoming: Any) -> HttpResponse:
    """Make the file that has arrived an upload: the answer of ``upload``. May be asked again."""
    try:
        return _kept(service.finish(request.user, _incoming(request, team, incoming)))
    except ProblemError as error:
        return _problem(error, _STATUS.get(error.code, 422))


def _incoming(request: HttpRequest, team: Team, key: Any) -> IncomingUpload:
    row = IncomingUpload.objects.filter(team=team, pk=key).select_related("team").first()
    if row is None:
        raise Http404("No such upload.")
    if row.user_id != request.user.pk:
        raise PermissionDenied("Somebody else is sending this file.")
    return row


def _append(request: HttpRequest, row: IncomingUpload, offset: int) -> None:
    """Add the request's body. Raises ProblemError UPLOAD-PIECE-SIZE, before it is read, and those of the service."""
    length, limit = _number(request, "Content-Length"), int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if length > limit:
        raise ProblemError("UPLOAD-PIECE-SIZE", limit=limit)
    service.append(request.user, row, offset, cast(IO[bytes], request), length, sha256=_checksum(request))


def _standing(response: HttpResponse, row: IncomingUpload) -> HttpResponse:
    response["Upload-Offset"] = str(row.offset)
    response["Upload-Length"] = str(row.size)
    response["Upload-Expires"] = http_date(row.expires_at.timestamp())
    return response


def _number(request: HttpRequest, header: str) -> int:
    value = request.headers.get(header, "")
    if not _NUMBER.fullmatch(value):
        raise _malformed(f"{header} is not a number of bytes")
    return int(value)


def _checksum(request: HttpRequest) -> bytes | None:
    """The digest in Upload-Checksum, or None without that header."""
    value = request.headers.get("Upload-Checksum")
    if value is None:
        return None
    algorithm, _, digest = value.partition(" ")
    found = _decoded(digest)
    if algorithm != "sha256" or found is None or len(found) != 32:
        raise _malformed("Upload-Checksum is not “sha256” and a digest in Base64")
    return found


def _metadata(header: str) -> dict[str, str]:
    """``key base64, key base64``: the values as text."""
    found: dict[str, str] = {}
    for pair in filter(None, header.split(",")):
        key, _, value = pair.strip().partition(" ")
        raw = _decoded(value)
        if raw is None:
            raise _malformed("Upload-Metadata is not in Base64")
        try:
            found[key] = raw.decode()
        except UnicodeDecodeError:
            raise _malformed("Upload-Metadata is not in UTF-8") from None
    return found


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _malformed(detail: str) -> ProblemError:
    return ProblemError("UPLOAD-PROTOCOL", detail=detail[:1].upper() + detail[1:])
