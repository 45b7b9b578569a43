"""What a seller's registry may answer: sign-in places, redirects, broken and false bytes, echoes of the password."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from listings.models import CredentialKind
from listings.services import planning
from listings.states import AttemptState
from tests.bad_input import provokes
from tests.engine.conftest import engine
from tests.engine.image_sources import Images, layers
from tests.pipeline import Pipeline, assert_ended, assert_succeeded, latest, pipeline
from tests.registry_fixtures import registry
from tests.seller_registry import (
    OCI_MANIFEST,
    PASSWORD,
    USERNAME,
    Answer,
    Made,
    Scripted,
    image,
    index,
    scripted,
)
from workers.registries import Manifest

__all__ = ["engine", "pipeline", "registry"]

pytestmark = pytest.mark.timeout(120)

BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()


@pytest.fixture
def script() -> Iterator[Scripted]:
    with scripted() as made:
        made.put("1.0", image(layers()))
        yield made


@pytest.fixture
def other() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


@pytest.fixture
def images(pipeline: Pipeline, script: Scripted) -> Images:
    return Images.at(pipeline, script.host)


def said(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


class Tokens:
    """Sign-in by bearer tokens: the registry sends to ``realm``, which gives out ``token`` for the right password."""

    def __init__(self, realm: str, *, reads: bool = True) -> None:
        self.realm, self.reads = realm, reads

    def registry(self, method: str, path: str, headers: Any) -> Answer | None:
        if path == "/v2/" or path.startswith("/token"):
            return self.place(method, path, headers) if path.startswith("/token") else None
        if headers.get("Authorization") == "Bearer good" and self.reads:
            return None
        challenge = f'Bearer realm="{self.realm}",service="sellers"'
        return Answer(401, {"WWW-Authenticate": challenge}, said("UNAUTHORIZED", "authentication required"))

    def place(self, method: str, path: str, headers: Any) -> Answer:
        if headers.get("Authorization", "") not in ("", BASIC):
            return Answer(401, body=b"incorrect username or password")
        return Answer(body=b'{"token": "good"}')


class TestSignIn:
    def test_token_is_fetched_where_the_registry_says(self, images: Images, script: Scripted) -> None:
        tokens = Tokens(f"http://{script.host}/token")
        script.before = tokens.registry
        assert_succeeded(images.fetch(credential=images.credential()), "fetch")
        assert {sent for path, sent in script.seen if path.startswith("/token")} == {BASIC}
        assert {sent for path, sent in script.seen if "/blobs/" in path} == {"Bearer good"}

    def test_wrong_password_at_the_sign_in_place(self, images: Images, script: Scripted) -> None:
        script.before = Tokens(f"http://{script.host}/token").registry
        credential = images.credential("not-the-password")
        run = images.fetch(credential=credential)
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-CREDENTIALS")
        assert "incorrect username or password" in str(attempt.problem_evidence)
        credential.seal(PASSWORD)
        credential.save()
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_account_without_the_right_to_read(self, images: Images, script: Scripted) -> None:
        tokens = Tokens(f"http://{script.host}/token", reads=False)
        script.before = tokens.registry
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-DENIED")
        assert attempt.problem_params["account"] == USERNAME
        tokens.reads = True
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_password_is_sent_to_no_other_host(self, images: Images, script: Scripted, other: Scripted) -> None:
        tokens = Tokens(f"http://localhost:{other.host.partition(':')[2]}/token")
        script.before, other.before = tokens.registry, tokens.place
        images.pipeline.configure(source_allow_hosts=f"{script.host}")
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-SIGN-IN-ELSEWHERE")
        assert other.seen == []
        assert attempt.problem_params["host"] == script.host
        images.pipeline.configure(source_allow_hosts=f"{script.host},localhost")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")
        assert {sent for _, sent in other.seen} == {BASIC}

    def test_sign_in_place_in_a_private_network_is_not_reached(
        self, images: Images, script: Scripted, other: Scripted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By HTTPS and anonymously, so that only the guard stands before it."""
        script.before = Tokens(f"https://{other.host}/token").registry
        assert_ended(images.fetch(), "fetch", "SOURCE-ADDRESS-FORBIDDEN")
        assert other.seen == []
        script.before = lambda *_: None
        assert_succeeded(images.fetch(), "fetch")

    @pytest.mark.parametrize(
        ("code", "change"),
        [("CREDENTIAL-KIND", {"kind": CredentialKind.TOKEN}), ("CREDENTIAL-HOST", {"host": "ghcr.io"})],
    )
    def test_credential_for_something_else_is_not_used(
        self, code: str, change: dict[str, str], images: Images, script: Scripted
    ) -> None:
        run = images.fetch(credential=images.credential(**change))
        assert_ended(run, "fetch", code)
        assert script.seen == []
        assert_succeeded(images.fetch(credential=images.credential()), "fetch")

    def test_what_a_registry_echoes_shows_no_password(self, images: Images, script: Scripted) -> None:
        def echo(method: str, path: str, headers: Any) -> Answer | None:
            if path == "/v2/":
                return None
            if not headers.get("Authorization"):
                return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
            message = f"{PASSWORD} or {headers['Authorization']} is not enough"
            return Answer(403, body=said("DENIED", message))

        script.before = echo
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-DENIED")
        shown = json.dumps([attempt.problem_params, attempt.problem_evidence]) + images.log(run)
        assert "is not enough" in shown
        assert PASSWORD not in shown
        assert BASIC.removeprefix("Basic ") not in shown


