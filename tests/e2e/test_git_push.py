"""A real ``git push``, over HTTP and over ssh: the version appears, builds, and its status is reported back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from listings.models import (
    CommitStatus,
    Credential,
    CredentialKind,
    Delivery,
    Kind,
    Listing,
    ListingSource,
    Provider,
    Run,
    SourceKind,
    Team,
    Version,
)
from listings.services import listings as listing_service
from listings.services import webhooks
from tests.aws_fixtures import Standin, connect_team
from tests.code_host import TOKEN, CodeHost, code_host
from tests.git_servers import HttpServer, Repository, SshServer, git, git_http, git_ssh
from tests.pipeline import GOOD
from tests.registry_fixtures import Registry
from tests.stack import Stack, wait_until

__all__ = ["code_host", "git_http", "git_ssh"]

HOOK = Path(__file__).with_name("post_receive.py")


@pytest.fixture
def listing(seller: Any, team: Team, standin: Standin, stack: Stack, settings: Any) -> Listing:
    # Secrets that are sealed here are read by the stack's processes.
    settings.SECRET_KEY = stack.env["SLIPWAY_SECRET_KEY"]
    connect_team(team, standin)
    return listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name="Pushed", product_id="")


def connect(
    seller: Any, listing: Listing, stack: Stack, host: CodeHost, repository: Repository, provider: str,
    credential: Credential | None = None,
) -> None:  # fmt: skip
    """The listing builds what is pushed to ``repository``, whose hook tells it, and reports to ``host``."""
    token = Credential(team=listing.team, kind=CredentialKind.TOKEN, name="statuses", host=host.site)
    token.seal(TOKEN)
    token.save()
    ListingSource.objects.create(
        listing=listing, kind=SourceKind.GIT, git_url=repository.url, git_ref="main", credential=credential,
        status_provider=provider, status_url=host.url + ("/api/v4" if provider == "gitlab" else ""),
        status_credential=token,
    )  # fmt: skip
    wanted = webhooks.Wanted(["main"], ["v*"], [])
    webhook, secret = webhooks.create_webhook(seller, listing, Provider(provider), wanted)
    about = {
        "address": stack.url + reverse("hook", args=[webhook.pk]), "secret": secret, "provider": provider,
        "repository": host.repository,
    }  # fmt: skip
    (repository.path / "hook.json").write_text(json.dumps(about))
    hook = repository.path / "hooks" / "post-receive"
    hook.write_text(f"#!{sys.executable}\n{HOOK.read_text()}")
    hook.chmod(0o755)


def work_on(repository: Repository) -> str:
    """A commit in a seller's clone, not pushed yet."""
    for name, content in GOOD.items():
        (repository.work / name).write_text(content)
        (repository.work / name).chmod(0o755)
    git("add", "-A", cwd=repository.work)
    git("commit", "-q", "-m", "A model", cwd=repository.work)
    return git("rev-parse", "HEAD", cwd=repository.work)


def start(stack: Stack, *hosts: str) -> None:
    stack.env["SLIPWAY_SOURCE_ALLOW_HOSTS"] = ",".join(hosts)
    stack.control_worker()
    stack.beat()
    stack.engine_worker()
    stack.portal()


def assert_built_and_reported(listing: Listing, number: str, commit: str, host: CodeHost, stack: Stack) -> None:
    version = Version.objects.get(listing=listing, number=number)
    assert version.git_commit == commit
    wait_until("the run ends", lambda: version.runs.exclude(state="active").exists(), 180)
    run = Run.objects.get(version=version)
    assert run.state == "passed", stack.log("engine")[-3000:]
    sent = CommitStatus.objects.filter(run=run, state="success", sent_at__isnull=False)
    wait_until("the end is reported", sent.exists, 60)
    told = [status for status in host.statuses if status["sha"] == commit]
    assert told[-1]["state"] == "success"
    assert told[0]["state"] in ("pending", "running")
    assert told[-1]["target_url"].startswith(stack.url)


@pytest.mark.timeout(300)
def test_a_push_over_http_becomes_a_built_version_with_its_status(
    stack: Stack, listing: Listing, seller: Any, git_http: HttpServer, code_host: CodeHost, registry: Registry
) -> None:
    repository = git_http.repository("acme/vision")
    repository.configure("http.receivepack", "true")
    connect(seller, listing, stack, code_host, repository, "github")
    start(stack, git_http.host, code_host.site)
    commit = work_on(repository)
    said = git("push", repository.url, "HEAD:refs/heads/main", cwd=repository.work)
    assert Delivery.objects.get().decision == "built", said
    assert_built_and_reported(listing, "0.0.1-main.1", commit, code_host, stack)
    git("tag", "v1.2.3", cwd=repository.work)
    git("push", repository.url, "v1.2.3", cwd=repository.work)
    assert_built_and_reported(listing, "1.2.3", commit, code_host, stack)


@pytest.mark.timeout(300)
def test_a_push_over_ssh_becomes_a_built_version_with_its_status(
    stack: Stack, listing: Listing, seller: Any, git_ssh: SshServer, code_host: CodeHost, tmp_path: Path
) -> None:
    repository = git_ssh.repository("vision")
    code_host.repository = repository.url.partition(git_ssh.host)[2].strip("/").removesuffix(".git")
    key = Credential(
        team=listing.team, kind=CredentialKind.SSH_KEY, name="deploy", host=git_ssh.host,
        known_hosts=git_ssh.known_hosts,
    )  # fmt: skip
    key.seal(git_ssh.private_key)
    key.save()
    connect(seller, listing, stack, code_host, repository, "gitlab", key)
    start(stack, git_ssh.host, code_host.site)
    commit = work_on(repository)
    known = tmp_path / "known_hosts"
    known.write_text(git_ssh.known_hosts)
    ssh = f"ssh -i {git_ssh.folder / 'user'} -o UserKnownHostsFile={known} -o IdentitiesOnly=yes"
    git("push", repository.url, "HEAD:refs/heads/main", cwd=repository.work, GIT_SSH_COMMAND=ssh)
    assert Delivery.objects.get().decision == "built"
    assert_built_and_reported(listing, "0.0.1-main.1", commit, code_host, stack)
    assert git_ssh.private_key.splitlines()[2] not in stack.log("engine")
