"""A version from an existing image, from fetch to push, on the real engine and real registries."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator

import pytest

from listings.models import Run
from listings.queries.versions import version_page
from listings.services import runs, verdicts
from listings.states import RUN_STEPS, RunState, StepState
from tests.aws_fixtures import Aws, aws, standin, standin_server
from tests.engine.conftest import engine
from tests.engine.image_sources import Images, images, layers, theirs
from tests.pipeline import DOCKERFILE, TRAIN, latest, pipeline
from tests.registry_fixtures import registry
from tests.seller_registry import OCI_MANIFEST, PASSWORD, USERNAME, Made, SellerRegistry, image, index
from workers.engine import Engine
from workers.registries import DOCKER_MANIFEST, Manifest

__all__ = ["aws", "engine", "images", "pipeline", "registry", "standin", "standin_server", "theirs"]

pytestmark = pytest.mark.timeout(240)

#: skopeo does not read it from the environment.
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture
def built(engine: Engine) -> Iterator[str]:
    """An image that trains, built by the engine as a seller would; its local name."""
    name = f"seller.test/{uuid.uuid4().hex[:12]}:1"
    # Content of its own: what another test builds and removes at the same time is not this image.
    train = f"{TRAIN}# {uuid.uuid4()}\n"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path, text in (("Dockerfile", DOCKERFILE), ("train", train)):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    engine.client.images.build(fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True)
    yield name
    engine.api.remove_image(name)


def publish(built: str, images: Images, theirs: SellerRegistry) -> tuple[Made, Manifest]:
    """As OCI with zstd layers, in an index beside an image for another machine. Returns the index and the image."""
    copied = subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "--format", "oci", "--dest-compress-format", "zstd",
         "--dest-tls-verify=false", f"--dest-creds={USERNAME}:{PASSWORD}", f"--src-daemon-host={ENGINE}",
         f"docker-daemon:{built}", f"docker://{images.reference('amd64')}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    with theirs.client() as client:
        manifest = client.manifest(images.repository, "amd64")
        intel, arm = Made(manifest), image(layers(), architecture="arm64")
        many = index([arm.entry("arm64", "v8"), intel.entry("amd64")], [arm])
        many.push(client, images.repository, "1.0")
    assert manifest.media_type == OCI_MANIFEST
    assert b"zstd" in manifest.body
    return many, manifest


def drive(images: Images, run: Run) -> dict[str, dict[str, object]]:
    images.pipeline.drive(run)
    ended = {name: (latest(run, name).problem_code, latest(run, name).problem_evidence)
             for name in RUN_STEPS if run.steps.get(name=name).attempts.exists()}  # fmt: skip
    assert run.state == RunState.PASSED, ended
    return verdicts.facts_of(run)


def test_an_existing_image_is_tested_and_pushed_as_it_was_converted(
    images: Images, theirs: SellerRegistry, aws: Aws, built: str
) -> None:
    team = images.pipeline.team
    for name in ("aws_account_id", "aws_region", "aws_role_arn", "aws_external_id", "s3_bucket"):
        setattr(team, name, getattr(aws.team, name))
    team.ecr_prefix = f"acme-{uuid.uuid4().hex[:6]}"
    team.save()
    many, manifest = publish(built, images, theirs)
    run = images.submit(credential=images.credential())
    facts = drive(images, run)

    build = run.steps.get(name="build")
    assert (build.state, build.attempts.count()) == (StepState.SKIPPED, 0)
    assert "build" not in facts
    staged, pushed = facts["fetch"]["image"], facts["push"]
    assert (staged["index_digest"], staged["source_digest"]) == (many.digest, manifest.digest)
    assert staged["converted"]
    assert staged["digest"] != manifest.digest
    assert pushed["digest"] == staged["digest"]
    assert pushed["media_type"] == DOCKER_MANIFEST
    assert f"testing {staged['digest']} without a network" in images.log(run, "test")
    assert "loss=0.5" in images.log(run, "test")

    judged = verdicts.gate_facts(run)
    assert judged.digest_built == judged.digest_pushed == staged["digest"]
    page = version_page(images.pipeline.seller, run.version, run)
    assert [row.note for row in page["steps"] if row.step.name == "build"] == ["the image exists already"]
    assert page["image_digest"] == staged["digest"]

    # The tag moves; the version means what it meant.
    image(layers("another")).push(theirs.client(), images.repository, "1.0")
    again = drive(images, runs.run_again(images.pipeline.seller, run.version))
    assert again["push"]["digest"] == pushed["digest"]
    assert again["fetch"]["image"]["source_digest"] == manifest.digest