class TestRedirects:
    def test_layers_elsewhere_are_fetched_without_the_password(
        self, images: Images, script: Scripted, other: Scripted
    ) -> None:
        other.images = script.images

        def send_away(method: str, path: str, headers: Any) -> Answer | None:
            if path != "/v2/" and not headers.get("Authorization"):
                return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
            away = f"http://localhost:{other.host.partition(':')[2]}{path}"
            return Answer(307, {"Location": away}) if "/blobs/" in path else None

        script.before = send_away
        images.pipeline.configure(source_allow_hosts=f"{script.host},localhost")
        assert_succeeded(images.fetch(credential=images.credential()), "fetch")
        assert len(other.seen) == 3
        assert {sent for _, sent in other.seen} == {""}

    @pytest.mark.parametrize(
        ("scheme", "code"),
        [
            pytest.param(
                "https", "SOURCE-ADDRESS-FORBIDDEN",
                marks=provokes("SOURCE-ADDRESS-FORBIDDEN", "private address by redirect"),
            ),
            ("http", "SOURCE-IMAGE-REDIRECTS"),
        ],
    )  # fmt: skip
    def test_redirect_into_a_private_network_is_not_followed(
        self, scheme: str, code: str, images: Images, script: Scripted, other: Scripted
    ) -> None:
        other.images = script.images

        def send_away(method: str, path: str, headers: Any) -> Answer | None:
            return Answer(307, {"Location": f"{scheme}://{other.host}{path}"}) if "/blobs/" in path else None

        script.before = send_away
        run = images.fetch()
        assert_ended(run, "fetch", code)
        assert other.seen == []
        script.before = lambda *_: None
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_redirects_without_an_end(self, images: Images, script: Scripted) -> None:
        script.before = lambda method, path, headers: Answer(302, {"Location": path}) if "/blobs/" in path else None
        run = images.fetch()
        assert_ended(run, "fetch", "SOURCE-IMAGE-REDIRECTS")
        script.before = lambda *_: None
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")


class TestShapes:
    def test_oci_manifest_that_does_not_name_its_own_type(self, images: Images, script: Scripted) -> None:
        body = json.loads(image(layers()).manifest.body)
        del body["mediaType"]
        bare = Made(Manifest(json.dumps(body).encode(), OCI_MANIFEST), image(layers()).blobs)
        script.put("1.0", bare)
        facts = images.facts(images.fetch())
        assert (facts["source_digest"], facts["source_media_type"]) == (bare.digest, OCI_MANIFEST)
        assert facts["converted"]

    def test_index_in_an_index(self, images: Images, script: Scripted) -> None:
        wanted = script.images["1.0"]
        inner = index([wanted.entry("amd64")], [wanted])
        script.put("inner", inner)
        unnamed = inner.entry("amd64")
        del unnamed["platform"]
        outer = index([unnamed], [inner])
        script.put("1.0", outer)
        facts = images.facts(images.fetch())
        assert (facts["index_digest"], facts["source_digest"]) == (outer.digest, wanted.digest)

    def test_manifest_that_is_not_the_one_asked_for(self, images: Images, script: Scripted) -> None:
        promised, given = script.images["1.0"], image(layers("another"))
        many = index([promised.entry("amd64")], [promised])
        script.put("1.0", many)
        script.images[promised.digest] = given
        run = images.fetch()
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-BROKEN")
        assert given.digest in attempt.problem_params["detail"]
        script.put("1.0", many)
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")


