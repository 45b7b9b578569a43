"""What a registry's manifest says: which of an index's images is for linux/amd64, and whether it can be taken over.

Pure. Sources: Docker image manifest version 2 schema 2; OCI image specification 1.1 (manifest, index, platform).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.images.limits import DEFAULT_LIMITS
from workers.registries import DOCKER_CONFIG, DOCKER_MANIFEST, Manifest
from workers.registries.client import is_digest

OCI_MANIFEST, OCI_CONFIG = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"
INDEXES = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_DOCKER_LAYER, _OCI_LAYER = "application/vnd.docker.image.rootfs.", "application/vnd.oci.image.layer."
#: How a layer may be packed, by the end of its media type; the value is what it is called once it is gzip.
_GZIP = {
    f"{_DOCKER_LAYER}diff.tar": f"{_DOCKER_LAYER}diff.tar",
    f"{_DOCKER_LAYER}diff.tar.gzip": f"{_DOCKER_LAYER}diff.tar.gzip",
    f"{_DOCKER_LAYER}diff.tar.zstd": f"{_DOCKER_LAYER}diff.tar.gzip",
    f"{_OCI_LAYER}v1.tar": f"{_OCI_LAYER}v1.tar",
    f"{_OCI_LAYER}v1.tar+gzip": f"{_OCI_LAYER}v1.tar+gzip",
    f"{_OCI_LAYER}v1.tar+zstd": f"{_OCI_LAYER}v1.tar+gzip",
}
_AMD64 = ("amd64", "x86_64", "x86-64")
#: Baseline first: AWS says nothing about what its machines have beyond it.
_VARIANTS = ("", "v1", "v2", "v3", "v4")
_ARTIFACTS = {
    "application/vnd.cncf.helm.config.v1+json": "a Helm chart",
    "application/vnd.docker.plugin.v1+json": "a Docker plugin",
    "application/vnd.in-toto+json": "an attestation",
    "application/vnd.dev.cosign.simplesigning.v1+json": "a signature",
    "application/vnd.wasm.config.v0+json": "a WebAssembly module",
}
_ARTIFACT_WORDS = {"spdx": "an SBOM", "cyclonedx": "an SBOM", "syft": "an SBOM", "notary": "a signature",
                   "sigstore": "a signature", "cosign": "a signature", "in-toto": "an attestation"}  # fmt: skip
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Descriptor:
    """``size`` in bytes, as stored."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One image. ``raw`` is the manifest as the registry sent it, ``body`` the same parsed."""

    digest: str
    media_type: str
    raw: bytes
    body: dict[str, Any]
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        return self.config.size + sum(layer.size for layer in self.layers)


def parse(manifest: Manifest, name: str) -> dict[str, Any]:
    """Raises ProblemError SOURCE-IMAGE-SCHEMA-1, -MANIFEST or -NOT-IMAGE. ``name`` is the reference, for texts."""
    try:
        body = json.loads(manifest.body)
    except (ValueError, RecursionError) as error:
        raise _broken(name, f"it is no JSON ({error})"[:200]) from error
    if not isinstance(body, dict):
        raise _broken(name, "it is no object")
    if manifest.media_type.startswith(_SCHEMA_1) or body.get("schemaVersion") == 1:
        raise ProblemError(
            "SOURCE-IMAGE-SCHEMA-1", evidence=(Evidence(manifest.media_type, "media type"),), reference=name
        )
    if "manifests" in body and ("layers" in body or "config" in body):
        # One digest that reads as two things: CVE-2021-41190.
        raise _broken(name, "it is both an index and an image")
    stated = str(body.get("mediaType") or "")
    known = (DOCKER_MANIFEST, OCI_MANIFEST, *INDEXES)
    if stated in known and manifest.media_type in known and stated != manifest.media_type:
        raise _broken(name, f"it calls itself {stated}, and the registry calls it {manifest.media_type}")
    return body


def is_index(body: Mapping[str, Any]) -> bool:
    return "manifests" in body


def choose(body: Mapping[str, Any], name: str) -> str:
    """The digest of the index's image for linux/amd64, the plainest variant first; attestations are passed over.

    Raises ProblemError SOURCE-IMAGE-PLATFORM with the platforms that there are, SOURCE-IMAGE-MANIFEST.
    """
    entries = [entry for entry in _list(body.get("manifests"), name) if not _is_attestation(entry)]
    ranked = sorted(
        (rank, position)
        for position, entry in enumerate(entries)
        if (rank := _rank(_platform(entry))) is not None
    )  # fmt: skip
    unnamed = [entry for entry in entries if not _platform(entry)]
    if ranked:
        chosen = entries[ranked[0][1]]
    elif len(unnamed) == 1:
        chosen = unnamed[0]  # the image's own configuration will tell
    else:
        raise no_amd64([_platform_name(_platform(entry)) for entry in entries], name)
    digest = str(chosen.get("digest"))
    if not is_digest(digest):
        raise _broken(name, f"an entry's digest is {digest[:80]!r}")
    return digest


def no_amd64(platforms: list[str], name: str) -> ProblemError:
    found = list(dict.fromkeys(platforms)) or ["no platform at all"]
    evidence = tuple(Evidence(platform, "platform") for platform in found[:_SHOWN])
    return ProblemError("SOURCE-IMAGE-PLATFORM", evidence=evidence, reference=name, platforms=", ".join(found[:8]))


