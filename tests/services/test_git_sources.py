"""fetch from real Git servers: what it takes from them."""

from __future__ import annotations

import pytest

from tests.git_servers import git_http, git_ssh
from tests.services.git_fixtures import FILES, contents, fetching, make_credential, resolving

__all__ = ["fetching", "git_http", "git_ssh", "make_credential", "resolving"]
pytestmark = pytest.mark.django_db


def test_the_default_branch_becomes_an_archive_with_its_commit(git_http, fetching):
    repository = git_http.repository("acme/model")
    commit = repository.commit(FILES, "First model")
    fetching.allow("127.0.0.1")
    report = fetching(repository.url)
    assert report.facts["commit"] == commit
    assert contents(report)["sample/train/rows.csv"] == b"1,2\n"
    assert f"Commit {commit}: First model" in fetching.log.text()


def test_over_ssh(git_ssh, fetching, make_credential):
    repository = git_ssh.repository("model")
    commit = repository.commit(FILES)
    fetching.allow(git_ssh.host)
    credential = make_credential(git_ssh.host, git_ssh.private_key, "ssh_key")
    report = fetching(repository.url, credential=credential)
    assert report.facts["commit"] == commit
    credential.refresh_from_db()
    assert credential.known_hosts == git_ssh.known_hosts
    assert credential.used_at
