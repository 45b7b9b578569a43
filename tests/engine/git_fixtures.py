"""Versions from Git, submitted, and their fetch step run as a worker runs it: claimed, executed, finished."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from listings import blobs
from listings.models import Attempt, Credential, CredentialKind, Listing, Run, SourceKind, Team, Version
from listings.problems import Owner, fill, get
from listings.services import runs, versions
from listings.services.origins import Origin
from listings.states import AttemptState, RunState
from tests.unit.spec_fixtures import ALGORITHM
from workers import execution
from workers.sources import guard
from workers.sources.reading import files

FILES: dict[str, str | bytes | None] = {
    "Dockerfile": "FROM scratch\n", "slipway.yaml": ALGORITHM, "sample/train/rows.csv": "1,2\n",
    "sample/request.csv": "1\n", "sample/expected.csv": "2\n",
}  # fmt: skip


@dataclass
class Fetched:
    """How one fetch ended."""

    run: Run
    attempt: Attempt

    @property
    def facts(self) -> dict[str, Any]:
        assert self.attempt.state == AttemptState.SUCCEEDED, self.problem
        return self.attempt.facts

    @property
    def problem(self) -> str:
        """Code, sentence and evidence, as the page shows them."""
        attempt = self.attempt
        if not attempt.problem_code:
            return ""
        known = get(attempt.problem_code)
        said = [fill(text, attempt.problem_params) for text in (known.cause, known.remedy)]
        return "\n".join([attempt.problem_code, *said, *(each["text"] for each in attempt.problem_evidence)])

    @property
    def log(self) -> str:
        assert self.attempt.log is not None
        with blobs.open_blob(self.attempt.log.sha256) as packed:
            return gzip.decompress(packed.read()).decode()

    @property
    def everything(self) -> str:
        """All that is kept of the attempt: the log, the facts, the problem."""
        return "\n".join([self.log, json.dumps(self.attempt.facts), self.problem])

    def contents(self) -> dict[str, bytes]:
        """The files of the normalised archive."""
        with blobs.open_blob(self.facts["archive_sha256"]) as stored:
            return {name: content.read() for name, content, _ in files(stored)}

    def assert_failed(self, code: str, *parts: str) -> None:
        """It failed with ``code``, the seller's; the sentence and its evidence name ``parts``."""
        assert self.attempt.problem_code == code, self.problem or self.log
        assert get(code).owner is Owner.SELLER
        assert (self.attempt.state, self.run.state) == (AttemptState.FAILED, RunState.FAILED)
        assert "{" not in self.problem.partition("\n")[2].splitlines()[0]
        for part in parts:
            assert part in self.problem, self.problem


class Fetching:
    """Makes versions of one listing and fetches them here."""

    def __init__(self, seller: Any, listing: Listing, settings: Any) -> None:
        self._seller, self._listing, self._settings = seller, listing, settings

    def configure(self, **values: Any) -> None:
        self._settings.SLIPWAY = self._settings.SLIPWAY.model_copy(update=values)

    def allow(self, *hosts: str) -> None:
        """What the operator lists."""
        self.configure(source_allow_hosts=",".join(hosts))

    def submit(self, url: str, ref: str = "", **more: Any) -> Run:
        origin = Origin(SourceKind.GIT, git_url=url, git_ref=ref, **more)
        number = f"1.0.{self._listing.versions.count()}"
        return versions.submit_version(
            self._seller, versions.create_version(self._seller, self._listing, number=number, source=origin)
        )

    def drive(self, run: Run) -> Fetched:
        """Run the queued fetch. Nothing of the step's is left on the disk."""
        queued = Attempt.objects.get(step__run=run, step__name="fetch", state=AttemptState.QUEUED)
        execution.run_attempt(queued.pk)
        assert list(execution.work_dir().iterdir()) == []
        return Fetched(Run.objects.get(pk=run.pk), Attempt.objects.select_related("log").get(pk=queued.pk))

    def __call__(self, url: str, ref: str = "", **more: Any) -> Fetched:
        return self.drive(self.submit(url, ref, **more))

    def retry(self, fetched: Fetched) -> Fetched:
        """The same version once more, as a person asks for it on the page."""
        runs.retry_step(self._seller, fetched.run.steps.get(name="fetch"))
        return self.drive(fetched.run)

    def version(self, fetched: Fetched) -> Version:
        return Version.objects.get(pk=fetched.run.version_id)


@pytest.fixture
def fetching(transactional_db: None, seller: Any, listing: Listing, tmp_path: Path, settings: Any) -> Fetching:
    made = Fetching(seller, listing, settings)
    made.configure(data_dir=tmp_path / "data", team_concurrency=100)
    return made


@pytest.fixture
def make_credential(seller: Any, team: Team) -> Callable[..., Credential]:
    def make(host: str, secret: str, kind: str = CredentialKind.TOKEN, **fields: Any) -> Credential:
        name = f"{kind} for {host}"
        credential = Credential(team=team, kind=kind, name=name, host=host, created_by=seller, username="bot", **fields)
        credential.seal(secret)
        credential.save()
        return credential

    return make


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call with what names resolve to: ``resolves(innocent__example="10.0.0.7")``; others as the system says."""

    def use(**names: str) -> None:
        real, known = guard.resolve, {name.replace("__", "."): address for name, address in names.items()}
        monkeypatch.setattr(guard, "resolve", lambda host, port: [known[host]] if host in known else real(host, port))

    return use
