"""Real Git servers for tests: bare repositories behind ``git http-backend`` (with Git LFS) and behind sshd.

    with http_server(folder) as server:
        model = server.repository("acme/model")
        commit = model.commit({"Dockerfile": "FROM scratch\n"})
        url = model.url                       # http://127.0.0.1:…/acme/model.git

What a server answers can be bent: ``auth`` (basic), ``redirects``, ``lfs_href``. ``seen`` has each request's line and
authorization. A repository's hooks are files in ``repository.path / "hooks"``, as on any host. Fixtures: ``git_http``,
``git_ssh``.
"""

from __future__ import annotations

import base64
import getpass
import http.server
import json
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests import programs
from tests.git_repositories import IDENTITY, Repository, git

__all__ = [
    "IDENTITY", "HttpServer", "Repository", "SshServer", "certify", "git", "git_http", "git_ssh", "http_server",
    "ssh_server",
]  # fmt: skip


@dataclass
class HttpServer:
    """``redirects`` maps the beginning of a path to what replaces it (an address or another path)."""

    folder: Path
    port: int
    scheme: str = "http"
    auth: tuple[str, str] | None = None
    redirects: dict[str, str] = field(default_factory=dict)
    #: From an object's id to the address that the batch API gives for it; by default the server's own.
    lfs_href: Callable[[str], str] | None = None
    #: The headers that it gives with that address.
    lfs_header: dict[str, str] = field(default_factory=dict)
    #: Answer everything with this status instead.
    status: int = 0
    #: Serve the repositories' files as they lie there, without git's own protocol.
    is_dumb: bool = False
    seen: list[tuple[str, str]] = field(default_factory=list)
    #: Seconds to wait after each 64 KiB that git-http-backend sends, and how many bytes it sent.
    pace: float = 0.0
    sent: int = 0
    #: Called with each path before it is answered: to wait, or to look at the processes.
    before: Callable[[str], object] = lambda path: None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def lfs_objects(self) -> Path:
        return self.folder / "lfs-objects"

    def repository(self, name: str, object_format: str = "sha1") -> Repository:
        return Repository(self.folder / f"{name}.git", f"{self.url}/{name}.git", self.lfs_objects).make(object_format)

    def paths(self) -> list[str]:
        return [line.split()[1] for line, _ in self.seen]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: HttpServer
    body: bytes

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        told, path = self.told, self.path.partition("?")[0]
        self.body = self._read_body()
        given = self.headers.get("Authorization", "")
        told.seen.append((f"{self.command} {self.path}", given))
        told.before(self.path)
        if told.status:
            self._reply(told.status, b"")
            return
        for start, instead in told.redirects.items():
            if self.path.startswith(start):
                self._reply(302, b"", Location=instead + self.path[len(start) :])
                return
        if told.auth is not None:
            wanted = "Basic " + base64.b64encode(":".join(told.auth).encode()).decode()
            if given != wanted:
                self._reply(401, b"", **{"WWW-Authenticate": 'Basic realm="git"', "LFS-Authenticate": "Basic"})
                return
        if path.endswith("/info/lfs/objects/batch"):
            self._batch()
        elif path.startswith("/lfs/"):
            self._object(told.lfs_objects / Path(path).name)
        elif told.is_dumb:
            self._object(told.folder / path.strip("/"))
        else:
            self._backend(path)

    def _reply(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _batch(self) -> None:
        asked = json.loads(self.body)
        found = [self._offered(asked["operation"], each["oid"], each["size"]) for each in asked["objects"]]
        self._reply(200, json.dumps({"transfer": "basic", "objects": found}).encode(), "application/vnd.git-lfs+json")

    def _offered(self, operation: str, oid: str, size: int) -> dict[str, Any]:
        told = self.told
        there = (told.lfs_objects / oid).exists()
        if operation == "download" and not there:
            return {"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}}
        if operation == "upload" and there:
            return {"oid": oid, "size": size}
        href = told.lfs_href(oid) if told.lfs_href else f"{told.url}/lfs/{oid}"
        return {"oid": oid, "size": size, "actions": {operation: {"href": href, "header": told.lfs_header}}}

    def _object(self, place: Path) -> None:
        if self.command == "PUT":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(self.body)
            self._reply(200, b"")
        elif place.is_file():
            self._reply(200, place.read_bytes(), "application/octet-stream")
        else:
            self._reply(404, b"")

    def _backend(self, path: str) -> None:
        """As a web server runs a CGI program (git-http-backend(1)); anybody who got here may push."""
        program = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-http-backend"
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.told.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": self.path.partition("?")[2], "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": "127.0.0.1", "REMOTE_USER": "git", "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HOME": str(self.told.folder),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        environment["CONTENT_LENGTH"] = str(len(self.body))
        with subprocess.Popen([program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            threading.Thread(target=_feed, args=(child.stdin, self.body), daemon=True).start()
            status, headers = 200, []
            while line := child.stdout.readline().strip():
                name, _, value = line.decode().partition(":")
                if name.lower() == "status":
                    status = int(value.split()[0])
                else:
                    headers.append((name, value.strip()))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while chunk := child.stdout.read1(65536):  # type: ignore[attr-defined]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.told.sent += len(chunk)
                time.sleep(self.told.pace)
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments: object) -> None:
        """Tests ask ``seen``."""


def _feed(pipe: IO[bytes], body: bytes) -> None:
    try:
        pipe.write(body)
        pipe.close()
    except BrokenPipeError:
        """The program has read what it wanted."""


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is cut off, or that does not trust the certificate, is what some tests are about."""


@contextmanager
def http_server(folder: Path, certificate: Path | None = None, port: int = 0) -> Iterator[HttpServer]:
    """Serve the repositories in ``folder`` on a loopback port; with a ``certificate`` (see ``certify``) by TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = type("Handler", (_Handler,), {})
    with _Quiet(("127.0.0.1", port), handler) as listening:
        told = HttpServer(folder, listening.server_port, "https" if certificate else "http")
        handler.told = told  # type: ignore[attr-defined]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield told
        listening.shutdown()


def certify(path: Path, *names: str) -> Path:
    """Write a certificate for ``names`` and 127.0.0.1, signed by itself, and its key to ``path``."""
    subject = ",".join(["IP:127.0.0.1", *(f"DNS:{name}" for name in names)])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=tests", "-addext", f"subjectAltName={subject}", "-keyout", str(path), "-out", f"{path}.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + Path(f"{path}.pem").read_text())
    return path


@dataclass
class SshServer:
    """sshd for the user who runs the tests; ``private_key`` opens it. Repositories are named by their whole path.

    Programs in ``folder / "bin"`` come first on the PATH of those who sign in.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def private_key(self) -> str:
        return (self.folder / "user").read_text()

    @property
    def known_hosts(self) -> str:
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    def repository(self, name: str) -> Repository:
        path = self.folder / "repositories" / f"{name}.git"
        url = f"ssh://{getpass.getuser()}@{self.host}{path}"
        return Repository(path, url, self.folder / "lfs-objects").make()

    def renew_host_key(self) -> None:
        """As after a new installation of the host."""
        self.stop()
        _new_key(self.folder / "host")
        self.start()

    def start(self) -> None:
        # sshd is started by its whole path, and as root it wants its folder, as the distribution's service makes it.
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = programs.start(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(200):
            scanned = subprocess.run(
                ["ssh-keyscan", "-T", "2", "-p", str(self.port), "127.0.0.1"], capture_output=True, check=False
            )
            if scanned.stdout:
                return
            assert self.process.poll() is None, (self.folder / "sshd.log").read_text()
            time.sleep(0.05)
        raise AssertionError((self.folder / "sshd.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)


def _new_key(path: Path) -> None:
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """A real sshd on a free port, with keys of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    server = SshServer(folder, programs.free_port())
    _new_key(folder / "host")
    _new_key(folder / "user")
    (folder / "sshd_config").write_text(
        f"Port {server.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'user.pub'}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"SetEnv PATH={folder / 'bin'}:{os.environ['PATH']}\n"
        "UsePAM no\nPermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\n"
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def git_http(tmp_path: Path) -> Iterator[HttpServer]:
    with http_server(tmp_path / "git-http") as server:
        yield server


@pytest.fixture
def git_ssh(tmp_path: Path) -> Iterator[SshServer]:
    with ssh_server(tmp_path / "git-ssh") as server:
        yield server