def image_manifest(manifest: Manifest, body: dict[str, Any], name: str) -> ImageManifest:
    """One image's manifest, each part of it of a kind that can become Docker's.

    Raises ProblemError SOURCE-IMAGE-NOT-IMAGE, -LAYER, -MANIFEST, IMAGE-LAYER-LIMIT.
    """
    if "config" not in body or "layers" not in body:
        raise _no_image(name, str(body.get("artifactType") or body.get("mediaType") or manifest.media_type))
    config = _descriptor(body["config"], name)
    if config.media_type not in (DOCKER_CONFIG, OCI_CONFIG):
        raise _no_image(name, str(body.get("artifactType") or config.media_type))
    layers = tuple(_descriptor(layer, name) for layer in _list(body["layers"], name))
    if len(layers) > DEFAULT_LIMITS.layers:
        raise ProblemError("IMAGE-LAYER-LIMIT", layer="all layers", detail=f"more than {DEFAULT_LIMITS.layers} layers")
    for layer in layers:
        _require_ordinary(layer, name)
    media_type = str(body.get("mediaType") or manifest.media_type)
    return ImageManifest(manifest.digest, media_type, manifest.body, body, config, layers)


def require_amd64(config: bytes, name: str) -> None:
    """Raises ProblemError SOURCE-IMAGE-PLATFORM by what the image's own configuration says, IMAGE-CONFIG."""
    try:
        body = json.loads(config)
        platform = {key: str(body.get(key) or "") for key in ("os", "architecture", "variant")}
    except (ValueError, AttributeError, RecursionError) as error:
        raise ProblemError("IMAGE-CONFIG", evidence=(Evidence(f"{type(error).__name__}: {error}"),)) from error
    if _rank(platform) is None:
        raise no_amd64([_platform_name(platform)], name)


def as_gzip(image: ImageManifest) -> bytes:
    """The manifest with zstd layers called gzip: skopeo looks at their bytes and packs them anew. Else as it came."""
    if not any(layer.media_type.endswith("zstd") for layer in image.layers):
        return image.raw
    layers = [layer | {"mediaType": _GZIP[str(layer["mediaType"])]} for layer in image.body["layers"]]
    return json.dumps({**image.body, "layers": layers}).encode()


def _require_ordinary(layer: Descriptor, name: str) -> None:
    kind = layer.media_type
    if kind in _GZIP:
        return
    if kind.endswith("+encrypted"):
        raise _layer(layer, "encrypted, and nobody but its owner has the key")
    if ".foreign." in kind or ".nondistributable." in kind:
        raise _layer(layer, "kept elsewhere than in the registry and may not be copied (a foreign layer)")
    if kind.startswith((_DOCKER_LAYER, _OCI_LAYER)):
        raise _layer(layer, f"of the unknown kind {kind}")
    raise _no_image(name, kind)


def _layer(layer: Descriptor, what: str) -> ProblemError:
    evidence = (Evidence(layer.media_type, "media type"),)
    return ProblemError("SOURCE-IMAGE-LAYER", evidence=evidence, layer=layer.digest, what=what)


def _no_image(name: str, kind: str) -> ProblemError:
    known = _ARTIFACTS.get(kind) or next((what for word, what in _ARTIFACT_WORDS.items() if word in kind), "")
    return ProblemError(
        "SOURCE-IMAGE-NOT-IMAGE", evidence=(Evidence(kind[:300], "media type"),), reference=name,
        what=known or f"something of the type {kind[:120]}",
    )  # fmt: skip


def _broken(name: str, detail: str) -> ProblemError:
    return ProblemError("SOURCE-IMAGE-MANIFEST", reference=name, detail=detail)


def _list(found: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise _broken(name, "its entries are no list of objects")
    return found


def _descriptor(found: Any, name: str) -> Descriptor:
    try:
        made = Descriptor(str(found["mediaType"]), str(found["digest"]), found["size"])
    except (LookupError, TypeError) as error:
        raise _broken(name, f"a descriptor is incomplete ({error})"[:200]) from error
    if not is_digest(made.digest):
        raise _broken(name, f"{made.digest[:80]!r} is no SHA-256 digest")
    if not isinstance(made.size, int) or made.size < 0:
        raise _broken(name, f"{made.digest} has no size")
    return made


def _platform(entry: Mapping[str, Any]) -> dict[str, str]:
    found = entry.get("platform")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    notes = entry.get("annotations")
    marked = isinstance(notes, dict) and "vnd.docker.reference.type" in notes
    return marked or _platform(entry).get("architecture") == "unknown"


def _rank(platform: Mapping[str, str]) -> int | None:
    """How well a platform fits, best first; None if it is another one."""
    if platform.get("os", "").lower() != "linux" or platform.get("architecture", "").lower() not in _AMD64:
        return None
    variant = platform.get("variant", "").lower()
    return _VARIANTS.index(variant) if variant in _VARIANTS else len(_VARIANTS)


def _platform_name(platform: Mapping[str, str]) -> str:
    parts = [platform.get(key, "") for key in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if part)[:80] or "an unnamed platform"
