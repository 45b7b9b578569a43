"""What is read out of manifests and indexes, and where a registry's password may be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from listings.problems import ProblemError
from tests.seller_registry import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, image, index
from workers.registries import DOCKER_MANIFEST, Manifest, RegistryError
from workers.registries.outside import may_sign_in_at
from workers.sources.image_manifest import as_gzip, choose, image_manifest, is_index, parse, require_amd64

NAME = "example.com/team/model:1"
SOME = image([b"x"])


def entry(architecture: str, variant: str = "", system: str = "linux", number: int = 0) -> dict[str, Any]:
    found = SOME.entry(architecture, variant) | {"digest": f"sha256:{number:064x}"}
    found["platform"]["os"] = system
    return found


def chosen(*entries: dict[str, Any]) -> int:
    return int(choose({"manifests": list(entries)}, NAME).removeprefix("sha256:"), 16)


class TestChoice:
    def test_plainest_variant_first_then_the_order_of_the_index(self) -> None:
        plain, two, three = entry("amd64", number=1), entry("amd64", "v2", number=2), entry("amd64", "v3", number=3)
        assert chosen(three, two, plain) == 1
        assert chosen(three, two) == 2
        assert chosen(three, entry("arm64", number=9)) == 3
        assert chosen(entry("amd64", "v1", number=4), plain) == 1
        assert chosen(entry("amd64", number=5), entry("amd64", number=6)) == 5

    def test_other_spellings_are_understood(self) -> None:
        assert chosen(entry("arm64", number=1), entry("x86_64", number=2)) == 2

    def test_attestations_and_other_systems_are_passed_over(self) -> None:
        note = entry("amd64", number=1) | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
        assert chosen(note, entry("amd64", system="windows", number=2), entry("amd64", number=3)) == 3

    def test_a_single_entry_without_a_platform_is_looked_at(self) -> None:
        unnamed = entry("amd64", number=7)
        del unnamed["platform"]
        assert chosen(unnamed) == 7

    def test_platforms_that_there_are_are_told(self) -> None:
        with pytest.raises(ProblemError) as caught:
            chosen(entry("arm", "v7"), entry("amd64", system="windows"), entry("unknown", system="unknown"))
        assert caught.value.code == "SOURCE-IMAGE-PLATFORM"
        assert caught.value.report.params["platforms"] == "linux/arm/v7, windows/amd64"

    def test_empty_index(self) -> None:
        with pytest.raises(ProblemError) as caught:
            chosen()
        assert caught.value.report.params["platforms"] == "no platform at all"

    @pytest.mark.parametrize("entries", [None, {}, "x", [1], [entry("amd64") | {"digest": "sha256:1"}]])
    def test_index_that_is_none(self, entries: Any) -> None:
        with pytest.raises(ProblemError) as caught:
            choose({"manifests": entries}, NAME)
        assert caught.value.code == "SOURCE-IMAGE-MANIFEST"


class TestManifest:
    def test_an_image_says_what_it_holds(self) -> None:
        made = image([b"a" * 10, b"b" * 20], "plain")
        body = parse(made.manifest, NAME)
        found = image_manifest(made.manifest, body, NAME)
        assert not is_index(body)
        assert [layer.size for layer in found.layers] == [10, 20]
        assert found.size == 30 + found.config.size
        assert found.media_type == OCI_MANIFEST

    @pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
    def test_an_index_is_one(self, kind: str) -> None:
        assert is_index(parse(index([entry("amd64")], [], kind).manifest, NAME))

    def test_only_zstd_layers_are_renamed(self) -> None:
        for pack in ("docker", "gzip", "plain"):
            made = image([b"a"], pack)
            assert as_gzip(image_manifest(made.manifest, parse(made.manifest, NAME), NAME)) == made.manifest.body
        made = image([b"a"], "zstd")
        body = json.loads(as_gzip(image_manifest(made.manifest, parse(made.manifest, NAME), NAME)))
        assert body["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"

    def test_media_types_that_disagree_are_refused(self) -> None:
        with pytest.raises(ProblemError) as caught:
            parse(Manifest(SOME.manifest.body, DOCKER_MANIFEST), NAME)
        assert caught.value.code == "SOURCE-IMAGE-MANIFEST"

    @pytest.mark.parametrize(
        "change",
        [{"size": -1}, {"size": "1"}, {"size": None}, {"digest": "sha512:" + "0" * 128}, {"digest": None}],
    )
    def test_descriptor_that_is_none(self, change: dict[str, Any]) -> None:
        body = json.loads(SOME.manifest.body)
        body["layers"][0] |= change
        with pytest.raises(ProblemError) as caught:
            image_manifest(SOME.manifest, body, NAME)
        assert caught.value.code == "SOURCE-IMAGE-MANIFEST"

    def test_more_layers_than_an_engine_stacks(self) -> None:
        body = json.loads(SOME.manifest.body)
        body["layers"] *= 128
        with pytest.raises(ProblemError) as caught:
            image_manifest(SOME.manifest, body, NAME)
        assert caught.value.code == "IMAGE-LAYER-LIMIT"

    @pytest.mark.parametrize("config", [b"", b"[]", b"{", b"null"])
    def test_configuration_that_is_none(self, config: bytes) -> None:
        with pytest.raises(ProblemError) as caught:
            require_amd64(config, NAME)
        assert caught.value.code == "IMAGE-CONFIG"


@pytest.mark.parametrize(
    ("endpoint", "realm", "may"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://registry.example.com:5000", "https://auth.example.com/token", True),
        ("https://registry.example.com", "http://registry.example.com/token", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", False),
        ("https://10.1.2.3", "https://9.1.2.3/token", False),
        ("https://registry.example.com", "https://registry.example.com:8443/token", False),
        ("https://registry.example.com", "https://example.com.evil.net/token", False),
        ("https://registry.example.com", "https://evilexample.com/token", False),
        ("https://seller.co.uk", "https://thief.co.uk/token", False),
        ("https://registry.seller.co.uk", "https://auth.seller.co.uk/token", True),
        ("https://ghcr.io", "https://quay.io/token", False),
    ],
)
def test_password_goes_to_the_registrys_own_domain(endpoint: str, realm: str, may: bool) -> None:
    assert may_sign_in_at(endpoint, realm) is may


@pytest.mark.parametrize("realm", ["", "token", "ftp://example.com/", "https://", "https://[::1", "file:///etc/passwd"])
def test_sign_in_place_that_is_no_web_address(realm: str) -> None:
    with pytest.raises(RegistryError):
        may_sign_in_at("https://example.com", realm)
