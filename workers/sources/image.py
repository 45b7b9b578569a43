"""An existing image as a source: resolved to its linux/amd64 manifest, converted if need be, and staged.

The image is downloaded into the step's private folder through the guard, each part held against its digest; skopeo then
puts it into the staging registry as the one kind of manifest that SageMaker takes. The digest found there counts.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from listings.addresses import DEFAULT_PORTS, HTTP, ImageReference, is_listed, parse_host, parse_image
from listings.models import Credential, CredentialKind, Version
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.building.staging import TAG, new_repository
from workers.logs.redact import Redactor
from workers.registries import (
    DOCKER_MANIFEST,
    CopyFailed,
    CopyTooLarge,
    Credentials,
    Manifest,
    Registry,
    RegistryClient,
    RegistryError,
    push_folder,
    staging,
)
from workers.registries.outside import OutsideClient, TlsFailed
from workers.sources import guard
from workers.sources.image_download import Download
from workers.sources.image_manifest import ImageManifest, as_gzip, choose, image_manifest, is_index, parse
from workers.sources.image_problems import Asked
from workers.sources.members import readable
from workers.steps.contract import StepContext, Stop

#: An index may name another one.
INDEX_DEPTH = 3


def stage(context: StepContext) -> dict[str, Any]:
    """Fetch the version's image into a staging repository of its own.

    Facts: ``reference, source_digest, index_digest, source_media_type, converted, bytes, layers, staging_repository,
    digest, media_type``. Raises ProblemError, StepStopped.
    """
    version, log = context.version, context.log
    log.section("Image")
    wanted = parse_image(version.image_reference)
    _refuse_staging(wanted)
    asked, credentials = _asked(context, version, wanted)
    with _way(context.stop) as way, _client(asked, credentials, way, context.stop) as client:
        log.line(f"Looking up {asked.reference}", "slipway")
        try:
            image, index_digest = _resolve(client, asked)
            log.line(f"{image.digest}: {len(image.layers)} layers, {readable(image.size)} compressed", "slipway")
            _require_room(context, image)
            folder = context.workdir / "image"
            Download(client, asked, context, folder).run(image)
        except RegistryError as error:
            raise asked.explain(error, client) from error
    try:
        (folder / "manifest.json").write_bytes(as_gzip(image))
        repository = new_repository()
        digest = _push(context, folder, repository)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    converted = digest != image.digest
    how = "converted to Docker's format" if converted else "byte for byte"
    log.line(f"Staged {how}: {digest}", "slipway")
    return {
        "reference": str(wanted),
        "source_digest": image.digest,
        "index_digest": index_digest,
        "source_media_type": image.media_type,
        "converted": converted,
        "bytes": image.size,
        "layers": len(image.layers),
        "staging_repository": repository,
        "digest": digest,
        "media_type": DOCKER_MANIFEST,
    }


# -- who is asked, and as whom -----------------------------------------------------------------------


def _refuse_staging(reference: ImageReference) -> None:
    """Images in staging belong to other runs; whoever can name one must not get it. Raises ProblemError."""
    registry = staging()
    ours = {registry.engine_host.lower(), registry.worker_host.lower()}
    theirs = _places(reference.registry, DEFAULT_PORTS["https"])
    port = DEFAULT_PORTS[HTTP] if registry.plain_http else DEFAULT_PORTS["https"]
    if reference.registry in ours or any(theirs & _places(host, port) for host in ours):
        raise ProblemError("SOURCE-IMAGE-STAGING", reference=reference)


def _places(site: str, port: int) -> set[tuple[str, int]]:
    """The addresses and ports that ``host[:port]`` stands for; none if it does not resolve."""
    parts = urlsplit(f"//{site}")
    with suppress(OSError, ValueError):
        found = socket.getaddrinfo(parts.hostname, parts.port or port, type=socket.SOCK_STREAM)
        return {(str(entry[4][0]), int(entry[4][1])) for entry in found}
    return set()


def _asked(context: StepContext, version: Version, wanted: ImageReference) -> tuple[Asked, Credentials | None]:
    """The reference, with the digest that an earlier run found; the credential, its secrets known to the log."""
    pinned = bool(version.image_digest) and not wanted.digest
    reference = replace(wanted, digest=version.image_digest or wanted.digest)
    credential = version.credential
    if credential is None:
        return Asked(reference, Redactor(), pinned=pinned), None
    credentials = _credentials(credential, wanted)
    secrets = [credentials.password, f"{credentials.username}:{credentials.password}"]
    context.log.add_secrets(secrets)
    return Asked(reference, Redactor(secrets), credential, pinned), credentials


def _credentials(credential: Credential, wanted: ImageReference) -> Credentials:
    """Raises ProblemError CREDENTIAL-KIND or CREDENTIAL-HOST before the secret is read, SECRET-UNREADABLE."""
    if credential.kind != CredentialKind.REGISTRY:
        raise ProblemError(
            "CREDENTIAL-KIND", name=credential.name, kind=f"of the kind “{credential.get_kind_display()}”",
            wanted=f"one of the kind “{CredentialKind.REGISTRY.label}”",
        )  # fmt: skip
    if parse_host(credential.host) != wanted.registry:
        raise ProblemError("CREDENTIAL-HOST", name=credential.name, host=credential.host, wanted=wanted.registry)
    found = Credentials(credential.username, credential.reveal())
    Credential.objects.filter(pk=credential.pk).update(used_at=timezone.now())
    return found


@contextmanager
def _way(stop: Stop) -> Iterator[guard.Way]:
    """The way out, cut when the step is told to stop: a byte now and then keeps the time limit of a read away."""
    with guard.open() as way:
        stop.on_stop(way.cut)
        try:
            yield way
        finally:
            stop.forget(way.cut)


@contextmanager
def _client(asked: Asked, credentials: Credentials | None, way: guard.Way, stop: Stop) -> Iterator[OutsideClient]:
    """A client by TLS; without it only where the operator lists the host and it speaks no TLS."""
    host = asked.reference.api_host
    client = OutsideClient(Registry(f"https://{host}", host, host, credentials), way, stop.check)
    try:
        try:
            client.ping()
        except TlsFailed as error:
            parts = urlsplit(f"//{host}")
            if not error.plain or not is_listed(parts.hostname or "", parts.port or DEFAULT_PORTS[HTTP], way.listed):
                raise
            client.close()
            client = OutsideClient(Registry(f"http://{host}", host, host, credentials), way, stop.check)
        yield client
    except RegistryError as error:
        raise asked.explain(error, client) from error
    finally:
        client.close()


# -- what it is ----------------------------------------------------------------------------------------


def _resolve(client: OutsideClient, asked: Asked) -> tuple[ImageManifest, str | None]:
    """The linux/amd64 image, and the digest of the index it was chosen from, if any."""
    name = str(asked.reference)
    found = _manifest(client, asked, asked.reference.wanted)
    body, index_digest = parse(found, name), None
    for _ in range(INDEX_DEPTH):
        if is_index(body):
            index_digest = index_digest or found.digest
            found = _manifest(client, asked, choose(body, name))
            body = parse(found, name)
    return image_manifest(found, body, name), index_digest


def _manifest(client: OutsideClient, asked: Asked, wanted: str) -> Manifest:
    try:
        return client.manifest(asked.reference.repository, wanted)
    except RegistryError as error:
        if error.status == 404:
            raise asked.missing(client, error) from error
        raise


def _require_room(context: StepContext, image: ImageManifest) -> None:
    """Raises ProblemError SOURCE-IMAGE-TOO-LARGE or -DISK, before anything is downloaded."""
    config = settings.SLIPWAY
    if image.size > config.image_max_bytes:
        limit = readable(config.image_max_bytes)
        raise ProblemError("SOURCE-IMAGE-TOO-LARGE", size=readable(image.size), limit=limit)
    free = shutil.disk_usage(context.workdir).free
    if image.size + (config.disk_floor_mb << 20) > free:
        raise ProblemError(
            "SOURCE-IMAGE-DISK", size=readable(image.size), free=readable(free), worker=config.worker_host
        )


# -- into staging --------------------------------------------------------------------------------------


def _push(context: StepContext, folder: Path, repository: str) -> str:
    """The digest under which the staging registry has the image, of the media type that SageMaker takes."""
    context.log.section("Push to staging")
    registry = staging()
    try:
        push_folder(
            folder, (registry, repository), TAG, workdir=context.workdir, stop=context.stop,
            say=lambda text: context.log.line(text, "slipway"), timeout=settings.SLIPWAY.fetch_timeout_seconds,
            limit=settings.SLIPWAY.image_max_bytes,
        )  # fmt: skip
    except CopyTooLarge as error:
        limit = readable(settings.SLIPWAY.image_max_bytes)
        raise ProblemError(
            "SOURCE-IMAGE-TOO-LARGE", size=f"more than {limit}, once packed with gzip,", limit=limit
        ) from error
    except CopyFailed as error:
        said = tuple(Evidence(line, "skopeo") for line in error.lines[-5:])
        code = "SOURCE-IMAGE-CONVERT" if _is_well(registry, repository) else "SOURCE-IMAGE-STAGE"
        detail = error.lines[-1] if error.lines else error
        raise ProblemError(code, evidence=said, detail=detail) from error
    try:
        with RegistryClient(registry) as client:
            found = client.manifest(repository, TAG)
    except RegistryError as error:
        raise ProblemError("SOURCE-IMAGE-STAGE", detail=error) from error
    if found.media_type != DOCKER_MANIFEST:
        raise ProblemError("SOURCE-IMAGE-CONVERT", detail=f"it was stored as {found.media_type}")
    return found.digest


def _is_well(registry: Registry, repository: str) -> bool:
    """Whether the staging registry takes a small blob: then it is the image that cannot be taken."""
    try:
        with RegistryClient(registry) as client:
            client.put_blob(repository, b"{}")
    except RegistryError:
        return False
    return True
