"""The report of a run and the comparison of two runs: as pages, as documents, and the documents' schemas."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from listings import queries
from listings.access import Permission, guarded
from listings.models import Run, Team
from listings.twin.document import Comparison, Report, schema_of
from listings.views.shared import run_of, version_of


@require_GET
@guarded(Permission.SEE)
def report(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    found = run_of(version_of(team, listing, number), run)
    return render(request, "reports/report.html", queries.report_page(request.user, found))


@require_GET
@guarded(Permission.SEE)
def report_json(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    return _document(queries.report_of(run_of(version_of(team, listing, number), run)))


@require_GET
@guarded(Permission.SEE)
def comparison(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    """With ``?with=<version>/<run>``, else with what the run is compared with by default."""
    found = run_of(version_of(team, listing, number), run)
    return render(request, "reports/comparison.html", queries.comparison_page(found, _before(request, found)))


@require_GET
@guarded(Permission.SEE)
def comparison_json(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    found = run_of(version_of(team, listing, number), run)
    before = _before(request, found)
    if before is None:
        return JsonResponse({"detail": "There is no earlier run to compare with."}, status=409)
    return _document(queries.comparison_of(before, found))


def _before(request: HttpRequest, run: Run) -> Run | None:
    try:
        return queries.before_of(run, request.GET.get("with", ""))
    except Run.DoesNotExist:
        raise Http404("This listing has no such run.") from None


def _document(document: Report | Comparison) -> HttpResponse:
    response = HttpResponse(document.model_dump_json(indent=2), content_type="application/json; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_GET
@guarded(Permission.PUBLIC)
def report_schema(request: HttpRequest) -> JsonResponse:
    return JsonResponse(schema_of(Report))


@require_GET
@guarded(Permission.PUBLIC)
def comparison_schema(request: HttpRequest) -> JsonResponse:
    return JsonResponse(schema_of(Comparison))
