"""The AWS stand-in as a process of its own on a free port, before a real registry; and specs to register.

Load with ``from tests.aws_fixtures import aws, standin`` and ``from tests.registry_fixtures import registry``.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from listings.spec import VersionSpec, parse
from tests import programs
from tests.registry_fixtures import Registry
from workers.aws import s3, sessions
from workers.aws.sessions import Clients

V2S2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
REGION = "us-east-1"
SECONDS = 0.25

LISTING = """
listing:
  short_description: Trees.
  usage_instructions: Train it, then call it.
  sample_notebook_url: https://example.com/notebook.ipynb
  repository_url: https://example.com/repository
  release_notes: The first one.
  input: {description: Rows of numbers., sample: "1,2"}
  output: {description: One number per row., sample: "3"}
"""
INFERENCE = """
inference:
  SupportedTransformInstanceTypes: [ml.m5.large]
  SupportedRealtimeInferenceInstanceTypes: [ml.m5.large]
  SupportedContentTypes: [text/csv]
  SupportedResponseMIMETypes: [text/csv]
"""
INFERENCE_TEST = """
  inference:
    instance_type: ml.m5.large
    requests: [{name: one row, body: samples/row.csv, content_type: text/csv, accept: text/csv}]
"""
ALGORITHM = f"""
slipway: 1
kind: Algorithm
training:
  SupportedTrainingInstanceTypes: [ml.m5.large]
  SupportedHyperParameters: [{{Name: depth, Type: Integer, DefaultValue: "3"}}]
  TrainingChannels:
    - {{Name: train, IsRequired: true, SupportedContentTypes: [text/csv], SupportedInputModes: [File]}}
{INFERENCE}
tests:
  training:
    instance_type: ml.m5.large
    hyperparameters: {{depth: "4"}}
    channels: {{train: {{path: samples/train, content_type: text/csv}}}}
{INFERENCE_TEST}
{LISTING}
"""
MODEL_PACKAGE = f"""
slipway: 1
kind: ModelPackage
artifact: {{path: model.tar.gz}}
{INFERENCE}
tests:
{INFERENCE_TEST}
{LISTING}
"""


def spec_of(text: str = ALGORITHM) -> VersionSpec:
    return parse(text)


@dataclass
class Standin:
    """The running stand-in. ``account`` is a fresh one for each test, so that tests never meet."""

    url: str
    account: str = ""
    names: set[str] = field(default_factory=set)

    def fail(self, operation: str, name: str = "", **rule: Any) -> None:
        answer = requests.post(
            f"{self.url}/_standin/faults", json={"operation": operation, "name": name, **rule}, timeout=10
        )
        assert answer.ok, answer.text

    def calls(self, operation: str, name: str = "") -> int:
        rows = requests.get(f"{self.url}/_standin/calls", timeout=10).json()["calls"]
        return sum(row["count"] for row in rows if row["operation"] == operation and name in row["name"])


def start_standin(registry: Registry, folder: Path, *extra: str) -> tuple[subprocess.Popen[str], str]:
    """Start the real program; returns it and its address."""
    password = folder / "registry-password"
    password.write_text(registry.password)
    server = programs.start(
        [
            sys.executable,
            "-m",
            "workers.aws.standin",
            "--port",
            "0",
            "--registry",
            f"http://{registry.host}",
            "--registry-username",
            registry.username,
            "--registry-password-file",
            str(password),
            "--seconds",
            str(SECONDS),
            *extra,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    assert "http://" in line, "the stand-in did not start"
    return server, line.split()[-1]


@pytest.fixture(scope="session")
def standin_server(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server, url = start_standin(registry, tmp_path_factory.mktemp("standin"))
    yield url
    server.terminate()
    server.wait(timeout=20)
    assert server.stdout is not None
    server.stdout.close()


@pytest.fixture
def standin(standin_server: str) -> Iterator[Standin]:
    requests.delete(f"{standin_server}/_standin/faults", timeout=10)
    requests.delete(f"{standin_server}/_standin/calls", timeout=10)
    yield Standin(standin_server, account=f"{uuid.uuid4().int % 10**12:012d}")
    requests.delete(f"{standin_server}/_standin/faults", timeout=10)


@dataclass
class Aws:
    """One team's AWS: connected, with a bucket, able to be given images and objects."""

    standin: Standin
    registry: Registry
    team: Any
    clients: Clients

    def put_image(self, repository: str, media_type: str = V2S2) -> str:
        """Push a minimal image over the registry's own protocol. Returns its digest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "unique": repository}).encode()
        layer = repository.encode()
        document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self._blob(repository, config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self._blob(repository, layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        }
        body = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        answer = requests.put(
            f"http://{self.registry.host}/v2/{repository}/manifests/{digest}",
            data=body,
            auth=self.registry.auth,
            headers={"Content-Type": media_type},
            timeout=10,
        )
        assert answer.status_code == 201, answer.text
        return digest

    def _blob(self, repository: str, content: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        url = f"http://{self.registry.host}/v2/{repository}/blobs/uploads/"
        place = requests.post(url, auth=self.registry.auth, timeout=10).headers["Location"]
        place = place if place.startswith("http") else f"http://{self.registry.host}{place}"
        joint = "&" if "?" in place else "?"
        answer = requests.put(f"{place}{joint}digest={digest}", data=content, auth=self.registry.auth, timeout=10)
        assert answer.status_code == 201, answer.text
        return {"mediaType": media_type, "size": len(content), "digest": digest}

    def put_object(self, name: str, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        return s3.put_by_digest(
            self.clients, self.team.s3_bucket, "slipway", name, io.BytesIO(content), sha256=sha256, size=len(content)
        )

    def push_facts(self, *, media_type: str = V2S2) -> dict[str, Any]:
        """What the push step hands on, with everything really in place."""
        repository = f"acme/trees-{uuid.uuid4().hex[:8]}"
        uri = f"{self.team.aws_account_id}.dkr.ecr.{REGION}.amazonaws.com/{repository}"
        return {
            "repository_uri": uri,
            "digest": self.put_image(repository, media_type),
            "tag": "1.0.0-abc",
            "media_type": media_type,
            "image_uri": f"{uri}:1.0.0-abc",
            "artifact_uri": self.put_object("model.tar.gz", b"model"),
            "validation": {
                "training": {"train": self.put_object("train.csv", b"1,2\n")},
                "transform": self.put_object("row.csv", b"1,2\n"),
            },
        }


def connect_team(team: Any, standin: Standin) -> None:
    """Move a saved Team into an account of its own at the stand-in, with its bucket."""
    team.aws_account_id, team.s3_bucket = standin.account, f"bucket-{standin.account}"
    for name in ("aws_role_arn", "validation_role_arn", "access_role_arn"):
        setattr(team, name, f"arn:aws:iam::{standin.account}:role/slipway")
    team.save()
    _make_bucket(standin, team.aws_region, team.s3_bucket)


def _make_bucket(standin: Standin, region: str, name: str) -> None:
    bucket = {"account": standin.account, "region": region, "name": name}
    requests.post(f"{standin.url}/_standin/buckets", json=bucket, timeout=10).raise_for_status()


@pytest.fixture
def aws(standin: Standin, registry: Registry, settings: Any) -> Aws:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"aws_endpoint_url": standin.url, "aws_poll_seconds": 0.1})
    account = standin.account
    team = SimpleNamespace(
        aws_account_id=account,
        aws_region=REGION,
        aws_role_arn=f"arn:aws:iam::{account}:role/slipway",
        aws_external_id=uuid.uuid4(),
        s3_bucket=f"bucket-{account}",
        validation_role_arn=f"arn:aws:iam::{account}:role/validation",
        access_role_arn=f"arn:aws:iam::{account}:role/access",
    )
    _make_bucket(standin, REGION, team.s3_bucket)
    return Aws(standin, registry, team, sessions.session_for(team))
