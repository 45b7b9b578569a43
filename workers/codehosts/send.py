"""Sends the reports that are due, through the network guard: the API's address is a seller's."""

from __future__ import annotations

import logging

import requests
from django.conf import settings

from listings import addresses, links, problems
from listings.models import CommitStatus, Credential, ListingSource, StatusState
from listings.problems import ProblemError
from listings.reports import ProblemReport
from listings.services import statuses
from workers.codehosts.dialects import DIALECTS, Login, Report, Request
from workers.sources import guard

logger = logging.getLogger(__name__)

_TIMEOUT = (5.0, 10.0)  # to connect, between bytes; seconds
_ANSWER_CHARACTERS = 300
_API_HOSTS = {"github.com": "api.github.com", "bitbucket.org": "api.bitbucket.org"}
_DONE = {
    StatusState.PENDING: "Building, testing and scanning",
    StatusState.SUCCESS: "Every step succeeded",
    StatusState.FAILURE: "Did not get through",
}


def send_due() -> int:
    """Send every report that is due; one that cannot be sent keeps none of the others. Returns how many were taken."""
    taken = 0
    for status, source in statuses.claim_due():
        try:
            _send(status, source)
        except ProblemError as error:
            statuses.not_sent(status, error.report, passing=error.code == "STATUS-UNREACHABLE")
        except Exception:
            logger.exception("commit status %s could not be sent", status.pk)
            statuses.not_sent(status, ProblemReport("PLATFORM-UNEXPECTED", {"attempt": str(status.pk)}), passing=True)
        else:
            statuses.sent(status)
            taken += 1
    return taken


def _send(status: CommitStatus, source: ListingSource) -> None:
    """Raises ProblemError STATUS-…, SOURCE-ADDRESS-FORBIDDEN."""
    report, token = _report(status, source), _token_of(source)
    login = Login(token.username, token.reveal())
    request = DIALECTS[source.status_provider](source.status_url.rstrip("/"), report, login)
    host = addresses.parse_host(request.url)
    _require_host(token, host)
    answer = _post(request, host)
    if answer.status_code < 300 or _is_known(source, answer):
        return
    if answer.status_code in (401, 403):
        raise ProblemError("STATUS-DENIED", host=host, status=answer.status_code, commit=report.commit[:12])
    if answer.status_code == 404:
        raise ProblemError(
            "STATUS-NOT-FOUND", host=host, status=404, repository=report.repository, commit=report.commit[:12]
        )
    if answer.status_code == 429 or answer.status_code >= 500:
        raise ProblemError("STATUS-UNREACHABLE", host=host, detail=f"it answered {answer.status_code}")
    raise ProblemError("STATUS-REFUSED", host=host, status=answer.status_code, answer=answer.text[:_ANSWER_CHARACTERS])


def _is_known(source: ListingSource, answer: requests.Response) -> bool:
    """GitLab refuses a state that the commit has already."""
    return answer.status_code == 400 and source.status_provider == "gitlab" and "Cannot transition" in answer.text


def _report(status: CommitStatus, source: ListingSource) -> Report:
    run, version = status.run, status.run.version
    address = addresses.parse_git(source.git_url, http_hosts=_listed())
    return Report(
        host=address.site if address.scheme != addresses.SSH else address.host,
        repository=address.path.strip("/").removesuffix(".git"),
        commit=version.git_commit,
        state=StatusState(status.state),
        url=settings.SLIPWAY.public_url.rstrip("/") + links.run(run),
        description=_description(status),
        key=f"slipway/{version.listing.slug}",
    )


def _description(status: CommitStatus) -> str:
    text = f"{status.run.version.number}: {_DONE[StatusState(status.state)]}"
    failed = status.run.steps.exclude(attempts__problem_code="").order_by("position").first()
    if status.state != StatusState.FAILURE or failed is None:
        return text
    code = failed.attempts.exclude(problem_code="").order_by("-number").values_list("problem_code", flat=True).first()
    return f"{status.run.version.number}: {problems.get(str(code)).title}"


def _token_of(source: ListingSource) -> Credential:
    if source.status_credential is None:
        raise ProblemError("STATUS-NO-TOKEN", host=source.get_status_provider_display())
    return source.status_credential


def _require_host(credential: Credential, host: str) -> None:
    """A token goes to its own host only, or to the API that this host keeps at another name."""
    if host not in (credential.host, _API_HOSTS.get(credential.host)):
        raise ProblemError("STATUS-NO-TOKEN", host=host)


def _listed() -> frozenset[str]:
    return addresses.listed_hosts(settings.SLIPWAY.source_allow_hosts)


def _post(request: Request, host: str) -> requests.Response:
    with guard.open() as way, way.session() as session:
        try:
            return session.post(
                request.url, json=dict(request.body), headers=dict(request.headers), auth=request.basic,
                timeout=_TIMEOUT, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            way.raise_if_refused()
            raise ProblemError("STATUS-UNREACHABLE", host=host, detail=type(error).__name__) from None
