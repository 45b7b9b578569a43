"""Each bad source and bad container ends its own step with its own code; the corrected version gets through it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.bad_input import provokes
from tests.engine.conftest import engine
from tests.pipeline import DOCKERFILE, GOOD, SPEC, Pipeline, assert_ended, assert_succeeded, packed, pipeline, zipped
from tests.registry_fixtures import Registry, registry

__all__ = ["engine", "pipeline", "registry"]

pytestmark = pytest.mark.timeout(240)

BASE = "FROM slipway.local/busybox:1\n"
SERVING = GOOD | {
    "Dockerfile": "FROM slipway.local/python:3.11-bookworm\nCOPY train serve /usr/local/bin/\n",
    "slipway.yaml": SPEC.replace(
        "tests:\n",
        "inference:\n"
        "  SupportedContentTypes: [text/csv]\n"
        "  SupportedResponseMIMETypes: [text/csv]\n"
        "  SupportedRealtimeInferenceInstanceTypes: [ml.m5.large]\n"
        "  SupportedTransformInstanceTypes: [ml.m5.large]\n"
        "tests:\n"
        "  inference:\n"
        "    instance_type: ml.m5.large\n"
        "    requests: [{name: one, body: train.csv, content_type: text/csv, accept: text/csv}]\n",
    ),
    "serve": """\
#!/usr/bin/python3
import http.server, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply(b"")
    def do_POST(self):
        if self.headers["Content-Type"] != "text/csv":
            return self.send_error(415)
        self.reply(self.rfile.read(int(self.headers["Content-Length"])))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
""",
}


def link_out() -> bytes:
    buffer = io.BytesIO(packed(GOOD))
    out = io.BytesIO()
    with tarfile.open(fileobj=buffer) as good, tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member in good:
            archive.addfile(member, good.extractfile(member))
        link = tarfile.TarInfo("shadow")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        archive.addfile(link)
    return out.getvalue()


def script(*lines: str) -> str:
    return "\n".join(("#!/bin/sh", *lines)) + "\n"


@dataclass(frozen=True)
class Bad:
    """``source`` ends ``step`` with ``code`` under ``settings``; ``corrected`` gets through it under the same."""

    step: str
    code: str
    source: bytes
    settings: Mapping[str, Any] = field(default_factory=dict)
    corrected: Mapping[str, str] = field(default_factory=lambda: GOOD)
    name: str = "context.tar.gz"


def training(code: str, *lines: str, **settings: Any) -> Bad:
    return Bad("test", code, packed(GOOD | {"train": script(*lines)}), settings)


def building(code: str, line: str, **settings: Any) -> Bad:
    return Bad("build", code, packed(GOOD | {"Dockerfile": f"{BASE}RUN {line}\nCOPY train /bin/train\n"}), settings)


BOMB = "printf 'while :; do sh /bomb & sh /bomb & sleep 1; done\\n' > /bomb; sh /bomb; sleep 20; exit 1"
WITH_ESCAPE = {"../../etc/cron.d/x": "* * * * * root id\n"}
CASES = {
    "not an archive": Bad("fetch", "SOURCE-NOT-ARCHIVE", b"%PDF-1.7 no archive at all", name="thesis.pdf"),
    "path traversal": Bad("fetch", "SOURCE-PATH-ESCAPE", packed(GOOD | WITH_ESCAPE)),
    "symlink escape": Bad("fetch", "SOURCE-LINK-ESCAPE", link_out()),
    "archive bomb": Bad("fetch", "SOURCE-BOMB", zipped({**GOOD, "zeros": bytes(300 << 20)}), name="bomb.zip"),
    "missing Dockerfile": Bad(
        "build", "BUILD-NO-DOCKERFILE", packed({name: text for name, text in GOOD.items() if name != "Dockerfile"})
    ),
    "invalid slipway.yaml": Bad("fetch", "SPEC-CHOICE", packed(GOOD | {"slipway.yaml": SPEC.replace("File", "Film")})),
    "build failure": building("BUILD-FAILED", "echo about to fail && exit 7"),
    "build that forks": building("BUILD-PROCESSES", BOMB, build_pids=96),
    "build that eats memory": building(
        "BUILD-MEMORY", "dd if=/dev/zero of=/dev/null bs=256M count=1", build_memory_mb=96
    ),
    "no train program": Bad("inspect", "IMAGE-TRAIN", packed(GOOD | {"Dockerfile": BASE + "COPY train.csv /\n"})),
    "container that exits": training("TEST-TRAIN-EXIT", "echo the label column is missing >&2", "exit 3"),
    "never answers /ping": Bad(
        "test", "TEST-SERVE-PING", packed(SERVING | {"serve": script("exec sleep 600")}),
        {"ping_deadline_seconds": 5.0}, SERVING,
    ),
    "prints forever": Bad(
        "test", "TEST-TRAIN-TIMEOUT",
        packed(GOOD | {"train": script("yes over and over"), "slipway.yaml": SPEC + "    timeout_seconds: 10\n"}),
    ),
    "container that forks": training(
        "TEST-PROCESSES", "(while :; do sleep 60 & done)", "sleep 60 &", "exec sleep 5", test_pids=64
    ),
    "container that eats memory": training("TEST-MEMORY", "dd if=/dev/zero of=/dev/null bs=512M count=1"),
    "container that fills the disk": training(
        "TEST-DISK", "dd if=/dev/zero of=/opt/ml/model/big bs=1M count=600", "sleep 30", test_disk_mb=256
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance type that is as small as the host's share, so that eating memory is the container's own fault."""
    monkeypatch.setattr("workers.sandbox.resources.profile.instance_sizes", lambda: {"ml.m5.large": (2.0, 0.25)})


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=provokes(bad.code, case), id=case) for case, bad in CASES.items()]
)
def test_a_bad_source_ends_its_step_and_the_corrected_one_gets_through(case: str, pipeline: Pipeline) -> None:
    bad = CASES[case]
    pipeline.configure(**bad.settings)
    run = pipeline.drive(pipeline.submit(bad.source, bad.name))
    attempt = assert_ended(run, bad.step, bad.code)
    assert run.version.source.blob.size == len(bad.source)
    if case == "invalid slipway.yaml":
        assert attempt.problem_params["line"] == "6"
    corrected = pipeline.drive(pipeline.submit(packed(bad.corrected)), bad.step)
    assert_succeeded(corrected, bad.step)


@provokes("BUILD-FROM-STAGING", "another team's staged image in FROM")
def test_another_teams_staged_image_is_no_base(pipeline: Pipeline, registry: Registry) -> None:
    stolen = DOCKERFILE.replace("slipway.local/busybox:1", f"{registry.host}/staging/0123456789abcdef")
    run = pipeline.drive(pipeline.submit(packed(GOOD | {"Dockerfile": stolen})))
    assert_ended(run, "build", "BUILD-FROM-STAGING")
    assert_succeeded(pipeline.drive(pipeline.submit(packed(GOOD)), "build"), "build")
