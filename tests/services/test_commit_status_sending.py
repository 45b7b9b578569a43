"""Reports reach a server that speaks the code hosts' APIs, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from listings.models import CommitStatus, Credential, CredentialKind, Listing, ListingSource, Run, SourceKind
from listings.services import versions
from listings.services.origins import Origin
from tests import flow
from tests.code_host import TOKEN, CodeHost, code_host
from workers.codehosts.send import send_due

__all__ = ["code_host"]

COMMIT = "c0ffee" + "0" * 34
API = {"github": "", "gitea": "/api/v1", "gitlab": "/api/v4", "bitbucket": "/2.0"}


@pytest.fixture(autouse=True)
def listed(settings: Any, code_host: CodeHost) -> None:
    """The operator lists the local server; else the guard would refuse it."""
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_allow_hosts": code_host.site})


@pytest.fixture
def credential(listing: Listing, code_host: CodeHost) -> Credential:
    made = Credential(team=listing.team, kind=CredentialKind.TOKEN, name="statuses", host=code_host.site)
    made.seal(TOKEN)
    made.save()
    return made


def start(seller: Any, listing: Listing, host: CodeHost, credential: Credential | None, provider: str) -> Run:
    url = f"{host.url}/acme/vision.git"
    ListingSource.objects.create(
        listing=listing, kind=SourceKind.GIT, git_url=url, status_provider=provider,
        status_url=host.url + API[provider], status_credential=credential,
    )  # fmt: skip
    origin = Origin(SourceKind.GIT, git_url=url, git_ref="main", git_commit=COMMIT)
    return versions.submit_version(seller, versions.create_version(seller, listing, number="1.0.0", source=origin))


@pytest.mark.parametrize(
    ("provider", "first", "last"),
    [
        ("github", "pending", "success"),
        ("gitea", "pending", "success"),
        ("gitlab", "running", "success"),
        ("bitbucket", "INPROGRESS", "SUCCESSFUL"),
    ],
)
def test_the_code_host_is_told_of_start_and_end(
    provider: str, first: str, last: str, seller: Any, listing: Listing, credential: Credential, code_host: CodeHost
) -> None:
    run = start(seller, listing, code_host, credential, provider)
    assert send_due() == 1
    flow.run_through(run)
    assert send_due() == 1
    assert send_due() == 0
    assert [(told["sha"], told["state"]) for told in code_host.statuses] == [(COMMIT, first), (COMMIT, last)]
    link = code_host.statuses[-1].get("target_url") or code_host.statuses[-1]["url"]
    assert link.endswith("/t/acme-vision/listings/decision-trees/versions/1.0.0/runs/1/")
    assert CommitStatus.objects.filter(sent_at__isnull=False).count() == 2


def test_a_failure_is_named(seller: Any, listing: Listing, credential: Credential, code_host: CodeHost) -> None:
    run = start(seller, listing, code_host, credential, "github")
    flow.end(run, "fetch")
    flow.end(run, "build", flow.failed("BUILD-FAILED"))
    send_due()
    assert code_host.statuses[-1]["description"].startswith("1.0.0: ")
    assert code_host.statuses[-1]["state"] == "failure"


@pytest.mark.parametrize(
    ("answer", "code", "again"),
    [
        (401, "STATUS-DENIED", False),
        (404, "STATUS-NOT-FOUND", False),
        (422, "STATUS-REFUSED", False),
        (429, "STATUS-UNREACHABLE", True),
        (503, "STATUS-UNREACHABLE", True),
    ],
)
def test_a_refusal_is_kept_and_what_passes_is_tried_again(
    answer: int, code: str, again: bool, seller: Any, listing: Listing, credential: Credential, code_host: CodeHost
) -> None:
    start(seller, listing, code_host, credential, "github")
    code_host.answer = answer
    assert send_due() == 0
    status = CommitStatus.objects.get()
    assert (status.problem_code, status.next_at is not None) == (code, again)
    code_host.answer = 0
    CommitStatus.objects.update(next_at=status.created_at)
    assert send_due() == 1
    assert CommitStatus.objects.get().problem_code == ""


def test_a_redirect_is_not_followed(seller: Any, listing: Listing, credential: Credential, code_host: CodeHost) -> None:
    other = CodeHost("acme/vision")
    start(seller, listing, code_host, credential, "github")
    code_host.answer, code_host.redirect = 302, other.url
    assert send_due() == 0
    other.close()
    assert other.statuses == []
    assert CommitStatus.objects.get().problem_code == "STATUS-REFUSED"


def test_a_token_never_goes_to_another_host(
    seller: Any, listing: Listing, credential: Credential, code_host: CodeHost
) -> None:
    Credential.objects.update(host="code.example.com")
    start(seller, listing, code_host, Credential.objects.get(), "github")
    assert send_due() == 0
    assert code_host.statuses == []
    assert CommitStatus.objects.get().problem_code == "STATUS-NO-TOKEN"


def test_an_address_in_a_private_network_is_refused_unless_the_operator_lists_it(
    seller: Any, listing: Listing, credential: Credential, code_host: CodeHost, settings: Any
) -> None:
    start(seller, listing, code_host, credential, "github")
    ListingSource.objects.update(git_url="https://127.0.0.1/acme/vision.git", status_url="https://127.0.0.1")
    Credential.objects.update(host="127.0.0.1")
    run = Run.objects.get()
    type(run.version).objects.update(git_url="https://127.0.0.1/acme/vision.git")
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_allow_hosts": ""})
    assert send_due() == 0
    assert CommitStatus.objects.get().problem_code == "SOURCE-ADDRESS-FORBIDDEN"
