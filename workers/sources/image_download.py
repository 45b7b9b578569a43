"""Downloading an image into a folder, part by part, each held against its size and digest; broken downloads go on."""

from __future__ import annotations

import errno
import hashlib
import time
from pathlib import Path
from typing import IO

import urllib3
from django.conf import settings

from listings.problems import ProblemError
from workers import spans
from workers.images.reader import CONFIG_LIMIT
from workers.registries import RegistryError
from workers.registries.outside import OutsideClient
from workers.sources.image_manifest import Descriptor, ImageManifest, require_amd64
from workers.sources.image_problems import Asked
from workers.sources.members import readable
from workers.steps.contract import StepContext

CHUNK, TRIES = 1 << 20, 4
#: Seconds between two lines about a layer that takes long.
TELL_EVERY = 5.0


class Download:
    """``folder`` becomes skopeo's ``dir`` layout, but for the manifest: a file per part, named by its digest."""

    def __init__(self, client: OutsideClient, asked: Asked, context: StepContext, folder: Path) -> None:
        self._client, self._asked, self._context, self._folder = client, asked, context, folder
        self._repository = asked.reference.repository

    def run(self, image: ImageManifest) -> None:
        """Raises ProblemError, RegistryError, StepStopped."""
        self._folder.mkdir()
        try:
            (self._folder / "version").write_text("Directory Transport Version: 1.1\n")
            self._configuration(image)
            for number, layer in enumerate(image.layers, 1):
                with spans.span("registry"):
                    self._layer(layer, f"Layer {number} of {len(image.layers)}")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ProblemError(
                "SOURCE-IMAGE-DISK", size=readable(image.size), free="nothing", worker=settings.SLIPWAY.worker_host
            ) from error

    def _configuration(self, image: ImageManifest) -> None:
        content = self._client.small_blob(self._repository, image.config.digest, CONFIG_LIMIT)
        require_amd64(content, str(self._asked.reference))
        self._file(image.config).write_bytes(content)

    def _file(self, part: Descriptor) -> Path:
        return self._folder / part.digest.removeprefix("sha256:")

    def _layer(self, layer: Descriptor, title: str) -> None:
        path = self._file(layer)
        if path.exists():  # the same layer twice in one image
            return
        self._context.log.line(f"{title}: {readable(layer.size)}, {layer.digest}", "slipway")
        with path.with_suffix(".part").open("wb") as file:
            sink = _Sink(file)
            for turn in range(1, TRIES + 1):
                try:
                    self._read_on(layer, sink, title)
                    break
                except RegistryError as error:
                    if turn == TRIES or 0 < error.status < 500:
                        raise
                    self._context.log.line(f"{title}: {error}; going on at {readable(sink.size)}", "slipway")
                    self._context.stop.sleep(turn)
        if sink.digest != layer.digest:
            detail = f"its bytes have the digest {sink.digest}"
            raise self._asked.problem("BROKEN", what=f"the layer {layer.digest}", detail=detail)
        path.with_suffix(".part").rename(path)

    def _read_on(self, layer: Descriptor, sink: _Sink, title: str) -> None:
        """Read from where the file ends. Raises RegistryError if the connection ends too early."""
        source, continued = self._client.open_blob(self._repository, layer.digest, sink.size)
        try:
            if sink.size and not continued:
                sink.restart()
            told = time.monotonic()
            while chunk := _chunk(source):
                self._context.stop.check()
                sink.write(chunk)
                if sink.size > layer.size:
                    detail = f"it is longer than {layer.size} bytes"
                    raise self._asked.problem("BROKEN", what=f"the layer {layer.digest}", detail=detail)
                if time.monotonic() - told > TELL_EVERY:
                    told = time.monotonic()
                    self._context.log.line(f"{title}: {readable(sink.size)} of {readable(layer.size)}", "slipway")
        finally:
            source.close()
        if sink.size < layer.size:
            raise RegistryError(0, f"the connection ended after {sink.size} of {layer.size} bytes")


class _Sink:
    """A file that knows the digest of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash, self.size = file, hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash, self.size = hashlib.sha256(), 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _chunk(source: IO[bytes]) -> bytes:
    try:
        return source.read(CHUNK)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise RegistryError(0, f"the connection broke off: {error}"[:300]) from error
