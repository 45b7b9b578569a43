"""One request per code host: the commit-status API that each speaks.

GitHub: REST API, "Create a commit status". GitLab: "Commits API, set commit pipeline status".
Bitbucket Cloud: REST 2.0, "Create a build status for a commit". Gitea and Forgejo: API 1, "Create a commit status".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from listings.models import StatusProvider, StatusState


@dataclass(frozen=True, slots=True)
class Report:
    """``repository`` is the path on the code host (``owner/name``); ``host`` where the repository is cloned from.

    ``key`` tells reports of Slipway about one listing from others on the same commit.
    """

    host: str
    repository: str
    commit: str
    state: StatusState
    url: str
    description: str
    key: str


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    token: str


@dataclass(frozen=True, slots=True)
class Request:
    """A POST with a JSON body. ``basic`` is a user name and password, where the host wants those."""

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, str]
    basic: tuple[str, str] | None = None


def github(api: str, report: Report, login: Login) -> Request:
    base = api or ("https://api.github.com" if report.host == "github.com" else f"https://{report.host}/api/v3")
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {login.token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return Request(f"{base}/repos/{quote(report.repository)}/statuses/{report.commit}", headers, _like_github(report))


def gitea(api: str, report: Report, login: Login) -> Request:
    base = api or f"https://{report.host}/api/v1"
    headers = {"Authorization": f"token {login.token}"}
    return Request(f"{base}/repos/{quote(report.repository)}/statuses/{report.commit}", headers, _like_github(report))


def _like_github(report: Report) -> dict[str, str]:
    return {
        "state": report.state.value,
        "target_url": report.url,
        "description": report.description[:140],
        "context": report.key,
    }


_GITLAB = {StatusState.PENDING: "running", StatusState.SUCCESS: "success", StatusState.FAILURE: "failed"}


def gitlab(api: str, report: Report, login: Login) -> Request:
    base = api or f"https://{report.host}/api/v4"
    body = {
        "state": _GITLAB[report.state], "target_url": report.url, "description": report.description[:255],
        "name": report.key,
    }  # fmt: skip
    project = quote(report.repository, safe="")
    return Request(f"{base}/projects/{project}/statuses/{report.commit}", {"PRIVATE-TOKEN": login.token}, body)


_BITBUCKET = {StatusState.PENDING: "INPROGRESS", StatusState.SUCCESS: "SUCCESSFUL", StatusState.FAILURE: "FAILED"}


def bitbucket(api: str, report: Report, login: Login) -> Request:
    base = api or "https://api.bitbucket.org/2.0"
    body = {
        "state": _BITBUCKET[report.state], "key": report.key[:40], "name": report.key, "url": report.url,
        "description": report.description[:255],
    }  # fmt: skip
    url = f"{base}/repositories/{quote(report.repository)}/commit/{report.commit}/statuses/build"
    # x-token-auth is the name that an access token has towards git; the API takes such a token as a bearer's.
    if login.username not in ("", "x-token-auth"):
        return Request(url, {}, body, (login.username, login.token))
    return Request(url, {"Authorization": f"Bearer {login.token}"}, body)


Dialect = Callable[[str, Report, Login], Request]
DIALECTS: Mapping[str, Dialect] = {
    StatusProvider.GITHUB: github,
    StatusProvider.GITEA: gitea,
    StatusProvider.GITLAB: gitlab,
    StatusProvider.BITBUCKET: bitbucket,
}
