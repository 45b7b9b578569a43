"""Signing in by token, as hosted registries want it, against a real registry that trusts the test's token server."""

from __future__ import annotations

import base64
import datetime as dt
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests import programs
from tests.images_by_hand import HandMade, file, tar
from workers.registries import Credentials, Registry, RegistryClient, RegistryError, copy_image
from workers.steps.contract import Stop

SERVICE, ISSUER = "test-registry", "test-issuer"


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Signer:
    """Issues the tokens that docker's registry verifies: RS256, the certificate in the header."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        made = made.serial_number(1).not_valid_before(now - dt.timedelta(hours=1))
        made = made.not_valid_after(now + dt.timedelta(hours=1))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return made.sign(self.key, hashes.SHA256())

    def token(self, certificate: x509.Certificate, scope: str) -> str:
        der = certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "me",
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 60,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64(signature)}"


class TokenServer(ThreadingHTTPServer):
    """Gives a token to whoever knows the password; ``asked`` holds every scope it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.signer = Signer()
        self.certificate = self.signer.certificate()
        self.asked: list[str] = []


class TokenHandler(BaseHTTPRequestHandler):
    server: TokenServer

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(b"me:right").decode()
        scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
        self.server.asked.append(scope)
        if self.headers.get("Authorization") != expected:
            self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]})
            return
        self.answer(200, {"token": self.server.signer.token(self.server.certificate, scope)})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@dataclass
class Guarded:
    host: str
    tokens: TokenServer

    def registry(self, password: str = "right") -> Registry:
        return Registry(f"http://{self.host}", self.host, self.host, Credentials("me", password))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    tokens = TokenServer()
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    port = programs.free_port()
    with (folder / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(configuration(folder, port, tokens))]
        server = programs.start(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/", server)
        yield Guarded(f"127.0.0.1:{port}", tokens)
    finally:
        server.terminate()
        server.wait(timeout=20)
        tokens.shutdown()
        tokens.server_close()


def configuration(folder: Path, port: int, tokens: TokenServer) -> Path:
    (folder / "cert.pem").write_bytes(tokens.certificate.public_bytes(serialization.Encoding.PEM))
    realm = f"http://127.0.0.1:{tokens.server_port}/token"
    path = folder / "config.yml"
    path.write_text(
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
        f"auth: {{token: {{realm: '{realm}', service: {SERVICE}, issuer: {ISSUER}, "
        f"rootcertbundle: {folder / 'cert.pem'}}}}}\n"
    )
    return path


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            assert requests.get(url, timeout=2).status_code == 401
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError("the registry did not start")


def test_reading_and_writing_ask_for_a_token_of_just_that_scope(guarded: Guarded) -> None:
    with RegistryClient(guarded.registry()) as client:
        digest = HandMade([tar([file("a")])]).push(client, "team/image")
        assert client.manifest("team/image", "latest").digest == digest
    assert {"repository:team/image:pull", "repository:team/image:pull,push"} <= set(guarded.tokens.asked)


def test_token_is_asked_for_once_and_used_again(guarded: Guarded) -> None:
    with RegistryClient(guarded.registry()) as client:
        before = len(guarded.tokens.asked)
        for _ in range(5):
            assert client.find("team/other", "latest") is None
    assert len(guarded.tokens.asked) == before + 1


def test_wrong_password_is_401_with_the_servers_words(guarded: Guarded) -> None:
    client = RegistryClient(guarded.registry("wrong"))
    with client, pytest.raises(RegistryError, match="who are you") as caught:
        client.find("team/image", "latest")
    assert caught.value.status == 401


def test_copy_signs_in_by_token(guarded: Guarded, tmp_path: Path) -> None:
    registry = guarded.registry()
    with RegistryClient(registry) as client:
        digest = HandMade([tar([file("b")])]).push(client, "team/from")
        source, target = (registry, "team/from"), (registry, "team/to")
        assert copy_image(source, digest, target, "1", workdir=tmp_path, stop=Stop(), say=lambda _: None, timeout=60)
        assert client.find("team/to", "1") == digest
