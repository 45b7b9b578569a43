"""What each code host is sent."""

from __future__ import annotations

import pytest

from listings.models import StatusState
from workers.codehosts.dialects import DIALECTS, Login, Report

COMMIT = "c" * 40
LOGIN = Login("", "s3cret")


def report(state: StatusState = StatusState.SUCCESS, host: str = "code.example.com") -> Report:
    return Report(
        host, "acme/vision models", COMMIT, state, "https://slipway.example.com/r/1", "x" * 500, "slipway/trees"
    )


@pytest.mark.parametrize(
    ("provider", "host", "api", "url"),
    [
        ("github", "github.com", "", f"https://api.github.com/repos/acme/vision%20models/statuses/{COMMIT}"),
        ("github", "code.example.com", "", f"https://code.example.com/api/v3/repos/acme/vision%20models/statuses/{COMMIT}"),
        ("gitea", "code.example.com", "", f"https://code.example.com/api/v1/repos/acme/vision%20models/statuses/{COMMIT}"),
        (
            "gitlab", "code.example.com", "https://api.example.com/v4",
            f"https://api.example.com/v4/projects/acme%2Fvision%20models/statuses/{COMMIT}",
        ),
        (
            "bitbucket", "bitbucket.org", "",
            f"https://api.bitbucket.org/2.0/repositories/acme/vision%20models/commit/{COMMIT}/statuses/build",
        ),
    ],
)  # fmt: skip
def test_a_report_goes_to_the_hosts_own_api_unless_another_is_named(
    provider: str, host: str, api: str, url: str
) -> None:
    assert DIALECTS[provider](api, report(host=host), LOGIN).url == url


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ("github", ("pending", "success", "failure")),
        ("gitea", ("pending", "success", "failure")),
        ("gitlab", ("running", "success", "failed")),
        ("bitbucket", ("INPROGRESS", "SUCCESSFUL", "FAILED")),
    ],
)
def test_states_are_said_in_the_hosts_words(provider: str, words: tuple[str, ...]) -> None:
    assert tuple(DIALECTS[provider]("", report(state), LOGIN).body["state"] for state in StatusState) == words


@pytest.mark.parametrize("provider", DIALECTS)
def test_the_token_stands_in_a_header_and_nowhere_else(provider: str) -> None:
    request = DIALECTS[provider]("", report(), LOGIN)
    assert any("s3cret" in value for value in request.headers.values())
    assert "s3cret" not in request.url + str(request.body)
    assert len(request.body["description"]) <= 255


def test_a_bitbucket_access_token_is_a_bearers() -> None:
    request = DIALECTS["bitbucket"]("", report(), Login("x-token-auth", "s3cret"))
    assert (request.basic, request.headers) == (None, {"Authorization": "Bearer s3cret"})


def test_a_bitbucket_app_password_goes_with_its_user_name() -> None:
    request = DIALECTS["bitbucket"]("", report(), Login("alice", "s3cret"))
    assert (request.basic, dict(request.headers)) == (("alice", "s3cret"), {})
