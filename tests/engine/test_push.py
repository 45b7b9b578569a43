"""Push: from the staging registry to the stand-in's ECR (a real registry behind it), and the inputs to its S3."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from listings import blobs
from listings.problems import ProblemError
from tests.aws_fixtures import (  # noqa: F401  some are fixtures
    ALGORITHM,
    MODEL_PACKAGE,
    Aws,
    aws,
    spec_of,
    standin,
    standin_server,
)
from tests.engine.context import MemoryLog, make_context
from tests.engine.registry_steps import named, use_as_staging
from tests.images_by_hand import HandMade, program, tar
from tests.registry_fixtures import Registry as RegistryServer
from workers.registries import DOCKER_MANIFEST, RegistryClient
from workers.steps import push
from workers.steps.contract import StepContext, StepStopped, Stop, StopReason

pytestmark = pytest.mark.django_db

SOURCE = {
    "samples/train/a.csv": b"1,2\n", "samples/train/deep/b.csv": b"3,4\n", "samples/row.csv": b"5\n",
    "samples/bad.csv": b"?\n", "samples/row.json": b"{}",
    "samples/row2.csv": b"6\n", "samples/row3.csv": b"7\n", "Dockerfile": b"FROM scratch\n",
}  # fmt: skip


MANY_REQUESTS = """requests:
      - {name: bad, body: samples/bad.csv, content_type: text/csv, expect: {status: 400}}
      - {name: good, body: samples/row.csv, content_type: text/csv}
      - {name: other type, body: samples/row.json, content_type: application/json}
      - {name: again, body: samples/row2.csv, content_type: text/csv}
      - {name: other answer, body: samples/row3.csv, content_type: text/csv, accept: application/json}
