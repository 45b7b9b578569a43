"""Existing images as sources, from a real registry behind a password into the real staging registry."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from listings.states import StepState
from tests.bad_input import provokes
from tests.engine.conftest import engine
from tests.engine.image_sources import Images, images, layers, theirs
from tests.engine.registry_steps import named
from tests.pipeline import Pipeline, assert_ended, assert_succeeded, latest, pipeline
from tests.registry_fixtures import Registry, registry
from tests.seller_registry import (
    DOCKER_LIST,
    PASSWORD,
    USERNAME,
    SellerRegistry,
    certificate,
    image,
    index,
)
from workers.registries import DOCKER_MANIFEST, RegistryClient

__all__ = ["engine", "images", "pipeline", "registry", "theirs"]

pytestmark = pytest.mark.timeout(120)


class TestStaging:
    @pytest.mark.parametrize("pack", ["docker", "gzip", "zstd", "plain"])
    def test_image_is_staged_as_dockers_manifest(
        self, pack: str, images: Images, theirs: SellerRegistry, registry: Registry
    ) -> None:
        made = image(layers(pack), pack)
        made.push(theirs.client(), images.repository, "1.0")
        facts = images.facts(images.fetch(credential=images.credential()))
        assert (facts["source_digest"], facts["index_digest"]) == (made.digest, None)
        assert facts["source_media_type"] == made.manifest.media_type
        assert facts["converted"] is (pack != "docker")
        assert (facts["digest"] == made.digest) is (pack == "docker")
        with RegistryClient(named(registry)) as client:
            staged = client.manifest(facts["staging_repository"], facts["digest"])
        assert staged.media_type == facts["media_type"] == DOCKER_MANIFEST
        body = json.loads(staged.body)
        assert {layer["mediaType"] for layer in body["layers"]} == {
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
        }  # fmt: skip
        assert body["config"]["digest"] == json.loads(made.manifest.body)["config"]["digest"]

    @pytest.mark.parametrize("pack", ["docker", "zstd"])
    def test_later_steps_read_what_fetch_staged(self, pack: str, images: Images, theirs: SellerRegistry) -> None:
        image(layers(), pack).push(theirs.client(), images.repository, "1.0")
        run = images.pipeline.drive(images.submit(credential=images.credential()), "scan")
        assert run.steps.get(name="build").state == StepState.SKIPPED
        for step in ("fetch", "inspect", "scan"):
            assert_succeeded(run, step)
        facts = latest(run, "inspect").facts
        assert [layer["created_by"] for layer in facts["layers"]] == ["COPY part0 /", "COPY part1 /"]
        assert facts["train"] == "/usr/local/bin/train"
        assert latest(run, "scan").facts["os"]["id"] == "debian"

    @pytest.mark.parametrize("kind", ["oci", "docker"])
    def test_the_plainest_amd64_image_of_an_index_is_taken(
        self, kind: str, images: Images, theirs: SellerRegistry
    ) -> None:
        arm, newer, wanted = image(layers("a"), architecture="arm64"), image(layers("b")), image(layers("c"))
        note = image(layers("d"))
        attestation = note.entry("unknown", annotations={"vnd.docker.reference.type": "attestation-manifest"})
        entries = [arm.entry("arm64", "v8"), attestation, newer.entry("amd64", "v3"), wanted.entry("amd64")]
        many = index(entries, [arm, note, newer, wanted], **({"kind": DOCKER_LIST} if kind == "docker" else {}))
        many.push(theirs.client(), images.repository, "1.0")
        facts = images.facts(images.fetch(credential=images.credential()))
        assert (facts["index_digest"], facts["source_digest"]) == (many.digest, wanted.digest)

    def test_a_digest_is_fetched_though_the_tag_is_another(self, images: Images, theirs: SellerRegistry) -> None:
        old, new = image(layers("old")), image(layers("new"))
        for made in (old, new):
            made.push(theirs.client(), images.repository, "1.0")
        reference = f"{images.reference()}@{old.digest}"
        assert images.facts(images.fetch(reference, images.credential()))["source_digest"] == old.digest

    def test_a_moved_tag_changes_nothing_for_a_later_run(self, images: Images, theirs: SellerRegistry) -> None:
        first = image(layers("first"))
        first.push(theirs.client(), images.repository, "1.0")
        run = images.fetch(credential=images.credential())
        before = images.facts(run)
        run.version.refresh_from_db()
        assert run.version.image_digest == first.digest
        image(layers("second")).push(theirs.client(), images.repository, "1.0")
        after = images.facts(images.again(run))
        assert (after["source_digest"], after["digest"]) == (first.digest, before["digest"])
        assert after["staging_repository"] != before["staging_repository"]

    def test_password_is_in_no_log_no_command_and_no_file_left(
        self, images: Images, theirs: SellerRegistry, tmp_path: Path
    ) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        credential = images.credential()
        run = images.fetch(credential=credential)
        assert PASSWORD not in images.log(run)
        credential.refresh_from_db()
        assert credential.used_at is not None
        left = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert not any(PASSWORD.encode() in path.read_bytes() for path in left)
        assert list((tmp_path / "data" / "work").glob("*/*")) == []


class TestRefusals:
    @provokes("SOURCE-IMAGE-NOT-FOUND", "image not found")
    def test_image_that_is_not_there(self, images: Images, theirs: SellerRegistry) -> None:
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-NOT-FOUND")
        assert "MANIFEST_UNKNOWN" in str(attempt.problem_evidence)
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @provokes("SOURCE-IMAGE-NO-TAG", "image not found")
    def test_tag_that_is_not_there_is_told_beside_those_that_are(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "0.9")
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-NO-TAG")
        assert attempt.problem_evidence[-1] == {"text": "0.9", "label": "tags that exist", "log_line": None}
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @provokes("SOURCE-IMAGE-CREDENTIALS", "wrong credentials")
    def test_wrong_password(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        credential = images.credential("not-the-password")
        run = images.fetch(credential=credential)
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-CREDENTIALS")
        assert attempt.problem_params["credential"] == credential.name
        credential.seal(PASSWORD)
        credential.save()
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @provokes("SOURCE-IMAGE-PRIVATE", "wrong credentials")
    def test_private_image_without_a_password(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_ended(images.fetch(), "fetch", "SOURCE-IMAGE-PRIVATE")
        assert_succeeded(images.fetch(credential=images.credential()), "fetch")

    @provokes("SOURCE-IMAGE-PLATFORM", "a manifest without amd64")
    def test_index_without_amd64_tells_what_there_is(self, images: Images, theirs: SellerRegistry) -> None:
        arm, power = image(layers("a"), architecture="arm64"), image(layers("p"), architecture="ppc64le")
        entries = [arm.entry("arm64", "v8"), power.entry("ppc64le")]
        index(entries, [arm, power]).push(theirs.client(), images.repository, "1.0")
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-PLATFORM")
        assert [found["text"] for found in attempt.problem_evidence] == ["linux/arm64/v8", "linux/ppc64le"]
        intel = image(layers("i"))
        index([*entries, intel.entry("amd64")], [arm, power, intel]).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_single_image_for_another_machine(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers(), architecture="arm64").push(theirs.client(), images.repository, "1.0")
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-PLATFORM")
        assert attempt.problem_params["platforms"] == "linux/arm64"
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @pytest.mark.parametrize(
        ("code", "wrong"),
        [
            ("SOURCE-IMAGE-NOT-IMAGE", {"config_type": "application/vnd.cncf.helm.config.v1+json",
                                        "layer_type": "application/vnd.cncf.helm.chart.content.v1.tar+gzip"}),
            ("SOURCE-IMAGE-NOT-IMAGE", {"layer_type": "application/vnd.in-toto+json"}),
            ("SOURCE-IMAGE-NOT-IMAGE", {"layer_type": "text/spdx+json"}),
            ("SOURCE-IMAGE-LAYER", {"layer_type": "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}),
            ("SOURCE-IMAGE-LAYER", {"layer_type": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}),
        ],
        ids=["chart", "attestation", "sbom", "encrypted", "foreign"],
    )  # fmt: skip
    def test_what_is_no_ordinary_image(
        self, code: str, wrong: dict[str, str], images: Images, theirs: SellerRegistry
    ) -> None:
        image(layers(), **wrong).push(theirs.client(), images.repository, "1.0")
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", code)
        assert wrong.get("config_type", wrong["layer_type"]) in str(attempt.problem_evidence)
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_schema_1(self, images: Images, theirs: SellerRegistry, tmp_path: Path) -> None:
        image(layers()).push(theirs.client(), images.repository, "new")
        subprocess.run(
            ["skopeo", "--insecure-policy", "copy", "--format", "v2s1", "--src-tls-verify=false",
             "--dest-tls-verify=false", f"--src-creds={USERNAME}:{PASSWORD}", f"--dest-creds={USERNAME}:{PASSWORD}",
             f"docker://{images.reference('new')}", f"docker://{images.reference()}"],
            check=True, capture_output=True,
        )  # fmt: skip
        run = images.fetch(credential=images.credential())
        assert_ended(run, "fetch", "SOURCE-IMAGE-SCHEMA-1")
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_too_large_by_its_manifest(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        images.pipeline.configure(image_max_bytes=300)
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-TOO-LARGE")
        assert attempt.problem_params["limit"] == "300 bytes"
        images.pipeline.configure(image_max_bytes=10_000_000)
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_layer_that_grows_in_conversion_is_stopped(self, images: Images, theirs: SellerRegistry) -> None:
        """Repeated at a distance that zstd sees and gzip does not."""
        grows = os.urandom(512 << 10) * 200
        image([*layers(), grows], "zstd").push(theirs.client(), images.repository, "1.0")
        images.pipeline.configure(image_max_bytes=4 << 20)
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-TOO-LARGE")
        assert "gzip" in attempt.problem_params["size"]
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @provokes("SOURCE-IMAGE-DISK", "host disk full")
    def test_no_room_on_the_worker_is_ours(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        images.pipeline.configure(disk_floor_mb=10**9)
        run = images.fetch(credential=images.credential())
        assert_ended(run, "fetch", "SOURCE-IMAGE-DISK")
        images.pipeline.configure(disk_floor_mb=1)
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_pinned_image_that_is_gone(self, images: Images, theirs: SellerRegistry) -> None:
        made = image(layers("gone"))
        made.push(theirs.client(), images.repository, "1.0")
        image(layers("stays")).push(theirs.client(), images.repository, "2.0")
        run = images.fetch(credential=images.credential())
        theirs.client().delete_manifest(images.repository, made.digest)
        second = images.again(run)
        attempt = assert_ended(second, "fetch", "SOURCE-IMAGE-NO-DIGEST")
        assert attempt.problem_params["digest"] == made.digest
        made.push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.pipeline.retry(second, "fetch"), "fetch")

    def test_staging_registry_is_no_source(self, images: Images, registry: Registry, theirs: SellerRegistry) -> None:
        images.pipeline.configure(source_allow_hosts=f"{registry.host},localhost")
        for host in (registry.host, registry.host.replace("127.0.0.1", "localhost")):
            assert_ended(images.fetch(f"{host}/staging/0123:v"), "fetch", "SOURCE-IMAGE-STAGING")
        images.pipeline.configure(source_allow_hosts=theirs.host)
        image(layers()).push(theirs.client(), images.repository, "1.0")
        assert_succeeded(images.fetch(credential=images.credential()), "fetch")

    def test_mistake_in_the_bundle_is_told_before_the_image_is_fetched(self, images: Images) -> None:
        run = images.fetch(credential=images.credential(), bundle=images.bundle_without("train.csv"))
        assert_ended(run, "fetch", "SPEC-SAMPLE-MISSING")
        assert "Looking up" not in images.log(run)


class TestReaching:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Any:
        servers: list[SellerRegistry] = []

        def make(**options: Any) -> SellerRegistry:
            folder = tmp_path / f"own{len(servers)}"
            folder.mkdir()
            servers.append(SellerRegistry(folder, **options))
            return servers[-1]

        yield make
        for server in servers:
            server.stop()

    def test_registry_that_is_down(self, own: Any, pipeline: Pipeline) -> None:
        server = own()
        images = Images.at(pipeline, server.host)
        run = images.fetch(credential=images.credential())
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-UNREACHABLE")
        assert "refused" in attempt.problem_params["detail"]
        server.start()
        image(layers()).push(server.client(), images.repository, "1.0")
        assert_succeeded(pipeline.retry(run, "fetch"), "fetch")

    def test_name_that_does_not_resolve(self, pipeline: Pipeline) -> None:
        images = Images.at(pipeline, "registry.invalid")
        attempt = assert_ended(images.fetch(), "fetch", "SOURCE-IMAGE-UNREACHABLE")
        assert attempt.problem_params["host"] == "registry.invalid"
        assert "does not answer" not in attempt.problem_params["detail"]

    def test_certificate_that_nobody_trusts(
        self, own: Any, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chain, key = certificate(tmp_path)
        server = own(password=False, certificate=(chain, key))
        server.start()
        images = Images.at(pipeline, server.host)
        with server.client() as client:
            client._session.verify = str(chain)  # the test's own client trusts it
            client._session.trust_env = False
            image(layers()).push(client, images.repository, "1.0")
        run = images.fetch()
        attempt = assert_ended(run, "fetch", "SOURCE-IMAGE-TLS")
        assert "self-signed certificate" in attempt.problem_params["detail"]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(chain))
        assert_succeeded(pipeline.retry(run, "fetch"), "fetch")

    def test_registry_in_a_private_network(self, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        images.pipeline.configure(source_allow_hosts="")
        run = images.fetch(credential=images.credential())
        assert_ended(run, "fetch", "SOURCE-ADDRESS-FORBIDDEN")
        images.pipeline.configure(source_allow_hosts=theirs.host)
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    def test_plain_http_is_for_listed_hosts(
        self, images: Images, theirs: SellerRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        monkeypatch.setattr("workers.sources.guard_addresses.forbidden", lambda _: "")  # as if it were public
        images.pipeline.configure(source_allow_hosts="")
        run = images.fetch(credential=images.credential())
        assert_ended(run, "fetch", "SOURCE-IMAGE-PLAIN-HTTP")
        images.pipeline.configure(source_allow_hosts=theirs.host)
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")

    @provokes("SOURCE-IMAGE-STAGE", "registry down")
    def test_staging_that_is_down_is_ours(self, own: Any, images: Images, theirs: SellerRegistry) -> None:
        image(layers()).push(theirs.client(), images.repository, "1.0")
        config, dead = images.pipeline.settings.SLIPWAY, own()
        images.pipeline.configure(staging_registry_worker=dead.host, staging_registry_engine=dead.host)
        run = images.fetch(credential=images.credential())
        assert_ended(run, "fetch", "SOURCE-IMAGE-STAGE")
        images.pipeline.configure(
            staging_registry_worker=config.staging_registry_worker,
            staging_registry_engine=config.staging_registry_engine,
        )
        assert_succeeded(images.pipeline.retry(run, "fetch"), "fetch")
