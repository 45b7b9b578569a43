"""A build step to run on the real engine: sources from text, settings of a test's own, nothing left behind."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from pydantic import SecretStr

from listings import blobs
from listings.problems import ProblemError
from listings.reports import StepReport
from tests.engine.context import MemoryLog, make_context
from tests.registry_fixtures import Registry
from workers.engine import Engine
from workers.steps import build
from workers.steps.contract import StepContext, Stop

BASE = "slipway.local/busybox:1"
_LAYER = re.compile(r"---> ([0-9a-f]{12})")


def source_archive(files: Mapping[str, str]) -> bytes:
    """A normalised source archive, as the fetch step leaves it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class BuildBench:
    """Runs build steps and remembers their images, so that they go after the test."""

    engine: Engine
    instance: str
    registry: Registry
    workdir: Path
    settings: Any
    logs: list[MemoryLog] = field(default_factory=list)

    def configure(self, **values: Any) -> None:
        self.settings.SLIPWAY = self.settings.SLIPWAY.model_copy(update=values)

    def context(self, files: Mapping[str, str], stop: Stop | None = None, **spec: Any) -> tuple[StepContext, MemoryLog]:
        sha256 = blobs.store(source_archive(files)).sha256
        facts = {"fetch": {"archive_sha256": sha256, "spec": {"build": spec}}}
        context, log = make_context(self.workdir, facts, self.instance, stop)
        self.logs.append(log)
        return context, log

    def run(self, dockerfile: str, **spec: Any) -> tuple[StepReport, MemoryLog]:
        context, log = self.context({"Dockerfile": dockerfile}, **spec)
        return build.execute(context), log

    def fail(self, dockerfile: str, **spec: Any) -> tuple[ProblemError, MemoryLog]:
        context, log = self.context({"Dockerfile": dockerfile}, **spec)
        with pytest.raises(ProblemError) as caught:
            build.execute(context)
        return caught.value, log

    def staged_names(self) -> list[str]:
        """Names that the engine still has for images of this test's registry."""
        images = self.engine.api.images()
        names = [n for i in images for n in [*(i.get("RepoTags") or ()), *(i.get("RepoDigests") or ())]]
        return [name for name in names if name.startswith(f"{self.registry.host}/staging/")]


@pytest.fixture
def bench(
    db: None, engine: Engine, instance: str, registry: Registry, tmp_path: Path, settings: Any
) -> Iterator[BuildBench]:
    bench = BuildBench(engine, instance, registry, tmp_path / "work", settings)
    bench.configure(
        staging_registry_engine=registry.host,
        staging_registry_worker=registry.host,
        staging_username=registry.username,
        staging_password=SecretStr(registry.password),
        build_memory_mb=512,
        build_pids=128,
        build_cpus=1.0,
    )
    yield bench
    engine.remove(engine.owned(instance))
    _remove_cache(engine, bench.logs)


def _remove_cache(engine: Engine, logs: list[MemoryLog]) -> None:
    """Remove the layers that these builds made, by their own logs; images with a name are others' or the base."""
    ids = [match[1] for log in logs for _, _, line in log.lines if (match := _LAYER.fullmatch(line))]
    for image in reversed(list(dict.fromkeys(ids))):
        with suppress(APIError):  # gone, or another's layers stand on it
            if not engine.api.inspect_image(image)["RepoTags"]:
                engine.api.remove_image(image)
