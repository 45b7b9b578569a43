"""The worker's disk fills up: a coded problem of ours at every step, what was logged is kept, and a retry succeeds."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from listings import blobs, problems
from listings.livelog import read_records
from listings.models import Attempt, Instance, Run, Upload, Version
from listings.problems import Owner
from listings.states import AttemptState, RunState
from tests.bad_input import provokes
from tests.outages.parts import SmallDisk, containers, once
from tests.pipeline import GOOD, Pipeline, assert_succeeded, latest, packed
from workers import reaper
from workers.engine import Engine

pytestmark = pytest.mark.timeout(240)
CODE = "PLATFORM-DISK-FULL"


@pytest.fixture
def tight(pipeline: Pipeline, small_disk: SmallDisk) -> Pipeline:
    pipeline.configure(data_dir=small_disk.path)
    return pipeline


def lines_of(attempt: Attempt) -> list[str]:
    assert attempt.log is not None
    with blobs.open_blob(attempt.log.sha256) as stored:
        return [record.text for record in read_records(stored)]


def assert_ours(run: Run, step: str) -> Attempt:
    attempt = latest(run, step)
    assert attempt.problem_code == CODE, (attempt.state, attempt.problem_code, attempt.problem_params)
    assert problems.get(CODE).owner is Owner.PLATFORM
    assert attempt.state == AttemptState.ERRORED
    assert run.state == RunState.FAILED
    return attempt


@provokes(CODE, "host disk full")
@pytest.mark.parametrize("left", [0, 8 << 10, 256 << 10])
def test_a_disk_that_is_full_before_a_step_or_in_its_middle(left: int, tight: Pipeline, small_disk: SmallDisk) -> None:
    """With nothing left there is not even a log; with a little, fetch begins and then cannot store its archive."""
    source = packed(GOOD | {f"notes/{number}.txt": f"{number * 7919 % 9973:05d}\n" * 200 for number in range(3000)})
    run = tight.submit(source)
    small_disk.fill(leave_bytes=left)
    tight.drive(run, "fetch")
    failed = assert_ours(run, "fetch")
    small_disk.free()
    reaper.reap()
    failed.refresh_from_db()
    if failed.log is not None:
        assert not any("stopped before it ended" in line for line in lines_of(failed))
    tight.retry(run, "fetch")
    assert_succeeded(run, "fetch")


def test_a_disk_that_fills_up_while_a_build_logs_costs_lines_and_not_the_build(
    tight: Pipeline, small_disk: SmallDisk, engine: Engine
) -> None:
    dockerfile = GOOD["Dockerfile"] + "RUN echo first && sleep 3 && echo second\n"
    run = tight.submit(packed(GOOD | {"Dockerfile": dockerfile}))
    tight.drive(run, "fetch")
    instance = str(Instance.current_id())
    with once("the build runs", lambda: containers(engine, instance) >= 2, small_disk.stay_full):
        tight.drive(run, "build")
    assert_succeeded(run, "build")
    assert latest(run, "build").log is None
    # The folder of the step goes first, and is room enough for a log as small as this, unless it is taken.
    reaper._reap_folders()
    small_disk.fill()
    reaper.reap()
    assert latest(run, "build").log is None
    small_disk.free()
    reaper.reap()
    kept = lines_of(latest(run, "build"))
    assert any("sleep 3" in line for line in kept)
    assert "The worker that ran this attempt" not in kept[-1]
    tight.drive(run, "test")
    assert_succeeded(run, "test")


def test_an_upload_that_has_no_room_is_told_so_and_can_be_sent_again(
    tight: Pipeline, small_disk: SmallDisk, client: Client
) -> None:
    """Small files reach the view in memory, large ones fill the disk while Django reads the request."""
    client.force_login(tight.seller)
    address = f"/t/{tight.team.slug}/uploads/"
    large = packed(GOOD) + b"\0" * (3 << 20)
    for content in (packed(GOOD), large):
        small_disk.fill()
        sent = {"purpose": "source", "file": SimpleUploadedFile("context.tar.gz", content)}
        answer = client.post(address, sent)
        assert answer.status_code in (422, 507), answer.content[:300]
        assert json.loads(answer.content)["code"] == CODE
        assert Upload.objects.count() == 0
        small_disk.free()
    answer = client.post(address, {"purpose": "source", "file": io.BytesIO(large)})
    assert answer.status_code == 200
    assert Upload.objects.count() == 1


def test_a_form_that_brings_its_file_along_keeps_what_was_typed(
    tight: Pipeline, small_disk: SmallDisk, client: Client
) -> None:
    client.force_login(tight.seller)
    address = f"/t/{tight.team.slug}/listings/{tight.listing.slug}/versions/new/"
    for size in (0, 3 << 20):
        small_disk.fill()
        typed: dict[str, Any] = {"number": "7.7.7", "notes": "Typed with care.", "source_kind": "upload"}
        answer = client.post(
            address, typed | {"source_file": SimpleUploadedFile("context.tar.gz", packed(GOOD) + b"\0" * size)}
        )
        page = answer.content.decode()
        assert "7.7.7" in page
        assert "Typed with care." in page
        assert f"({CODE})" in page
        assert Version.objects.count() == 0
        small_disk.free()