class TestBytes:
    def test_broken_download_goes_on_where_it_stopped(self, images: Images, script: Scripted) -> None:
        large = image([*layers(), bytes(3_000_000)], "plain")
        script.put("1.0", large)
        wanted, blob = max(large.blobs.items(), key=lambda item: len(item[1]))
        starts: list[str] = []

        def cut(method: str, path: str, headers: Any) -> Answer | None:
            if not path.endswith(wanted):
                return None
            starts.append(headers.get("Range", ""))
            return Answer(body=blob, cut=1_500_000) if len(starts) == 1 else None

        script.before = cut
        run = images.fetch()
        assert_succeeded(run, "fetch")
        assert starts[0] == ""
        assert starts[1].startswith("bytes=1")
        assert "going on at" in images.log(run)

    @pytest.mark.parametrize("false", [b"x", b"far too many bytes" * 100], ids=["other", "longer"])
    def test_bytes_that_are_not_the_promised_ones(self, false: bytes, images: Images, script: Scripted) -> None:
        made = script.images["1.0"]
        layer = json.loads(made.manifest.body)["layers"][0]
        body = false if len(false) > layer["size"] else false * layer["size"]

        def lie(method: str, path: str, headers: Any) -> Answer | None:
            return Answer(body=body) if path.endswith(layer["digest"]) else None

        script.before = lie
        run = images.fetch()
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-BROKEN")
        assert layer["digest"] in attempt.problem_params["what"]
        script.before = lambda *_: None
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @pytest.mark.parametrize(
        "body",
        [b"no json", b"[]", b"{}", b'{"schemaVersion": 2, "manifests": [], "layers": [], "config": {}}',
         b'{"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}, "layers": []}'],
    )  # fmt: skip
    def test_manifest_that_is_none(self, body: bytes, images: Images, script: Scripted) -> None:
        kind = "application/vnd.oci.image.manifest.v1+json"
        script.before = lambda method, path, headers: (
            Answer(headers={"Content-Type": kind}, body=body) if "/manifests/" in path else None
        )
        run = images.fetch()
        code = "SOURCE-IMAGE-NOT-IMAGE" if body == b"{}" else "SOURCE-IMAGE-MANIFEST"
        assert_ended(run, "fetch", code)
        script.before = lambda *_: None
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_layer_that_is_no_archive_fails_no_later_than_inspect(self, images: Images, script: Scripted) -> None:
        made = image([b"this is no tar archive"], "zstd")
        script.put("1.0", made)
        run = images.pipeline.drive(images.submit(), "inspect")
        assert_ended(run, "inspect", "IMAGE-LAYER-UNREADABLE")


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "SOURCE-IMAGE-RATE-LIMIT"), (500, "SOURCE-IMAGE-REGISTRY"), (400, "SOURCE-IMAGE-REGISTRY")],
)
def test_registry_in_trouble_says_so_itself(status: int, code: str, images: Images, script: Scripted) -> None:
    script.before = lambda method, path, headers: (
        Answer(status, body=said("TOOMANYREQUESTS", "slow down, please")) if "/manifests/" in path else None
    )
    run = images.fetch()
    attempt = assert_ended(run, "fetch", code)
    assert "slow down, please" in str(attempt.problem_evidence)
    script.before = lambda *_: None
    assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")


def test_cancel_ends_a_download(images: Images, script: Scripted, tmp_path: Path) -> None:
    reached, go = threading.Event(), threading.Event()

    def hold(method: str, path: str, headers: Any) -> Answer | None:
        if "/blobs/" in path:
            reached.set()
            go.wait(20)
        return None

    script.before = hold
    run = images.submit()
    attempt = latest(run, "fetch")

    def cancel() -> None:
        assert reached.wait(20)
        attempt.refresh_from_db()
        planning.cancel_attempt(images.pipeline.seller, attempt)
        go.set()

    other = threading.Thread(target=cancel)
    images.pipeline.configure(heartbeat_seconds=0.1)
    other.start()
    images.pipeline.drive(run, "fetch")
    other.join()
    assert latest(run, "fetch").state == AttemptState.CANCELLED
    assert list((tmp_path / "data" / "work").glob("*/*")) == []