"""
SINGLE = "requests: [{name: one row, body: samples/row.csv, content_type: text/csv, accept: text/csv}]"


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Pusher:
    def __init__(self, connected: Aws, registry: RegistryServer, folder: Path) -> None:
        self.aws, self.folder = connected, folder
        self.client = RegistryClient(named(registry))
        self.staging = f"staging/{uuid.uuid4().hex}"
        self.slug = f"trees-{uuid.uuid4().hex[:8]}"
        self.digest = HandMade([tar([program("bin/train", uuid.uuid4().bytes)])]).push(self.client, self.staging)
        self.spec = ALGORITHM
        self.number = "1.0.0"
        self.artifact: bytes | None = None
        self.pipeline: dict[str, bytes] = {}
        self.log = MemoryLog()

    def context(self, stop: Stop | None = None) -> StepContext:
        source = blobs.store(archive(SOURCE))
        fetch: dict[str, Any] = {
            "archive_sha256": source.sha256, "spec": spec_of(self.spec).as_json(),
            "artifact_sha256": None, "artifact_bytes": None, "artifacts": {},
        }  # fmt: skip
        for name, content in self.pipeline.items():
            kept = blobs.store(content)
            fetch["artifacts"][name] = {"sha256": kept.sha256, "bytes": kept.size}
        if self.artifact is not None:
            kept = blobs.store(self.artifact)
            fetch |= {"artifact_sha256": kept.sha256, "artifact_bytes": kept.size}
        build = {"staging_repository": self.staging, "digest": self.digest}
        made, self.log = make_context(self.folder / uuid.uuid4().hex, {"fetch": fetch, "build": build}, "none", stop)
        team = SimpleNamespace(**vars(self.aws.team) | {"ecr_prefix": "acme"})
        listing = SimpleNamespace(team=team, slug=self.slug)
        made.version = SimpleNamespace(listing=listing, number=self.number)  # type: ignore[assignment]
        return made

    def run(self, stop: Stop | None = None) -> dict[str, Any]:
        report = push.execute(self.context(stop))
        assert report.problem is None
        return json.loads(json.dumps(report.facts))  # type: ignore[no-any-return]

    def objects(self, uri: str) -> dict[str, bytes]:
        parts = urlsplit(uri)
        prefix = parts.path.lstrip("/")
        s3 = self.aws.clients.client("s3")
        listed = s3.list_objects_v2(Bucket=parts.netloc, Prefix=prefix).get("Contents", [])
        return {
            item["Key"].removeprefix(prefix): s3.get_object(Bucket=parts.netloc, Key=item["Key"])["Body"].read()
            for item in listed
        }


@pytest.fixture
def pusher(aws: Aws, registry: RegistryServer, settings: Any, tmp_path: Path) -> Pusher:  # noqa: F811
    use_as_staging(settings, registry, tmp_path / "data")
    return Pusher(aws, registry, tmp_path)


class TestImage:
    def test_digest_in_the_teams_registry_is_the_digest_tested(self, pusher: Pusher) -> None:
        facts = pusher.run()
        tag = f"1.0.0-{pusher.digest[7:19]}"
        assert (facts["digest"], facts["tag"], facts["media_type"]) == (pusher.digest, tag, DOCKER_MANIFEST)
        account = pusher.aws.team.aws_account_id
        assert facts["repository_uri"] == f"{account}.dkr.ecr.us-east-1.amazonaws.com/acme/{pusher.slug}"
        assert facts["image_uri"] == f"{facts['repository_uri']}@{pusher.digest}"
        there = pusher.client.manifest(f"acme/{pusher.slug}", tag)
        assert there.body == pusher.client.manifest(pusher.staging, pusher.digest).body

    def test_second_push_sends_nothing_and_says_the_same(self, pusher: Pusher) -> None:
        first = pusher.run()
        assert pusher.run() == first
        assert "Already there" in pusher.log.text()
        assert "Copying" not in pusher.log.text()

    def test_taken_tag_is_a_problem_and_stays(self, pusher: Pusher) -> None:
        tag = push.tag_name("1.0.0", pusher.digest)
        other = HandMade([tar([program("bin/other")])]).push(pusher.client, f"acme/{pusher.slug}", tag)
        with pytest.raises(ProblemError) as caught:
            pusher.run()
        assert caught.value.code == "PUSH-TAG-TAKEN"
        assert caught.value.report.params["found"] == other
        assert pusher.client.find(f"acme/{pusher.slug}", tag) == other

    def test_staged_image_that_is_gone_is_told_apart(self, pusher: Pusher) -> None:
        pusher.client.delete_manifest(pusher.staging, pusher.digest)
        with pytest.raises(ProblemError) as caught:
            pusher.run()
        assert caught.value.code == "IMAGE-GONE"

    def test_stop_before_the_copy_sends_nothing(self, pusher: Pusher) -> None:
        stop = Stop()
        stop.set(StopReason.CANCELLED)
        with pytest.raises(StepStopped):
            pusher.run(stop)
        assert pusher.client.find(f"acme/{pusher.slug}", push.tag_name("1.0.0", pusher.digest)) is None

    def test_no_password_in_the_log_or_left_on_disk(self, pusher: Pusher, registry: RegistryServer) -> None:
        context = pusher.context()
        push.execute(context)
        assert registry.password not in pusher.log.text()
        assert list(context.workdir.rglob("*.json")) == []

    @pytest.mark.parametrize(("field", "shown"), [("s3_bucket", "S3 bucket"), ("aws_role_arn", "role ARN")])
    def test_team_that_is_not_connected_is_told_what_is_missing(self, pusher: Pusher, field: str, shown: str) -> None:
        setattr(pusher.aws.team, field, "")
        with pytest.raises(ProblemError) as caught:
            pusher.run()
        assert caught.value.code == "AWS-NOT-CONNECTED"
        assert shown in caught.value.report.params["missing"]


class TestInputs:
    def test_channel_holds_exactly_its_files(self, pusher: Pusher) -> None:
        uri = pusher.run()["validation"]["training"]["train"]
        assert uri.endswith("/")
        assert pusher.objects(uri) == {"a.csv": b"1,2\n", "deep/b.csv": b"3,4\n"}

    def test_transform_gets_only_samples_that_are_answered_well_and_of_one_type(self, pusher: Pusher) -> None:
        assert SINGLE in ALGORITHM
        pusher.spec = ALGORITHM.replace(SINGLE, MANY_REQUESTS)
        for name in ("SupportedContentTypes", "SupportedResponseMIMETypes"):
            pusher.spec = pusher.spec.replace(f"  {name}: [text/csv]", f"  {name}: [text/csv, application/json]")
        objects = pusher.objects(pusher.run()["validation"]["transform"])
        assert objects == {"01-row.csv": b"5\n", "02-row2.csv": b"6\n"}

    def test_algorithm_sends_no_artifact(self, pusher: Pusher) -> None:
        pusher.artifact = b"trained here"
        assert pusher.run()["artifact_uri"] is None

    def test_model_packages_artifact_lies_under_its_digest(self, pusher: Pusher) -> None:
        pusher.spec, pusher.artifact = MODEL_PACKAGE, b"a model"
        facts = pusher.run()
        assert facts["artifact_uri"].endswith("/model.tar.gz")
        assert pusher.objects(facts["artifact_uri"]) == {"": b"a model"}
        assert facts["validation"]["training"] == {}

    def test_each_archive_of_a_pipeline_lies_under_its_digest(self, pusher: Pusher) -> None:
        pusher.spec, pusher.pipeline = MODEL_PACKAGE, {"features": b"one", "model": b"two"}
        facts = pusher.run()
        found = {name: pusher.objects(uri)[""] for name, uri in facts["artifact_uris"].items()}
        assert (found, facts["artifact_uri"]) == ({"features": b"one", "model": b"two"}, None)

    def test_nothing_is_uploaded_twice(self, pusher: Pusher) -> None:
        pusher.run()
        before = uploads(pusher)
        assert before == 3
        pusher.run()
        assert uploads(pusher) == before

    def test_sample_that_is_not_in_the_source_is_named(self, pusher: Pusher) -> None:
        pusher.spec = ALGORITHM.replace("samples/train", "samples/nothing")
        with pytest.raises(ProblemError) as caught:
            pusher.run()
        assert caught.value.code == "PUSH-SAMPLE-MISSING"
        assert caught.value.report.params["path"] == "samples/nothing"

    def test_source_lost_from_storage_is_ours(self, pusher: Pusher) -> None:
        context = pusher.context()
        context.facts["fetch"]["archive_sha256"] = "0" * 64  # type: ignore[index]
        with pytest.raises(ProblemError) as caught:
            push.execute(context)
        assert caught.value.code == "PUSH-STORAGE"


def uploads(pusher: Pusher) -> int:
    rows = requests.get(f"{pusher.aws.standin.url}/_standin/calls", timeout=10).json()["calls"]
    return sum(row["count"] for row in rows if row["operation"] in ("PutObject", "CreateMultipartUpload"))


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("1.2.3", "1.2.3-abcdefabcdef"),
        ("1.2.3+build.7", "1.2.3_build.7-abcdefabcdef"),
        ("1.0.0-main.4", "1.0.0-main.4-abcdefabcdef"),
    ],
)
def test_tag_is_version_and_digest(version: str, tag: str) -> None:
    assert push.tag_name(version, "sha256:" + "abcdef" * 10 + "abcd") == tag


@pytest.mark.parametrize(
    ("prefix", "slug", "name"),
    [
        ("acme", "trees", "acme/trees"),
        ("/acme/ml/", "trees", "acme/ml/trees"),
        ("Acme", "trees", "acme/trees"),
    ],
)
def test_repository_is_the_listings_below_the_teams_prefix(prefix: str, slug: str, name: str) -> None:
    assert push.repository_name(prefix, slug) == name
