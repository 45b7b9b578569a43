"""An attempt that is parked again and again has one stored log, which grows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import default_storage

from listings import blobs
from listings.livelog import read_records
from listings.models import Attempt, Blob, Version
from listings.reports import StepReport
from listings.services import versions
from listings.states import AttemptState
from tests import flow
from workers import execution

pytestmark = pytest.mark.django_db(transaction=True)


def files() -> list[Path]:
    return [path for path in Path(django_settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_each_poll_leaves_one_log(seller: Any, draft: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    polls = 4

    def execute(context: Any) -> StepReport:
        context.log.line(f"look {context.attempt.polls}", "slipway")
        return StepReport(poll_after=0) if context.attempt.polls < polls else flow.GOOD["fetch"]

    monkeypatch.setattr(execution.importlib, "import_module", lambda name: SimpleNamespace(execute=execute))
    run = versions.submit_version(seller, draft)
    attempt = flow.open_attempt(run, "fetch")
    blobs_before, files_before = Blob.objects.count(), len(files())
    for _ in range(polls + 1):
        execution.run_attempt(attempt.pk)
        assert Blob.objects.count() == blobs_before + 1
        assert len(files()) == files_before + 1
    ended = Attempt.objects.get(pk=attempt.pk)
    assert ended.state == AttemptState.SUCCEEDED
    assert ended.log is not None
    with blobs.open_blob(ended.log.sha256) as stored:
        assert [record.text for record in read_records(stored)] == [f"look {poll}" for poll in range(polls + 1)]


def test_a_log_that_storage_has_lost_does_not_end_the_attempt(
    seller: Any, draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(context: Any) -> StepReport:
        context.log.line("look", "slipway")
        return StepReport(poll_after=0) if context.attempt.polls == 0 else flow.GOOD["fetch"]

    monkeypatch.setattr(execution.importlib, "import_module", lambda name: SimpleNamespace(execute=execute))
    run = versions.submit_version(seller, draft)
    attempt = flow.open_attempt(run, "fetch")
    execution.run_attempt(attempt.pk)
    attempt.refresh_from_db()
    assert attempt.log is not None
    default_storage.delete(blobs.path_of(attempt.log.sha256))
    assert execution.run_attempt(attempt.pk) == AttemptState.SUCCEEDED


def test_a_blob_that_something_names_is_never_discarded(draft: Version) -> None:
    assert draft.source is not None
    assert not blobs.discard(draft.source.blob_id)
    with blobs.open_blob(draft.source.blob_id) as stored:
        assert stored.read()
