"""A real OCI registry behind a password, for tests: the one that the environment names, else Debian's own
server started on a free port. Load it with ``from tests.registry_fixtures import registry``."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
import requests

from tests import programs

USERNAME = "staging"
PASSWORD = "staging-test-password"  # noqa: S105  guards nothing but a registry that dies with the tests


@dataclass(frozen=True)
class Registry:
    """``host`` is host:port, the same name for the engine and for the tests; plain HTTP."""

    host: str
    username: str
    password: str

    @property
    def auth(self) -> tuple[str, str]:
        return self.username, self.password

    def repositories(self) -> list[str]:
        answer = requests.get(f"http://{self.host}/v2/_catalog?n=1000", auth=self.auth, timeout=10)
        answer.raise_for_status()
        return list(answer.json()["repositories"])

    def manifest(self, repository: str, reference: str, accept: str) -> requests.Response:
        url = f"http://{self.host}/v2/{repository}/manifests/{reference}"
        return requests.get(url, auth=self.auth, headers={"Accept": accept}, timeout=10)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    named = os.environ.get("STAGING_REGISTRY")
    if named:
        username = os.environ.get("STAGING_REGISTRY_USERNAME", USERNAME)
        yield Registry(named, username, os.environ.get("STAGING_REGISTRY_PASSWORD", PASSWORD))
        return
    folder = tmp_path_factory.mktemp("registry")
    port = programs.free_port()
    with (folder / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(_configuration(folder, port))]
        server = programs.start(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://127.0.0.1:{port}/v2/", server, folder / "log")
        yield Registry(f"127.0.0.1:{port}", USERNAME, PASSWORD)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)


def _configuration(folder: Path, port: int) -> Path:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
    (folder / "htpasswd").write_text(f"{USERNAME}:{hashed}\n")
    path = folder / "config.yml"
    path.write_text(
        "version: 0.1\n"
        "log: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
        f"auth: {{htpasswd: {{realm: slipway-test, path: {folder / 'htpasswd'}}}}}\n"
    )
    return path


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(url, timeout=2).status_code == 401:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"the registry did not start: {log.read_text()[-2000:]}")
