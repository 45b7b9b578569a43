"""Registries that a seller might name: Debian's own server on a port of its own, one by Python that misbehaves as told,
and images of every kind to put there."""

from __future__ import annotations

import datetime
import gzip
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import programs
from tests.images_by_hand import digest_of
from workers.registries import DOCKER_CONFIG, DOCKER_MANIFEST, Credentials, Manifest, Registry, RegistryClient

USERNAME, PASSWORD = "reader", "sellers-registry-password"
OCI_MANIFEST, OCI_INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
OCI_CONFIG, OCI_LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@dataclass
class Made:
    """An image or an index to be put somewhere, with everything below it."""

    manifest: Manifest
    blobs: dict[str, bytes] = field(default_factory=dict)
    children: list[Made] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return self.manifest.digest

    def entry(self, architecture: str, variant: str = "", **more: Any) -> dict[str, Any]:
        """As an index names it."""
        platform = {"os": "linux", "architecture": architecture} | ({"variant": variant} if variant else {})
        size = len(self.manifest.body)
        found = {"mediaType": self.manifest.media_type, "digest": self.digest, "size": size, "platform": platform}
        return found | more

    def push(self, client: RegistryClient, repository: str, tag: str = "") -> str:
        for child in self.children:
            child.push(client, repository)
        for content in self.blobs.values():
            client.put_blob(repository, content)
        return client.put_manifest(repository, tag or self.digest, self.manifest)


def zstd(content: bytes) -> bytes:
    """Packed by skopeo, which the worker needs anyway: from a folder with one plain layer to another."""
    plain = image([content], "plain")
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place) / "plain", Path(place) / "zstd"
        source.mkdir()
        (source / "version").write_text("Directory Transport Version: 1.1\n")
        (source / "manifest.json").write_bytes(plain.manifest.body)
        for digest, blob in plain.blobs.items():
            (source / digest.removeprefix("sha256:")).write_bytes(blob)
        subprocess.run(
            ["skopeo", "--insecure-policy", "copy", "--format", "oci", "--dest-compress", "--dest-compress-format",
             "zstd", f"dir:{source}", f"dir:{target}"],
            check=True, capture_output=True,
        )  # fmt: skip
        packed = json.loads((target / "manifest.json").read_text())["layers"][0]["digest"]
        return (target / packed.removeprefix("sha256:")).read_bytes()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (f"{OCI_LAYER}+gzip", lambda content: gzip.compress(content, 1, mtime=0)),
    "zstd": (f"{OCI_LAYER}+zstd", zstd),
    "plain": (OCI_LAYER, lambda content: content),
    "docker": ("application/vnd.docker.image.rootfs.diff.tar.gzip", lambda content: gzip.compress(content, 1, mtime=0)),
}


def image(
    layers: Sequence[bytes], pack: str = "gzip", *, architecture: str = "amd64", config_type: str = "",
    layer_type: str = "", config: dict[str, Any] | None = None,
) -> Made:  # fmt: skip
    """An image of uncompressed ``layers``. ``pack`` is a key of PACKED; ``docker`` makes all of it Docker's."""
    kind, compress = PACKED[pack]
    docker = pack == "docker"
    rootfs = {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}
    history = [{"created_by": f"COPY part{number} / # buildkit"} for number in range(len(layers))]
    described = {"architecture": architecture, "os": "linux", "config": config or {}, "rootfs": rootfs}
    raw = json.dumps(described | {"history": history}).encode()
    stored = [compress(layer) for layer in layers]
    body = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": {"mediaType": config_type or (DOCKER_CONFIG if docker else OCI_CONFIG), "digest": digest_of(raw),
                   "size": len(raw)},
        "layers": [{"mediaType": layer_type or kind, "digest": digest_of(blob), "size": len(blob)} for blob in stored],
    }  # fmt: skip
    manifest = Manifest(json.dumps(body).encode(), str(body["mediaType"]))
    return Made(manifest, {digest_of(blob): blob for blob in [raw, *stored]})


def index(entries: Sequence[dict[str, Any]], children: Sequence[Made], kind: str = OCI_INDEX) -> Made:
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": list(entries)}).encode()
    return Made(Manifest(body, kind), children=list(children))


class SellerRegistry:
    """A real registry behind a password (if ``password``), with TLS (if ``certificate``: chain and key)."""

    def __init__(self, folder: Path, *, password: bool = True, certificate: tuple[Path, Path] | None = None) -> None:
        self.port, self._folder, self._process = programs.free_port(), folder, None
        self.host = f"127.0.0.1:{self.port}"
        self.scheme = "https" if certificate else "http"
        tls = f", tls: {{certificate: {certificate[0]}, key: {certificate[1]}}}" if certificate else ""
        text = (
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
            "compatibility: {schema1: {enabled: true}}\n"
            f"http: {{addr: '{self.host}'{tls}}}\n"
        )
        if password:
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
            (folder / "htpasswd").write_text(f"{USERNAME}:{hashed}\n")
            text += f"auth: {{htpasswd: {{realm: sellers, path: {folder / 'htpasswd'}}}}}\n"
        self._credentials = Credentials(USERNAME, PASSWORD) if password else None
        (folder / "config.yml").write_text(text)

    @property
    def named(self) -> Registry:
        return Registry(f"{self.scheme}://{self.host}", self.host, self.host, self._credentials)

    def client(self) -> RegistryClient:
        return RegistryClient(self.named)

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            command = ["docker-registry", "serve", str(self._folder / "config.yml")]
            self._process: subprocess.Popen[bytes] | None = programs.start(
                command, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"the registry did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=20)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain, secret = folder / "certificate.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, secret


@dataclass
class Answer:
    """``cut``: the connection ends after so many bytes of the body. ``drip``: a byte of it comes every 0.2 s."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    drip: bool = False


@dataclass
class Scripted:
    """A registry by Python. ``before`` may answer in its place: it is given method, path and headers.
    ``seen`` are all requests, as (path, Authorization)."""

    images: dict[str, Made] = field(default_factory=dict)
    before: Callable[[str, str, Any], Answer | None] = lambda method, path, headers: None
    seen: list[tuple[str, str]] = field(default_factory=list)
    host: str = ""

    def put(self, tag: str, made: Made) -> None:
        self.images[tag] = self.images[made.digest] = made
        for child in made.children:
            self.images[child.digest] = child

    def answer(self, method: str, path: str, headers: Any) -> Answer:
        self.seen.append((path, headers.get("Authorization", "")))
        found = self.before(method, path, headers)
        if found is not None:
            return found
        wanted = path.rpartition("/")[2]
        if "/manifests/" in path and wanted in self.images:
            manifest = self.images[wanted].manifest
            return Answer(headers={"Content-Type": manifest.media_type}, body=manifest.body)
        blobs = {digest: blob for made in self.images.values() for digest, blob in made.blobs.items()}
        if "/blobs/" in path and wanted in blobs:
            start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            return Answer(206 if start else 200, body=blobs[wanted][start:])
        if path == "/v2/":
            return Answer()
        said = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": f"nothing at {path}"}]}
        return Answer(404, body=json.dumps(said).encode())


@contextmanager
def scripted(certificate: tuple[Path, Path] | None = None) -> Iterator[Scripted]:
    script = Scripted()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = script.answer(self.command, self.path, self.headers)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if found.drip:
                with suppress(OSError):
                    for byte in found.body:
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.2)
            elif self.command != "HEAD":
                self.wfile.write(found.body[: found.cut])
            if found.cut is not None:
                self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Requests are kept in ``seen``."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        script.host = f"127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield script
        server.shutdown()
