"""Images for the unit tests of inspect's checks: read as any other, but from memory."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from typing import Any

from listings.reports import CheckOutcome, CheckReport
from tests.images_by_hand import digest_of, tar
from workers.images import DEFAULT_LIMITS, Image, Layer, LayerFacts, Limits
from workers.images.checks import check_image
from workers.images.layer import read_layer
from workers.images.reader import parse_config
from workers.registries import DOCKER_MANIFEST

PASS, WARN, FAIL, SKIP = CheckOutcome.PASS, CheckOutcome.WARN, CheckOutcome.FAIL, CheckOutcome.SKIP
Item = tuple[tarfile.TarInfo, bytes]


def layer_of(items: Sequence[Item], limits: Limits = DEFAULT_LIMITS) -> LayerFacts:
    blob = gzip.compress(tar(items))
    return read_layer(io.BytesIO(blob), digest_of(blob), limits, check=lambda: None)


def image(
    *items: Item, architecture: str = "amd64", media_type: str = DOCKER_MANIFEST, history: Sequence[str] = (),
    **config: Any,
) -> Image:  # fmt: skip
    """One layer, made by ``COPY . /``; ``config`` is the inner configuration."""
    return layered([items], ["COPY . /"], architecture=architecture, media_type=media_type, history=history, **config)


def layered(
    layers: Sequence[Sequence[Item]], lines: Sequence[str], *, architecture: str = "amd64",
    media_type: str = DOCKER_MANIFEST, history: Sequence[str] = (), **config: Any,
) -> Image:  # fmt: skip
    parsed = parse_config({"architecture": architecture, "os": "linux", "config": config})
    made = tuple(Layer(layer_of(items), line) for items, line in zip(layers, lines, strict=True))
    return Image("sha256:m", media_type, "sha256:c", parsed, made, tuple(history or lines))


def checks(made: Image, *, train: bool = True, serve: bool = False, **more: Any) -> dict[str, CheckReport]:
    return {check.code: check for check in check_image(made, train=train, serve=serve, **more)}


def outcome(made: Image, code: str, **wanted: bool) -> CheckOutcome:
    return checks(made, **wanted)[code].outcome


def complaints(made: Image, **more: Any) -> list[str]:
    """The codes that warn or fail."""
    return [code for code, check in checks(made, **more).items() if check.outcome in (WARN, FAIL)]
