"""Sends the reports that are due, through the network guard: the API's address is a seller's."""

from __future__ import annotations

import logging
import threading
import time

import requests
import urllib3
from django.conf import settings

from listings import addresses, links, problems
from listings.hooks.body import printable
from listings.models import CommitStatus, Credential, ListingSource, StatusState
from listings.problems import ProblemError
from listings.reports import ProblemReport
from listings.services import statuses
from workers.codehosts.dialects import DIALECTS, Login, Report, Request
from workers.logs.redact import Redactor
from workers.sources import guard

logger = logging.getLogger(__name__)

_TIMEOUT = (5.0, 8.0)  # to connect, between bytes; seconds
#: For a whole request, however its answer drips in, and for all that one call begins; seconds. Others' reports wait
#: for it, and where the control worker has one slot, its planning does, too.
_ENOUGH, _ROUND = 8.0, 4.0
_ANSWER_BYTES, _ANSWER_CHARACTERS = 4096, 300
_API_HOSTS = {"github.com": "api.github.com", "bitbucket.org": "api.bitbucket.org"}
_DONE = {
    StatusState.PENDING: "Building, testing and scanning",
    StatusState.SUCCESS: "Every step succeeded",
    StatusState.FAILURE: "Did not get through",
}


def send_due() -> int:
    """Send reports that are due, for some seconds; one that cannot be sent keeps none of the others.

    Returns how many were taken.
    """
    taken, until = 0, time.monotonic() + _ROUND
    while time.monotonic() < until and (claimed := statuses.claim_due(limit=1)):
        for status, source in claimed:
            taken += _is_taken(status, source)
    return taken


def _is_taken(status: CommitStatus, source: ListingSource) -> bool:
    try:
        _send(status, source)
    except ProblemError as error:
        statuses.not_sent(status, error.report, passing=error.code == "STATUS-UNREACHABLE")
    except Exception:
        logger.exception("commit status %s could not be sent", status.pk)
        statuses.not_sent(status, ProblemReport("PLATFORM-UNEXPECTED", {"attempt": str(status.pk)}), passing=True)
    else:
        statuses.sent(status)
        return True
    return False


def _send(status: CommitStatus, source: ListingSource) -> None:
    """Raises ProblemError STATUS-…, SOURCE-ADDRESS-FORBIDDEN."""
    report, token = _report(status, source), _token_of(source)
    login = Login(token.username, token.reveal())
    request = DIALECTS[source.status_provider](source.status_url.rstrip("/"), report, login)
    host, code, said = _post(request, token)
    if code < 300 or _is_known(source, code, said):
        return
    if code in (401, 403):
        raise ProblemError("STATUS-DENIED", host=host, status=code, commit=report.commit[:12])
    if code == 404:
        raise ProblemError(
            "STATUS-NOT-FOUND", host=host, status=404, repository=report.repository, commit=report.commit[:12]
        )
    if code == 429 or code >= 500:
        raise ProblemError("STATUS-UNREACHABLE", host=host, detail=f"it answered {code}")
    raise ProblemError("STATUS-REFUSED", host=host, status=code, answer=_shown(said, login))


def _is_known(source: ListingSource, code: int, said: str) -> bool:
    """GitLab refuses a state that the commit has already."""
    return code == 400 and source.status_provider == "gitlab" and "Cannot transition" in said


def _shown(said: str, login: Login) -> str:
    """What a page may show of an answer: a server may send back what it was sent."""
    clean = Redactor([login.token, f"{login.username}:{login.token}"]).clean(said)
    return printable(" ".join(clean.split()), _ANSWER_CHARACTERS)


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


def _words(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it took too long to answer"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached"
    return "the request failed"


def _listed() -> frozenset[str]:
    return addresses.listed_hosts(settings.SLIPWAY.source_allow_hosts)


def _post(request: Request, token: Credential) -> tuple[str, int, str]:
    """The host that was asked, its status, and the beginning of what it says about a refusal."""
    with guard.open() as way, way.session() as session:
        try:
            asked = session.prepare_request(
                requests.Request(
                    "POST", request.url, json=dict(request.body), headers=dict(request.headers), auth=request.basic
                )
            )
        except requests.RequestException as error:
            raise ProblemError("STATUS-UNREACHABLE", host="The code host", detail=_words(error)) from None
        # Where the request really goes: what was typed may be read in more than one way.
        host = addresses.parse_host(str(asked.url))
        _require_host(token, host)
        watch = threading.Timer(_ENOUGH, way.cut)
        watch.start()
        try:
            with session.send(asked, timeout=_TIMEOUT, allow_redirects=False, stream=True) as answer:
                return host, answer.status_code, _beginning(answer) if answer.status_code >= 300 else ""
        except requests.RequestException as error:
            way.raise_if_refused()
            raise ProblemError("STATUS-UNREACHABLE", host=host, detail=_words(error)) from None
        finally:
            watch.cancel()


def _beginning(answer: requests.Response) -> str:
    """As it came: nothing is unpacked, and no more is read than can be shown."""
    said, until = b"", time.monotonic() + _ENOUGH
    try:
        while len(said) < _ANSWER_BYTES and time.monotonic() < until:
            chunk = answer.raw.read1(_ANSWER_BYTES - len(said), decode_content=False)
            if not chunk:
                break
            said += chunk
    except (OSError, urllib3.exceptions.HTTPError):
        pass  # the status has been told
    return said.decode("utf-8", "replace")
