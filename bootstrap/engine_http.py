"""A few calls of the Docker Engine's HTTP API, so that set-up needs neither the docker command nor its library."""

import http.client
import io
import json
import os
import socket
import ssl
import tarfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from bootstrap.errors import SetupError

API = "/v1.41"
# An engine in the middle of other work may take this long for the smallest answer.
SECONDS = 60.0
PING_SECONDS = 20.0
BUILD_SECONDS = 300


class EngineSilent(SetupError, TimeoutError):
    """An engine that was asked and did not answer in time."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class EngineClient:
    """Talks to the engine at one `unix://` or `tcp://` address. OSError where nobody answers."""

    def __init__(self, address: str) -> None:
        self.address = address

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, timeout)
        if parts.scheme != "tcp" or not parts.hostname:
            raise SetupError(f"DOCKER_HOST={self.address}: use unix:///path or tcp://host:port here.")
        if not os.environ.get("DOCKER_TLS_VERIFY"):
            return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)
        certificates = Path(os.environ.get("DOCKER_CERT_PATH", Path.home() / ".docker"))
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout, context=context)

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, object] | Iterable[bytes] | None = None,
        timeout: float = SECONDS,
        media: str = "application/json",
    ) -> tuple[int, bytes]:
        """Status and body of one call. A body that is no dict is sent as it comes, in chunks.

        Raises EngineSilent after ``timeout`` seconds without a word, OSError where nobody answers.
        """
        connection = self._connection(timeout)
        payload = json.dumps(body) if isinstance(body, dict) else body
        try:
            connection.request(method, API + path, body=payload, headers={"Content-Type": media})
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError as error:
            raise EngineSilent(
                f"The Docker Engine at {self.address} said nothing for {timeout:.0f} s. Run this again when it is "
                f"less busy, or see what holds it up."
            ) from error
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.call("GET", "/_ping", timeout=PING_SECONDS)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def image_labels(self, name: str) -> dict[str, str] | None:
        """The labels of a local image; None if there is no such image."""
        status, body = self.call("GET", f"/images/{quote(name, safe='/:')}/json")
        return None if status != 200 else (json.loads(body)["Config"].get("Labels") or {})

    def import_image(self, layer: Iterable[bytes], name: str, changes: list[str]) -> None:
        """Make a one-layer image from a tar stream. Raises SetupError with the engine's own words."""
        repository, _, tag = name.rpartition(":")
        query = urlencode([("fromSrc", "-"), ("repo", repository), ("tag", tag), *(("changes", c) for c in changes)])
        status, body = self.call("POST", f"/images/create?{query}", layer, timeout=300, media="application/x-tar")
        if status != 200 or b'"error"' in body:
            raise SetupError(f"The engine would not import {name}: {body.decode(errors='replace').strip()}")

    def build_image(self, name: str, dockerfile: str, files: Iterable[tuple[str, str]] = ()) -> None:
        """A small image by the engine's own builder, without a network; ``files``: path and text of each, executable.

        Raises SetupError with what it printed last.
        """
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for path, text in (("Dockerfile", dockerfile), *files):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(text.encode()), 0o755
                archive.addfile(entry, io.BytesIO(text.encode()))
        query = urlencode({"t": name, "rm": "1", "forcerm": "1", "networkmode": "none"})
        body, media = [context.getvalue()], "application/x-tar"
        status, answer = self.call("POST", f"/build?{query}", body, timeout=BUILD_SECONDS, media=media)
        if status != 200 or b'"errorDetail"' in answer:
            raise SetupError(f"The engine would not build {name}: {answer[-800:].decode(errors='replace')}")

    def pull(self, name: str) -> bool:
        """Fetch an image from its registry; False if that is not possible from here."""
        repository, _, tag = name.rpartition(":")
        try:
            path = f"/images/create?{urlencode({'fromImage': repository, 'tag': tag})}"
            status, body = self.call("POST", path, timeout=180)
        except (OSError, http.client.HTTPException):
            return False
        return status == 200 and b'"error"' not in body

    def tag(self, name: str, as_name: str) -> None:
        repository, _, tag = as_name.rpartition(":")
        path = f"/images/{quote(name, safe='/:')}/tag?{urlencode({'repo': repository, 'tag': tag})}"
        status, body = self.call("POST", path)
        if status != 201:
            raise SetupError(f"The engine would not tag {name}: {body.decode(errors='replace').strip()}")

    def remove_container(self, name: str) -> None:
        """Remove a container, running or not; no matter if there is none."""
        self.call("DELETE", f"/containers/{quote(name)}?force=true")
