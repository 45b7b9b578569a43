"""Files on their way in: kept before any form is judged."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from listings import problems
from listings.access import Permission, guarded
from listings.models import Team, UploadPurpose
from listings.problems import ProblemError
from listings.services import versions


@require_POST
@guarded(Permission.DEVELOP)
def upload(request: HttpRequest, team: Team) -> JsonResponse:
    """Store ``file`` for ``purpose`` (source or artifact): ``{id, filename, size, sha256}``, or a problem with 422."""
    sent, purpose = request.FILES.get("file"), request.POST.get("purpose", "")
    try:
        if sent is None or purpose not in UploadPurpose.values:
            raise ProblemError("UPLOAD-MISSING")
        row = versions.store_upload(
            request.user, team, UploadPurpose(purpose), sent.name or "upload", sent.file, sent.size or 0
        )
    except ProblemError as error:
        problem = problems.get(error.code)
        answer = {
            "code": error.code,
            "title": problem.title,
            "cause": problems.fill(problem.cause, error.report.params),
            "remedy": problems.fill(problem.remedy, error.report.params),
        }
        return JsonResponse(answer, status=422)
    return JsonResponse({"id": row.pk, "filename": row.filename, "size": row.blob.size, "sha256": row.blob_id})
