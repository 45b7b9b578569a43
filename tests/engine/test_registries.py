"""The registry client and the copy, against a real registry."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.registry_steps import named
from tests.images_by_hand import HandMade, file, program, tar
from tests.registry_fixtures import Registry as RegistryServer
from workers.registries import (
    DOCKER_MANIFEST,
    CopyFailed,
    Credentials,
    Registry,
    RegistryClient,
    RegistryError,
    TagTaken,
    copy_image,
    ecr,
)
from workers.registries.copy import skopeo_command
from workers.registries.names import with_scheme
from workers.steps.contract import StepStopped, Stop, StopReason


@contextmanager
def slow_registry() -> Iterator[Registry]:
    """An address that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        yield Registry(f"http://{host}", host, host)


def skopeos(workdir: Path) -> list[int]:
    """The processes that work for this directory."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
        except OSError:
            continue
        if command.startswith(b"skopeo\0") and str(workdir).encode() in command:
            found.append(int(folder.name))
    return found


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


SMALL = HandMade([tar([file("a", b"a" * 100)]), tar([program("bin/train")])])


@pytest.fixture
def client(registry: RegistryServer) -> RegistryClient:
    return RegistryClient(named(registry))


@pytest.fixture
def repository() -> str:
    return f"test/{uuid.uuid4().hex}"


def copy(
    server: RegistryServer,
    repository: str,
    digest: str,
    target: str,
    tag: str,
    tmp_path: Path,
    *,
    stop: Stop | None = None,
    timeout: float = 60,
    source: Registry | None = None,
) -> bool:
    return copy_image(
        (source or named(server), repository),
        digest,
        (named(server), target),
        tag,
        workdir=tmp_path,
        stop=stop or Stop(),
        say=lambda _: None,
        timeout=timeout,
    )


class TestNames:
    def test_ecr_is_spoken_to_where_it_says_and_named_as_aws_names_it(self) -> None:
        uri = "111122223333.dkr.ecr.us-east-1.amazonaws.com/seller/trees"
        found, repository = ecr(uri, "http://127.0.0.1:5001/mirror/", Credentials("AWS", "secret"))
        assert repository == "seller/trees"
        assert found.public_reference(repository, digest="sha256:d") == f"{uri}@sha256:d"
        assert found.worker_reference(repository, tag="1") == "127.0.0.1:5001/mirror/seller/trees:1"
        assert found.plain_http

    def test_real_ecr_is_spoken_to_by_https(self) -> None:
        host = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
        found, _ = ecr(f"{host}/x", f"https://{host}", Credentials("AWS", "secret"))
        assert (found.worker_host, found.public_host, found.plain_http) == (host, host, False)

    @pytest.mark.parametrize(
        ("address", "url"),
        [
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("localhost:5000", "http://localhost:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("registry:5000", "https://registry:5000"),
            ("http://registry:5000/", "http://registry:5000"),
        ],
    )
    def test_only_loopback_is_plain_by_itself(self, address: str, url: str) -> None:
        assert with_scheme(address) == url

    def test_password_is_in_no_text_of_it(self) -> None:
        assert "hidden-word" not in repr(Registry("http://x", "x", "x", Credentials("me", "hidden-word")))


class TestClient:
    def test_manifest_comes_back_byte_for_byte(self, client: RegistryClient, repository: str) -> None:
        digest = SMALL.push(client, repository)
        by_tag, by_digest = client.manifest(repository, "latest"), client.manifest(repository, digest)
        assert by_tag == by_digest
        assert (by_tag.digest, by_tag.media_type) == (digest, DOCKER_MANIFEST)

    def test_find_reads_the_digest_only(self, client: RegistryClient, repository: str) -> None:
        digest = SMALL.push(client, repository)
        assert client.find(repository, "latest") == digest
        assert client.find(repository, "other") is None
        assert client.find("test/nothing-here", "latest") is None

    def test_missing_manifest_is_404(self, client: RegistryClient, repository: str) -> None:
        with pytest.raises(RegistryError) as caught:
            client.manifest(repository, "latest")
        assert caught.value.status == 404

    def test_deleted_manifest_is_gone(self, client: RegistryClient, repository: str) -> None:
        digest = SMALL.push(client, repository)
        assert client.delete_manifest(repository, digest)
        assert client.find(repository, digest) is None
        assert not client.delete_manifest(repository, digest)

    def test_blob_is_streamed_and_bounded(self, client: RegistryClient, repository: str) -> None:
        digest = client.put_blob(repository, b"x" * 1000)
        with client.blob(repository, digest) as source:
            assert source.read(10) == b"x" * 10
        assert client.small_blob(repository, digest, 1000) == b"x" * 1000
        with pytest.raises(RegistryError):
            client.small_blob(repository, digest, 999)

    def test_wrong_password_is_401(self, registry: RegistryServer, repository: str) -> None:
        with RegistryClient(named(registry, "wrong")) as client, pytest.raises(RegistryError) as caught:
            client.manifest(repository, "latest")
        assert caught.value.status == 401

    def test_registry_that_does_not_answer_is_told(self) -> None:
        with RegistryClient(Registry("http://127.0.0.1:9", "x", "x")) as client, pytest.raises(RegistryError) as caught:
            client.find("a", "b")
        assert caught.value.status == 0
        assert "127.0.0.1:9" in str(caught.value)


class TestCopy:
    def test_digest_stays_and_the_second_copy_sends_nothing(
        self, registry: RegistryServer, client: RegistryClient, repository: str, tmp_path: Path
    ) -> None:
        digest = SMALL.push(client, repository)
        assert copy(registry, repository, digest, f"{repository}/copy", "1.0", tmp_path)
        assert client.manifest(f"{repository}/copy", "1.0").body == client.manifest(repository, digest).body
        assert not copy(registry, repository, digest, f"{repository}/copy", "1.0", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_taken_tag_is_never_moved(
        self, registry: RegistryServer, client: RegistryClient, repository: str, tmp_path: Path
    ) -> None:
        digest = SMALL.push(client, repository)
        other = HandMade([tar([file("other")])]).push(client, f"{repository}/copy", "1.0")
        with pytest.raises(TagTaken) as caught:
            copy(registry, repository, digest, f"{repository}/copy", "1.0", tmp_path)
        assert caught.value.digest == other
        assert client.find(f"{repository}/copy", "1.0") == other

    def test_passwords_are_in_private_files_and_on_no_command_line(
        self, registry: RegistryServer, tmp_path: Path
    ) -> None:
        place = (named(registry), "a/b")
        command = skopeo_command(place, "sha256:" + "0" * 64, place, "1", tmp_path)
        assert registry.password not in " ".join(command)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}

    def test_source_that_refuses_fails_with_its_words(
        self, registry: RegistryServer, client: RegistryClient, repository: str, tmp_path: Path
    ) -> None:
        digest = SMALL.push(client, repository)
        with pytest.raises(CopyFailed) as caught:
            copy(registry, repository, digest, f"{repository}/copy", "1", tmp_path, source=named(registry, "wrong"))
        assert any("unauthorized" in line for line in caught.value.lines)
        assert client.find(f"{repository}/copy", "1") is None

    def test_stop_ends_the_copy_within_seconds(self, registry: RegistryServer, repository: str, tmp_path: Path) -> None:
        stop = Stop()
        with slow_registry() as slow:
            threading.Timer(1.0, stop.set, [StopReason.CANCELLED]).start()
            began = time.monotonic()
            with pytest.raises(StepStopped):
                copy(registry, "a", "sha256:" + "0" * 64, repository, "1", tmp_path, stop=stop, source=slow)
        assert time.monotonic() - began < 10
        assert skopeos(tmp_path) == []

    def test_time_limit_ends_the_copy(self, registry: RegistryServer, repository: str, tmp_path: Path) -> None:
        with slow_registry() as slow, pytest.raises(CopyFailed, match="more than 1 s"):
            copy(registry, "a", "sha256:" + "0" * 64, repository, "1", tmp_path, timeout=1, source=slow)
        assert skopeos(tmp_path) == []

    def test_copy_dies_with_its_worker(self, registry: RegistryServer, tmp_path: Path) -> None:
        with slow_registry() as slow:
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path), slow.endpoint, registry.host, *registry.auth],
                env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings"},
            )
            wait_until(lambda: bool(skopeos(tmp_path)))
            worker.kill()
            worker.wait()
            wait_until(lambda: not skopeos(tmp_path))


WORKER = """
import sys, django
django.setup()
from pathlib import Path
from workers.registries import Credentials, Registry, copy_image
from workers.steps.contract import Stop
workdir, slow, host, username, password = sys.argv[1:]
target = Registry(f"http://{host}", host, host, Credentials(username, password))
copy_image((Registry(slow, "x", "x"), "a"), "sha256:" + "0" * 64, (target, "b"), "1",
           workdir=Path(workdir), stop=Stop(), say=print, timeout=60)
"""
