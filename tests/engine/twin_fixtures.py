"""Fixtures of the isolated test's own tests: tiny images in a real staging registry, and a step run on them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pydantic import SecretStr

from listings import blobs
from listings.reports import CheckReport, StepReport
from tests.engine.context import MemoryLog, make_context
from tests.registry_fixtures import Registry
from workers.engine import Engine
from workers.steps import test as test_step
from workers.steps.contract import Stop

IMAGES = Path(__file__).parent.parent / "images"
SAMPLES = Path(settings.BASE_DIR) / "samples"
Staged = Callable[[str], tuple[str, str]]

TRAINING = {
    "SupportedHyperParameters": [
        {"Name": "epochs", "Type": "Integer", "DefaultValue": "2"},
        {"Name": "mode", "Type": "FreeText"},
    ],
    "SupportedTrainingInstanceTypes": ["ml.m5.large"],
    "TrainingChannels": [
        {"Name": "train", "SupportedContentTypes": ["text/csv"], "SupportedInputModes": ["File"]},
    ],
}
INFERENCE = {
    "SupportedTransformInstanceTypes": ["ml.m5.large"],
    "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture(scope="session")
def staged(engine: Engine, registry: Registry) -> Staged:
    """Build tests/images/<name>, a sample or a folder by its whole path, push it to the staging registry, forget it
    here: (repository, digest)."""
    done: dict[str, tuple[str, str]] = {}

    def stage(name: str) -> tuple[str, str]:
        if name not in done:
            repository = f"staging/{Path(name).name}"
            reference = f"{registry.host}/{repository}"
            folder = next(place / name for place in (IMAGES, SAMPLES) if (place / name).is_dir())
            engine.client.images.build(path=str(folder), tag=reference, rm=True, forcerm=True)
            credentials = {"username": registry.username, "password": registry.password}
            events = engine.api.push(reference, stream=True, decode=True, auth_config=credentials)
            digest = next(event["aux"]["Digest"] for event in events if "aux" in event)
            engine.remove_image(f"{reference}:latest")
            done[name] = (repository, digest)
        return done[name]

    return stage


@dataclass
class Ran:
    report: StepReport
    log: MemoryLog

    @property
    def code(self) -> str:
        return self.report.problem.code if self.report.problem else ""

    def check(self, code: str) -> CheckReport:
        return next(check for check in self.report.checks if check.code == code)

    def outcomes(self) -> dict[str, str]:
        return {check.code: check.outcome.value for check in self.report.checks}


class Twin:
    """Runs the test step on a staged image and asserts that nothing is left in the engine after it."""

    def __init__(self, engine: Engine, instance: str, staged: Staged, folder: Path) -> None:
        self.engine, self.instance, self.staged, self.folder = engine, instance, staged, folder

    def run(
        self, image: str, spec: Mapping[str, Any], files: Mapping[str, bytes] | None = None,
        artifact: bytes | None = None, stop: Stop | None = None, more: Mapping[str, Any] | None = None,
    ) -> Ran:  # fmt: skip
        """``more``: further facts of fetch."""
        repository, digest = self.staged(image)
        source = blobs.store(tar_of(files or {"samples/train.csv": b"1\n2\n3\n"}))
        facts = {
            "fetch": {
                "spec": {"slipway": 1, **spec},
                "archive_sha256": source.sha256,
                "artifact_sha256": blobs.store(artifact).sha256 if artifact is not None else None,
                **(more or {}),
            },
            "build": {"staging_repository": repository, "digest": digest},
        }
        context, log = make_context(self.folder / "work", facts, self.instance, stop)
        try:
            return Ran(test_step.execute(context), log)
        finally:
            assert self.engine.owned(self.instance) == []
            assert not self.engine.has_image(f"{settings.SLIPWAY.staging_registry_engine}/{repository}@{digest}")

    def train(self, image: str, test: Mapping[str, Any], **options: Any) -> Ran:
        """Training alone."""
        channels = {"train": {"path": "samples/train.csv"}}
        tests = {"training": {"instance_type": "ml.m5.large", "channels": channels, **test}}
        return self.run(image, {"kind": "Algorithm", "training": TRAINING, "tests": tests}, **options)

    def serve(self, image: str, mode: str, **options: Any) -> Ran:
        """Serving alone, one request sample that expects its own body back."""
        sample = {
            "name": "echo", "body": "samples/train.csv", "content_type": "text/csv",
            "expect": {"file": "samples/train.csv"},
        }  # fmt: skip
        tests = {"inference": {"instance_type": "ml.m5.large", "environment": {"MODE": mode}, "requests": [sample]}}
        return self.run(image, {"kind": "ModelPackage", "inference": INFERENCE, "tests": tests}, **options)


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change settings of Slipway for one test."""

    def change(**values: Any) -> None:
        monkeypatch.setattr(settings, "SLIPWAY", settings.SLIPWAY.model_copy(update=values))

    return change


@pytest.fixture
def twin(
    engine: Engine, instance: str, staged: Staged, registry: Registry, tmp_path: Path, settings: Any,
    configure: Callable[..., None], db: None,
) -> Twin:  # fmt: skip
    settings.MEDIA_ROOT = str(tmp_path / "media")
    configure(
        staging_registry_engine=registry.host, staging_username=registry.username,
        staging_password=SecretStr(registry.password), test_disk_mb=256, test_inodes=5000, test_pids=64,
        ping_deadline_seconds=8.0, holder_base_image="slipway.local/python:3.11-bookworm",
    )  # fmt: skip
    return Twin(engine, instance, staged, tmp_path)


def tar_of(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
