"""The image's own VOLUMEs. The engine would make nameless ones, whose content no budget counts."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from docker.errors import ImageNotFound
from docker.types import Mount

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.engine import Engine
from workers.sandbox.staged import StagedImage

MAX_VOLUMES = 16
ML = "/opt/ml"
#: Where the holder sees them, except those below /opt/ml, which it has in the same place.
HOLDER_ROOT = "/volumes"


@dataclass(frozen=True, slots=True)
class ImageVolume:
    """``path``: as the image declares it; ``seen``: where the holder has it."""

    name: str
    path: str
    seen: str

    def for_subject(self) -> Mount:
        # Empty at first, so the engine copies what the image has there, as into a nameless one.
        return Mount(target=self.path, source=self.name, type="volume", no_copy=_below_ml(self.path))

    def for_holder(self) -> Mount:
        return Mount(target=self.seen, source=self.name, type="volume", no_copy=True)


def declared(engine: Engine, image: StagedImage, prefix: str, own: str) -> tuple[ImageVolume, ...]:
    """The volumes to make for ``image``; the one at ``own`` is the test's. Raises ProblemError TEST-VOLUMES."""
    try:
        found = engine.api.inspect_image(image.name)
    except ImageNotFound:
        image.pull()  # another test of the same digest has just ended
        found = engine.api.inspect_image(image.name)
    config = found.get("Config") or {}
    paths = sorted({posixpath.normpath(posixpath.join("/", path)) for path in config.get("Volumes") or {}} - {own})
    if len(paths) > MAX_VOLUMES:
        evidence = (Evidence(", ".join(paths[:MAX_VOLUMES]), label="VOLUME"),)
        raise ProblemError("TEST-VOLUMES", count=len(paths), limit=MAX_VOLUMES, evidence=evidence)
    return tuple(
        ImageVolume(f"{prefix}-v{number}", path, path if _below_ml(path) else f"{HOLDER_ROOT}/{number}")
        for number, path in enumerate(paths)
    )


def _below_ml(path: str) -> bool:
    return path == ML or path.startswith(f"{ML}/")
