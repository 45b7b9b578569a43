"""fetch from Git: all that a seller or a code host can do wrong, each with its code and a retry that succeeds."""

from __future__ import annotations

import os

import pytest

from listings.models import CredentialKind
from listings.states import AttemptState
from tests.bad_input import provokes
from tests.engine.git_fixtures import FILES, fetching, make_credential, resolves
from tests.engine.test_git_sources import repository
from tests.git_servers import certify, git, git_http, git_ssh, http_server
from tests.programs import free_port

__all__ = ["fetching", "git_http", "git_ssh", "make_credential", "repository", "resolves"]


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server with TLS for 127.0.0.1 and innocent.example, whose certificate the worker trusts."""
    certificate = certify(tmp_path / "certificate.pem", "innocent.example")
    for others in ("GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(others, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.pem")
    with http_server(tmp_path / "git-tls", certificate) as server:
        yield server


@provokes("GIT-UNREACHABLE", "unreachable Git")
def test_a_host_that_does_not_answer(tmp_path, fetching):
    port = free_port()
    fetching.allow("127.0.0.1")
    failed = fetching(f"http://127.0.0.1:{port}/acme/model.git")
    failed.assert_failed("GIT-UNREACHABLE", "127.0.0.1", "onnection refused")
    with http_server(tmp_path / "late", port=port) as server:
        server.repository("acme/model").commit(FILES)
        assert fetching.retry(failed).facts["commit"]


def test_a_name_that_does_not_resolve(fetching):
    fetching("https://code.invalid/acme/model.git").assert_failed("GIT-UNREACHABLE", "code.invalid")


def test_a_host_that_fails(git_http, repository, fetching):
    git_http.status = 503
    failed = fetching(repository.url)
    failed.assert_failed("GIT-UNREACHABLE", "503")
    git_http.status = 0
    assert fetching.retry(failed).facts["commit"]


@provokes("GIT-REF-UNKNOWN", "unknown ref")
def test_a_branch_that_is_not_there(repository, fetching):
    repository.tag("v1")
    failed = fetching(repository.url, "release/2")
    failed.assert_failed("GIT-REF-UNKNOWN", "release/2", "main, v1")
    repository.commit({"note": "x"}, branch="release/2")
    assert fetching.retry(failed).facts["commit"]


@provokes("GIT-EMPTY", "empty repository")
@pytest.mark.parametrize("ref", ["", "main"])
def test_a_repository_without_a_commit(git_http, fetching, ref):
    fetching.allow(git_http.host)
    repository = git_http.repository("acme/new")
    failed = fetching(repository.url, ref)
    failed.assert_failed("GIT-EMPTY", repository.url)
    repository.commit(FILES)
    assert fetching.retry(failed).facts["commit"]


@provokes("SOURCE-TOO-LARGE", "5 GB repository")
def test_a_repository_that_is_too_large_is_stopped_on_its_way(git_http, repository, fetching):
    """Small enough for a test, but with a limit as far below it."""
    repository.commit({f"data-{number}": os.urandom(8_000_000) for number in range(5)})
    fetching.configure(source_max_bytes=4_000_000)
    git_http.pace = 0.02
    failed = fetching(repository.url)
    failed.assert_failed("SOURCE-TOO-LARGE", "3.8 MiB")
    assert git_http.sent < 25_000_000
    repository.commit({f"data-{number}": None for number in range(5)})
    assert fetching.retry(failed).facts["commit"]


def test_a_repository_of_few_bytes_that_unpack_to_many(repository, fetching):
    repository.commit({"zeros": bytes(60_000_000)})
    fetching.configure(source_max_bytes=20_000_000)
    fetching(repository.url).assert_failed("SOURCE-TOO-LARGE", "Its files hold 57.2 MiB")


def test_too_many_files(repository, fetching):
    fetching.configure(source_max_files=3)
    fetching(repository.url).assert_failed("SOURCE-TOO-LARGE", "It has more than 3 files")


@provokes("GIT-SUBMODULE-ADDRESS", "submodule to file://")
@pytest.mark.parametrize(
    "address",
    ["file:///etc", "/etc", "ext::sh -c id", "-u./x", "git://127.0.0.1/x", "../../../../x", "https://a:b@c/d"],
)
def test_a_submodule_at_an_address_that_is_not_fetched(git_http, repository, fetching, address, tmp_path):
    inner = git_http.repository("acme/inner")
    commit = inner.commit({"inner.txt": "x"})
    repository.submodule("vendor/inner", address, commit)
    failed = fetching(repository.url)
    failed.assert_failed("GIT-SUBMODULE-ADDRESS", "vendor/inner")
    assert "a:b@" not in failed.everything
    repository.commit({".gitmodules": f'[submodule "x"]\n\tpath = vendor/inner\n\turl = {inner.url}\n'})
    assert fetching.retry(failed).contents()["vendor/inner/inner.txt"] == b"x"


def test_a_submodule_without_an_address_and_one_whose_commit_is_gone(git_http, repository, fetching):
    inner = git_http.repository("acme/inner")
    inner.commit({"inner.txt": "x"})
    repository.submodule("inner", inner.url, "1" * 40)
    failed = fetching(repository.url)
    failed.assert_failed("GIT-COMMIT-GONE", "1" * 40, inner.url)
    repository.commit({".gitmodules": "[core]\n"})
    fetching.retry(failed).assert_failed("GIT-SUBMODULE", "has no address in .gitmodules")


def test_submodules_that_contain_each_other(repository, fetching):
    """No commit can name itself, but a chain can be made as long as one likes."""
    commit = repository.commit(FILES)
    for _ in range(10):
        commit = repository.submodule(f"again-{commit[:8]}", repository.url, commit)
        git("rm", "-q", "--cached", "-r", ".", cwd=repository.work)
        (repository.work / ".gitmodules").unlink()
        last = commit
    fetching(repository.url, last).assert_failed("GIT-SUBMODULE", "one too many")


@provokes("SOURCE-ADDRESS-FORBIDDEN", "Git URL to a private address")
def test_an_address_in_a_private_network(tls, fetching):
    repository = tls.repository("acme/model")
    repository.commit(FILES)
    failed = fetching(repository.url)
    failed.assert_failed("SOURCE-ADDRESS-FORBIDDEN", tls.host, "it is a loopback address")
    assert tls.seen == []
    fetching.allow(tls.host)
    assert fetching.retry(failed).facts["commit"]


@provokes("SOURCE-ADDRESS-FORBIDDEN", "Git URL to the metadata address")
@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "100.100.100.200"])
def test_the_metadata_address(repository, fetching, host):
    failed = fetching(f"https://{host}/latest/meta-data.git")
    failed.assert_failed("SOURCE-ADDRESS-FORBIDDEN", "metadata service")
    assert fetching(repository.url).facts["commit"]


@provokes("SOURCE-ADDRESS-FORBIDDEN", "private address by DNS")
def test_a_name_that_leads_to_a_private_address(tls, fetching, resolves):
    tls.repository("acme/model").commit(FILES)
    resolves(innocent__example="10.0.0.7")
    failed = fetching(f"https://innocent.example:{tls.port}/acme/model.git")
    failed.assert_failed("SOURCE-ADDRESS-FORBIDDEN", "innocent.example", "10.0.0.7")
    resolves(innocent__example="127.0.0.1")
    fetching.allow("innocent.example")
    assert fetching.retry(failed).facts["commit"]


@provokes("SOURCE-ADDRESS-FORBIDDEN", "private address by redirect")
def test_a_redirect_to_a_private_address(git_http, tls, repository, fetching):
    tls.repository("acme/model").commit(FILES)
    git_http.redirects["/acme/model.git"] = f"{tls.url}/acme/model.git"
    failed = fetching(repository.url)
    failed.assert_failed("SOURCE-ADDRESS-FORBIDDEN", tls.host)
    assert tls.seen == []
    git_http.redirects.clear()
    assert fetching.retry(failed).facts["commit"]


def test_a_redirect_to_another_protocol(git_http, repository, fetching):
    git_http.redirects["/acme/model.git"] = "file:///etc"
    assert fetching(repository.url).attempt.state == AttemptState.FAILED


def test_a_submodule_or_lfs_file_at_a_private_address(git_http, tls, repository, fetching):
    inner = tls.repository("inner")
    repository.submodule("inner", inner.url, inner.commit({"x": "x"}))
    fetching(repository.url).assert_failed("SOURCE-ADDRESS-FORBIDDEN", tls.host)
    repository.commit(
        {".gitmodules": None, ".gitattributes": "*.bin filter=lfs\n", "a.bin": repository.lfs_pointer(b"a")}
    )
    git("rm", "-q", "--cached", "inner", cwd=repository.work)
    repository.commit({})
    git_http.lfs_href = lambda oid: f"{tls.url}/lfs/{oid}"
    failed = fetching(repository.url)
    failed.assert_failed("SOURCE-ADDRESS-FORBIDDEN", tls.host)
    assert tls.seen == []
    git_http.lfs_href = None
    assert fetching.retry(failed).contents()["a.bin"] == b"a"


def test_a_private_address_over_ssh(git_ssh, fetching, make_credential):
    repository = git_ssh.repository("model")
    repository.commit(FILES)
    credential = make_credential(git_ssh.host, git_ssh.private_key, "ssh_key")
    failed = fetching(repository.url, credential=credential)
    failed.assert_failed("SOURCE-ADDRESS-FORBIDDEN", git_ssh.host)
    fetching.allow(git_ssh.host)
    assert fetching.retry(failed).facts["commit"]


def test_an_address_that_is_not_there(git_http, repository, fetching):
    failed = fetching(f"{git_http.url}/acme/typo.git")
    failed.assert_failed("GIT-NOT-REPOSITORY", "acme/typo.git", "not found")
    git_http.repository("acme/typo").commit(FILES)
    assert fetching.retry(failed).facts["commit"]


def test_a_web_page_instead_of_a_repository(git_http, repository, fetching):
    page = git_http.folder / "page.git" / "info" / "refs"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html>\n<title>Sign in</title>\n")
    git_http.is_dumb = True
    fetching(f"{git_http.url}/page.git").assert_failed("GIT-NOT-REPOSITORY", "page.git")


def test_a_commit_that_was_taken_away(repository, fetching):
    commit = repository.commit({"note": "soon gone"})
    repository.forget(commit)
    failed = fetching(repository.url, "main", git_commit=commit)
    failed.assert_failed("GIT-COMMIT-GONE", commit, "which the version was made from")
    git("push", "-q", str(repository.path), f"{commit}:refs/heads/back", cwd=repository.work)
    assert fetching.retry(failed).facts["commit"] == commit


def test_a_directory_that_is_not_there(repository, fetching):
    failed = fetching(repository.url, directory="models/churn")
    failed.assert_failed("GIT-DIRECTORY-MISSING", "models/churn")
    repository.commit({f"models/churn/{name}": text for name, text in FILES.items()})
    assert fetching.retry(failed).facts["commit"]


def test_a_directory_that_is_a_link_is_no_directory(repository, fetching):
    repository.link("models", "sample")
    repository.commit({})
    fetching(repository.url, directory="models").assert_failed("GIT-DIRECTORY-MISSING", "models")


def test_a_link_out_of_the_repository(repository, fetching):
    repository.link("passwords", "/etc/passwd")
    repository.commit({})
    failed = fetching(repository.url)
    failed.assert_failed("SOURCE-LINK-ESCAPE", "/etc/passwd")
    repository.commit({"passwords": None})
    assert fetching.retry(failed).facts["commit"]


@pytest.mark.parametrize("stored", ["missing", "damaged", "short"])
def test_an_lfs_object_that_is_not_what_its_pointer_says(git_http, repository, fetching, stored):
    pointer = repository.lfs_pointer(b"the weights", stored=stored != "missing")
    repository.commit({".gitattributes": "*.bin filter=lfs\n", "weights.bin": pointer})
    for kept in git_http.lfs_objects.glob("*"):
        kept.write_bytes(b"the WEIGHTS" if stored == "damaged" else b"the")
    failed = fetching(repository.url)
    failed.assert_failed("GIT-LFS-MISSING" if stored == "missing" else "GIT-LFS-DAMAGED", "weights.bin")
    repository.lfs_pointer(b"the weights")
    assert fetching.retry(failed).contents()["weights.bin"] == b"the weights"


def test_lfs_objects_count_towards_the_limit(repository, fetching):
    repository.commit({".gitattributes": "*.bin filter=lfs\n", "weights.bin": repository.lfs_pointer(bytes(3_000_000))})
    fetching.configure(source_max_bytes=2_000_000)
    fetching(repository.url).assert_failed("SOURCE-TOO-LARGE", "2.9 MiB")


@provokes("GIT-AUTH-REFUSED", "wrong credentials")
@pytest.mark.parametrize("secret", [None, "another"])
def test_a_token_that_is_missing_or_wrong(git_http, repository, fetching, make_credential, secret):
    git_http.auth = ("bot", "right-token")
    credential = make_credential(git_http.host, secret) if secret else None
    failed = fetching(repository.url, credential=credential)
    failed.assert_failed("GIT-AUTH-REFUSED", git_http.host, "token for" if secret else "without a credential")
    if credential is None:
        git_http.auth = None
    else:
        credential.seal("right-token")
        credential.save()
    assert fetching.retry(failed).facts["commit"]


def test_a_deploy_key_that_the_host_does_not_know(git_ssh, fetching, make_credential, tmp_path):
    fetching.allow(git_ssh.host)
    repository = git_ssh.repository("model")
    repository.commit(FILES)
    host_key = (git_ssh.folder / "host").read_text()
    credential = make_credential(git_ssh.host, host_key, CredentialKind.SSH_KEY)
    failed = fetching(repository.url, credential=credential)
    failed.assert_failed("GIT-AUTH-REFUSED", git_ssh.host, "Permission denied (publickey)")
    credential.seal(git_ssh.private_key)
    credential.save()
    assert fetching.retry(failed).facts["commit"]


def test_ssh_without_a_deploy_key(git_ssh, fetching):
    fetching.allow(git_ssh.host)
    fetching(git_ssh.repository("model").url).assert_failed("GIT-AUTH-REFUSED", "there is no deploy key")


def test_a_host_that_shows_another_key(git_ssh, fetching, make_credential):
    fetching.allow(git_ssh.host)
    repository = git_ssh.repository("model")
    repository.commit(FILES)
    credential = make_credential(git_ssh.host, git_ssh.private_key, "ssh_key")
    assert fetching(repository.url, credential=credential).facts["commit"]
    git_ssh.renew_host_key()
    failed = fetching(repository.url, credential=credential)
    failed.assert_failed("GIT-HOST-KEY", git_ssh.host)
    credential.refresh_from_db()
    credential.known_hosts = git_ssh.known_hosts
    credential.save()
    assert fetching.retry(failed).facts["commit"]


def test_a_credential_for_another_host_or_of_another_kind_is_never_sent(
    git_http, repository, fetching, make_credential
):
    elsewhere = make_credential("code.example.com", "secret-of-another-host")
    fetching(repository.url, credential=elsewhere).assert_failed("CREDENTIAL-HOST", "code.example.com", git_http.host)
    key = make_credential(git_http.host, "a key", "ssh_key")
    fetching(repository.url, credential=key).assert_failed("CREDENTIAL-KIND")
    assert git_http.seen == []


def test_a_certificate_that_nobody_trusts(tls, fetching, monkeypatch):
    fetching.allow(tls.host)
    repository = tls.repository("acme/model")
    repository.commit(FILES)
    trusted = os.environ["SSL_CERT_FILE"]
    monkeypatch.delenv("SSL_CERT_FILE")
    failed = fetching(repository.url)
    failed.assert_failed("GIT-TLS", tls.host)
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    assert fetching.retry(failed).facts["commit"]


@pytest.mark.parametrize(
    ("url", "ref", "code"),
    [
        ("--upload-pack=touch made", "", "ADDRESS-GIT"),
        ("ext::sh -c touch% made", "", "ADDRESS-SCHEME"),
        ("file:///etc", "", "ADDRESS-SCHEME"),
        ("git://127.0.0.1/x", "", "ADDRESS-SCHEME"),
        ("https://user:password@code.example.com/x", "", "ADDRESS-SECRET"),
        ("http://code.example.com/x", "", "ADDRESS-HTTP"),
        ("https://code.example.com/x", "--upload-pack=touch made", "ADDRESS-REF"),
    ],
)
def test_nothing_typed_becomes_an_option_or_another_protocol(fetching, url, ref, code):
    failed = fetching(url, ref)
    failed.assert_failed(code)
    assert "password@" not in failed.everything


def test_a_worker_without_git(repository, fetching, monkeypatch, tmp_path):
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        failed = fetching(repository.url)
    assert failed.attempt.problem_code == "GIT-PROGRAM-MISSING"
    assert failed.attempt.state == AttemptState.ERRORED
    assert fetching.retry(failed).facts["commit"]


def test_a_worker_whose_disk_is_full(repository, fetching, monkeypatch, tmp_path):
    """A git that says what the real one says then."""
    false = tmp_path / "git"
    false.write_text("#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\nexit 128\n")
    false.chmod(0o755)
    with monkeypatch.context() as full:
        full.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        failed = fetching(repository.url)
    assert (failed.attempt.problem_code, failed.attempt.state) == ("GIT-DISK-FULL", AttemptState.ERRORED)
    assert fetching.retry(failed).facts["commit"]
