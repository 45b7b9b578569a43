"""An image read from a registry by digest: its configuration, its layers, and the tree they make."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.images import facts
from workers.images.facts import LayerFacts
from workers.images.layer import read_layer
from workers.images.limits import DEFAULT_LIMITS, Limits
from workers.images.names import Names
from workers.images.streams import TooMuch
from workers.images.text import printable
from workers.images.tree import Tree, compose
from workers.registries.client import Manifest, RegistryClient, RegistryError, is_digest

CONFIG_LIMIT = 8 << 20
HISTORY_LINES, CREATED_BY_LIMIT = 1000, 20_000
#: Layers kept in the cache; the ones used least recently go first.
CACHE_FILES = 400
#: Rows of a list that are turned into text at once.
PIECE = 5000

_BUILD_ARGUMENTS = re.compile(r"^(?:RUN )?\|\d+ .*?/bin/sh -c ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The image's configuration, as the Docker image specification 1.2 names its parts."""

    architecture: str
    os: str
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)
    exposed_ports: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layer:
    """``created_by`` is the Dockerfile line (as far as the image tells) that made the layer."""

    facts: LayerFacts
    created_by: str = ""


@dataclass(frozen=True)
class Image:
    """``history``: every line that the configuration tells of, those that made no layer among them."""

    digest: str
    media_type: str
    config_digest: str
    config: ImageConfig
    layers: tuple[Layer, ...]
    history: tuple[str, ...] = ()

    @cached_property
    def tree(self) -> Tree:
        return compose(layer.facts for layer in self.layers)


def read_image(
    client: RegistryClient,
    repository: str,
    digest: str,
    *,
    cache: Path | None = None,
    check: Callable[[], None] = lambda: None,
    say: Callable[[str], object] = lambda _: None,
    limits: Limits = DEFAULT_LIMITS,
) -> Image:
    """Read manifest, configuration and every layer, each verified against its digest.

    ``cache`` is a directory for layer facts by digest. ``check`` is called often and may raise to stop;
    ``say`` is told of each layer that is fetched.
    Raises ProblemError.
    """
    try:
        manifest = client.manifest(repository, digest)
        body = _parse_manifest(manifest)
        config_digest = str(body["config"]["digest"])
        raw = json.loads(client.small_blob(repository, config_digest, CONFIG_LIMIT))
        digests = [str(layer["digest"]) for layer in body["layers"]]
        diff_ids = [str(diff_id) for diff_id in raw["rootfs"]["diff_ids"]]
        config, history, lines = parse_config(raw), layer_history(raw, len(digests)), whole_history(raw)
    except RegistryError as error:
        raise _registry_problem(error) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ProblemError("IMAGE-CONFIG", evidence=(Evidence(f"{type(error).__name__}: {error}"),)) from error
    _bounded(digests, diff_ids, limits)
    source = _Source(client, repository, cache, check, say, limits)
    found = _read_layers(source, digests)
    for layer, diff_id in zip(found, diff_ids, strict=True):
        if layer.diff_id != diff_id:
            raise ProblemError("IMAGE-LAYER-DIFF", layer=layer.digest, expected=diff_id, found=layer.diff_id)
    layers = tuple(Layer(layer, line) for layer, line in zip(found, history, strict=True))
    return Image(manifest.digest, manifest.media_type, config_digest, config, layers, lines)


def _parse_manifest(manifest: Manifest) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(manifest.body)
    if "layers" not in body or "config" not in body:
        raise ProblemError("IMAGE-MEDIA-TYPE", media_type=manifest.media_type)
    return body


def _bounded(digests: list[str], diff_ids: list[str], limits: Limits) -> None:
    if not all(is_digest(digest) for digest in digests) or len(digests) != len(diff_ids):
        raise ProblemError(
            "IMAGE-CONFIG",
            evidence=(Evidence(f"the manifest names {len(digests)} layers, the configuration {len(diff_ids)}"),),
        )
    if len(digests) > limits.layers:
        raise ProblemError("IMAGE-LAYER-LIMIT", layer="all layers", detail=f"more than {limits.layers} layers")


@dataclass(frozen=True, slots=True)
class _Source:
    client: RegistryClient
    repository: str
    cache: Path | None
    check: Callable[[], None]
    say: Callable[[str], object]
    limits: Limits


def _read_layers(source: _Source, digests: list[str]) -> list[LayerFacts]:
    known: dict[str, LayerFacts] = {}
    names, size = Names(source.limits), 0
    for number, digest in enumerate(digests, 1):
        source.check()
        if digest not in known:
            known[digest] = _layer_facts(source, digest, f"{number} of {len(digests)}")
        try:
            names.add_layer(known[digest])
        except TooMuch as error:
            raise ProblemError("IMAGE-LAYER-LIMIT", layer=digest, detail=error) from error
        size += known[digest].bytes
        if size > source.limits.bytes:
            detail = f"more than {source.limits.bytes} bytes in all"
            raise ProblemError("IMAGE-LAYER-LIMIT", layer=digest, detail=detail)
    return [known[digest] for digest in digests]


