"""fetch from real Git servers: what it takes from them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from listings.models import Attempt
from tests.engine.git_fixtures import FILES, fetching, make_credential
from tests.git_servers import IDENTITY, Repository, git, git_http, git_ssh

__all__ = ["fetching", "git_http", "git_ssh", "make_credential"]


@pytest.fixture
def repository(git_http, fetching):
    """A repository with one commit on main, on a host that the operator lists."""
    fetching.allow(git_http.host)
    made = git_http.repository("acme/model")
    made.commit(FILES, "First model")
    return made


def head(repository, ref="main"):
    return git("rev-parse", f"{ref}^{{commit}}", cwd=repository.path)


def test_the_default_branch_becomes_an_archive_and_its_commit_is_pinned(repository, fetching):
    first = head(repository)
    fetched = fetching(repository.url)
    assert fetched.facts["commit"] == first
    assert fetched.facts["files"] == len(FILES)
    assert fetched.contents()["sample/train/rows.csv"] == b"1,2\n"
    assert f"Commit {first}: First model" in fetched.log
    assert fetching.version(fetched).git_commit == first


def test_the_same_commit_gives_the_same_bytes_as_an_upload_of_its_files(repository, fetching):
    again = [fetching(repository.url).facts["archive_sha256"] for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("ref", ["stable", "refs/heads/stable", "v1", "refs/tags/v1", "v2"])
def test_branches_and_tags_are_found_by_name(repository, fetching, ref):
    wanted = repository.commit({"note": "stable"}, branch="stable")
    repository.tag("v1")
    repository.tag("v2", annotated=True)
    repository.commit({"note": "newer"}, branch="main")
    assert fetching(repository.url, ref).facts["commit"] == wanted


def test_a_branch_comes_before_a_tag_of_its_name(repository, fetching):
    repository.tag("twice")
    wanted = repository.commit({"note": "branch"}, branch="twice")
    assert fetching(repository.url, "twice").facts["commit"] == wanted


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_commit_is_built_although_the_branch_moved(repository, fetching, version):
    """Also where the server gives only what its refs lead to: then all of them are fetched."""
    wanted = head(repository)
    repository.commit({"note": "newer"})
    repository.configure("protocol.version", version)
    fetched = fetching(repository.url, "main", git_commit=wanted)
    assert fetched.facts["commit"] == wanted
    assert "note" not in fetched.contents()
    assert fetching(repository.url, wanted).facts["commit"] == wanted


def test_a_second_run_builds_what_the_first_did(repository, fetching):
    """The pinned commit counts, whatever the branch means by then."""
    fetched = fetching(repository.url, "main")
    Attempt.objects.filter(pk=fetched.attempt.pk).update(state="failed")
    fetched.run.steps.filter(name="fetch").update(state="failed")
    fetched.run.steps.filter(name="build").update(state="blocked")
    Attempt.objects.filter(step__run=fetched.run, step__name="build").delete()
    repository.commit({"note": "newer"})
    assert fetching.retry(fetched).facts["commit"] == fetched.facts["commit"]


def test_only_one_commit_is_fetched(repository, fetching):
    for number in range(3):
        repository.commit({"history": os.urandom(400_000)}, f"Commit {number}")
    repository.commit({"history": "small"})
    fetching.configure(source_max_bytes=200_000)
    assert fetching(repository.url).contents()["history"] == b"small"


def test_the_directory_of_the_version_is_the_root_of_the_archive(repository, fetching):
    repository.commit({f"models/churn/{name}": content for name, content in FILES.items()} | {"top": "x"})
    fetched = fetching(repository.url, directory="models/churn")
    assert set(fetched.contents()) == set(FILES)


def test_modes_and_links_arrive_and_nothing_is_checked_out(repository, fetching, tmp_path):
    (repository.work / "train").write_text("#!/bin/sh\n")
    (repository.work / "train").chmod(0o755)
    repository.link("latest", "sample/train")
    repository.commit({".gitattributes": "*.csv text eol=crlf ident\n", "naïve ☃.txt": "x"})
    fetched = fetching(repository.url)
    assert fetched.contents()["naïve ☃.txt"] == b"x"
    assert fetched.contents()["sample/request.csv"] == b"1\n"


def test_submodules_come_with_it_whatever_the_form_of_their_address(git_http, repository, fetching):
    inner = git_http.repository("acme/inner")
    inner_commit = inner.commit({"inner.txt": "inner"})
    middle = git_http.repository("libs/middle")
    middle_commit = middle.submodule("deep", "../../acme/inner.git", inner_commit)
    repository.submodule("vendor/middle", "../../libs/middle.git", middle_commit)
    repository.submodule("absolute", inner.url, inner_commit)
    inner.commit({"inner.txt": "moved on"})
    contents = fetching(repository.url).contents()
    assert contents["vendor/middle/deep/inner.txt"] == contents["absolute/inner.txt"] == b"inner"


def test_the_directory_may_lie_in_a_submodule(git_http, repository, fetching):
    inner = git_http.repository("acme/inner")
    repository.submodule(
        "vendor/inner", inner.url, inner.commit({f"model/{name}": text for name, text in FILES.items()})
    )
    repository.submodule("elsewhere", "https://never-asked.invalid/x.git", "1" * 40)
    assert set(fetching(repository.url, directory="vendor/inner/model").contents()) == set(FILES)


def test_files_of_git_lfs_stand_where_their_pointers_were(repository, fetching):
    weights = os.urandom(300_000)
    repository.commit(
        {
            ".gitattributes": "*.bin filter=lfs diff=lfs -text\n", "weights.bin": repository.lfs_pointer(weights),
            "copy/weights.bin": repository.lfs_pointer(weights), "plain.bin": b"committed as it is",
            "docs/pointer.txt": repository.lfs_pointer(b"an example", stored=False),
        }
    )  # fmt: skip
    contents = fetching(repository.url).contents()
    assert contents["weights.bin"] == contents["copy/weights.bin"] == weights
    assert contents["plain.bin"] == b"committed as it is"
    assert contents["docs/pointer.txt"].startswith(b"version https://git-lfs")


def test_what_git_lfs_itself_pushed_is_fetched(git_http, repository, fetching, tmp_path):
    clone, environment = tmp_path / "clone", {**os.environ, **IDENTITY}

    def run(*command: str, cwd: Path) -> None:
        subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True)

    run("git", "clone", "-q", repository.url, str(clone), cwd=tmp_path)
    run("git", "lfs", "install", "--local", cwd=clone)
    run("git", "lfs", "track", "*.onnx", cwd=clone)
    (clone / "model.onnx").write_bytes(b"weights" * 1000)
    run("git", "add", ".", cwd=clone)
    run("git", "commit", "-q", "-m", "Weights", cwd=clone)
    run("git", "push", "-q", "origin", "main", cwd=clone)
    assert git("show", "main:model.onnx", cwd=repository.path).startswith("version https://git-lfs")
    assert fetching(repository.url).contents()["model.onnx"] == b"weights" * 1000


def test_over_ssh_the_host_is_learned_and_held_to(git_ssh, fetching, make_credential):
    fetching.allow(git_ssh.host)
    repository = git_ssh.repository("model")
    inner = git_ssh.repository("inner")
    repository.submodule("inner", "../inner.git", inner.commit({"inner.txt": "x"}))
    commit = repository.commit(FILES)
    credential = make_credential(git_ssh.host, git_ssh.private_key, "ssh_key")
    fetched = fetching(repository.url, credential=credential)
    assert fetched.facts["commit"] == commit
    assert fetched.contents()["inner/inner.txt"] == b"x"
    credential.refresh_from_db()
    assert credential.known_hosts == git_ssh.known_hosts
    assert credential.used_at is not None
    assert fetching(repository.url, "main", credential=credential).facts["commit"] == commit


def test_lfs_over_ssh_asks_the_host_where_its_files_are(git_http, git_ssh, fetching, make_credential):
    """By git-lfs-authenticate, as code hosts have it; the header that it gives is what opens the store."""
    fetching.allow("127.0.0.1")
    git_http.auth = ("lfs", "for-an-hour")
    header = "Basic " + base64.b64encode(b"lfs:for-an-hour").decode()
    program = git_ssh.folder / "bin" / "git-lfs-authenticate"
    program.parent.mkdir()
    answer = json.dumps({"href": f"{git_http.url}/model.git/info/lfs", "header": {"Authorization": header}})
    program.write_text(f"#!/bin/sh\ntest \"$2\" = download && echo '{answer}'\n")
    program.chmod(0o755)
    git_http.lfs_header = {"Authorization": header}
    repository = git_ssh.repository("model")
    pointer = Repository(repository.path, "", git_http.lfs_objects).lfs_pointer(b"weights")
    repository.commit(FILES | {".gitattributes": "*.bin filter=lfs\n", "weights.bin": pointer})
    credential = make_credential(git_ssh.host, git_ssh.private_key, "ssh_key")
    fetched = fetching(repository.url, credential=credential)
    assert fetched.contents()["weights.bin"] == b"weights"
    assert "for-an-hour" not in fetched.everything
    assert header not in fetched.everything


def test_a_repository_with_sha256_objects(git_http, fetching):
    fetching.allow(git_http.host)
    repository = git_http.repository("acme/model", "sha256")
    commit = repository.commit(FILES)
    assert len(commit) == 64
    fetched = fetching(repository.url, "main")
    assert (fetched.facts["commit"], fetching.version(fetched).git_commit) == (commit, commit)
    assert fetching(repository.url, "main", git_commit=commit).facts["commit"] == commit


def test_a_token_opens_its_host_and_lfs_there(git_http, repository, fetching, make_credential):
    git_http.auth = ("bot", "a/secret:token@1")
    repository.commit(
        {".gitattributes": "*.bin filter=lfs\n", "weights.bin": repository.lfs_pointer(b"weights")}, "With weights"
    )
    credential = make_credential(git_http.host, "a/secret:token@1")
    fetched = fetching(repository.url, credential=credential)
    assert fetched.contents()["weights.bin"] == b"weights"
    assert any("/info/lfs/objects/batch" in line and given for line, given in git_http.seen)


def test_a_dumb_server_that_knows_no_shallow_fetch(git_http, repository, fetching):
    """Static files, as some hosts still serve them."""
    git("update-server-info", cwd=repository.path)
    git_http.is_dumb = True
    assert fetching(repository.url).facts["commit"] == head(repository)