def _layer_facts(source: _Source, digest: str, which: str) -> LayerFacts:
    name = f"{facts.FORMAT}-{digest.removeprefix('sha256:')}.json.gz"
    kept = source.cache / name if source.cache else None
    if kept is not None and (found := _from_cache(kept, digest)) is not None:
        return found
    source.say(f"Reading layer {which}: {digest}")
    try:
        with source.client.blob(source.repository, digest) as blob:
            found = read_layer(blob, digest, source.limits, check=source.check)
    except RegistryError as error:
        raise _registry_problem(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise ProblemError("IMAGE-REGISTRY", detail=f"layer {digest}: {error}") from error
    if kept is not None:
        _to_cache(kept, found)
    return found


def _from_cache(kept: Path, digest: str) -> LayerFacts | None:
    try:
        with gzip.open(kept, "rt", encoding="utf-8") as file:
            found = LayerFacts.from_json(json.load(file))
        os.utime(kept)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None  # absent or damaged: read anew
    return found if found.digest == digest else None


def _to_cache(kept: Path, found: LayerFacts) -> None:
    """Written beside and renamed: another worker never reads half of it."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as spool,
        gzip.open(spool, "wt", 3, encoding="utf-8") as packed,
    ):
        packed.writelines(_json_pieces(found.as_json()))
    Path(spool.name).replace(kept)
    _forget_oldest(kept.parent)


def _json_pieces(data: dict[str, Any]) -> Iterator[str]:
    """The JSON text of ``data``, long lists in parts: that of a million entries is never held at once."""
    for number, (key, value) in enumerate(data.items()):
        yield f"{',' if number else '{'}{json.dumps(key)}:"
        if not isinstance(value, list):
            yield json.dumps(value, separators=(",", ":"))
            continue
        for start in range(0, len(value), PIECE):
            part = json.dumps(value[start : start + PIECE], separators=(",", ":"), ensure_ascii=False)
            yield f"{',' if start else '['}{part[1:-1]}"
        yield "]" if value else "[]"
    yield "}"


def _forget_oldest(cache: Path) -> None:
    ages: list[tuple[float, Path]] = []
    for path in cache.iterdir():
        with suppress(FileNotFoundError):  # another worker forgets as well
            ages.append((path.stat().st_mtime, path))
    for _, path in sorted(ages, reverse=True)[CACHE_FILES:]:
        path.unlink(missing_ok=True)


def _registry_problem(error: RegistryError) -> ProblemError:
    if error.status == 404:
        return ProblemError("IMAGE-GONE", detail=error)
    return ProblemError("IMAGE-REGISTRY", detail=error)


def parse_config(raw: dict[str, Any]) -> ImageConfig:
    """The parts of a configuration blob that the checks need. Raises what a wrong shape raises."""
    inner = raw.get("config") or {}
    pairs = (printable(str(item)).partition("=") for item in inner.get("Env") or ())
    return ImageConfig(
        architecture=printable(str(raw.get("architecture", ""))),
        os=printable(str(raw.get("os", ""))),
        entrypoint=_words(inner.get("Entrypoint")),
        cmd=_words(inner.get("Cmd")),
        env={name: value for name, _, value in pairs},
        user=printable(str(inner.get("User") or "")),
        working_dir=printable(str(inner.get("WorkingDir") or "/")),
        labels={printable(str(k)): printable(str(v)) for k, v in (inner.get("Labels") or {}).items()},
        exposed_ports=sorted(printable(str(port)) for port in inner.get("ExposedPorts") or {}),
    )


def _words(value: Any) -> list[str] | None:
    return [printable(str(word)) for word in value] if value else None


def layer_history(raw: dict[str, Any], layers: int) -> list[str]:
    """The Dockerfile line behind each layer; empty where the history does not fit the layers."""
    history = [item for item in raw.get("history") or () if not item.get("empty_layer")]
    if len(history) != layers:
        return [""] * layers
    return [instruction(printable(str(item.get("created_by") or item.get("comment") or ""))) for item in history]


def whole_history(raw: dict[str, Any]) -> tuple[str, ...]:
    """All lines, unwrapped, build arguments kept; enough of them for any image that engines can run."""
    items = list(raw.get("history") or ())[:HISTORY_LINES]
    return tuple(printable(str(item.get("created_by") or ""))[:CREATED_BY_LIMIT] for item in items)


def instruction(created_by: str) -> str:
    """``created_by`` as it may have stood in the Dockerfile. Both builders wrap it, each in its way."""
    text = created_by[:CREATED_BY_LIMIT].strip().removesuffix("# buildkit").strip()
    for shell in ("/bin/sh -c #(nop) ", "/bin/sh -c #(nop)"):
        if text.startswith(shell):
            return " ".join(text.removeprefix(shell).split())[:2000]
    # With build arguments: ``|2 A=b C=d /bin/sh -c make``.
    text = _BUILD_ARGUMENTS.sub("RUN ", text, count=1)
    if text.startswith("/bin/sh -c "):
        text = f"RUN {text.removeprefix('/bin/sh -c ')}"
    return " ".join(text.replace("RUN /bin/sh -c ", "RUN ", 1).split())[:2000]
