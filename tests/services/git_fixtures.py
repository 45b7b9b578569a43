"""A version from Git, and the fetch step run for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from listings import blobs
from listings.models import Credential, CredentialKind, Listing, SourceKind, Team, Version
from listings.problems import Owner, ProblemError, get
from listings.reports import ProblemReport, StepReport
from listings.services import versions
from listings.services.origins import Origin
from tests.engine.context import MemoryLog
from tests.unit.spec_fixtures import ALGORITHM
from workers.sources import git as git_source
from workers.sources import guard
from workers.sources.reading import files
from workers.steps import fetch
from workers.steps.contract import StepContext, Stop

FILES: dict[str, str | bytes | None] = {
    "Dockerfile": "FROM scratch\n", "slipway.yaml": ALGORITHM, "sample/train/rows.csv": "1,2\n",
    "sample/request.csv": "1\n", "sample/expected.csv": "2\n",
}  # fmt: skip


class Fetching:
    """Makes versions and fetches them, each in a folder of its own."""

    def __init__(self, seller: Any, listing: Listing, folder: Path, settings: Any) -> None:
        self._seller, self._listing, self._folder, self._settings = seller, listing, folder, settings
        self._made = 0
        self.log = MemoryLog()
        self.workdir = folder

    def allow(self, *hosts: str, **more: Any) -> None:
        """What the operator lists, and other settings."""
        update = {"source_allow_hosts": ",".join(hosts), **more}
        self._settings.SLIPWAY = self._settings.SLIPWAY.model_copy(update=update)

    def version(self, url: str, ref: str = "", **more: Any) -> Version:
        self._made += 1
        origin = Origin(SourceKind.GIT, git_url=url, git_ref=ref, **more)
        return versions.create_version(self._seller, self._listing, number=f"1.0.{self._made}", source=origin)

    def context(self, version: Version, stop: Stop | None = None) -> StepContext:
        self.log = MemoryLog()
        self.workdir = self._folder / f"work-{self._made}-{len(list(self._folder.iterdir()))}"
        self.workdir.mkdir(parents=True)
        return StepContext(
            attempt=SimpleNamespace(pk=version.pk), version=Version.objects.get(pk=version.pk), run=None, release=None,
            facts={}, log=self.log, stop=stop or Stop(), workdir=self.workdir,
        )  # type: ignore[arg-type]  # fmt: skip

    def fetch(self, version: Version, stop: Stop | None = None) -> StepReport:
        """The report; nothing of the step's is left but what the executor removes."""
        try:
            return fetch.execute(self.context(version, stop))
        finally:
            assert [path.name for path in self.workdir.iterdir()] == []

    def __call__(self, url: str, ref: str = "", **more: Any) -> StepReport:
        return self.fetch(self.version(url, ref, **more))

    def refused(self, version: Version | str, ref: str = "", **more: Any) -> ProblemReport:
        """The problem with which fetching ends; it is the seller's, with texts that are complete."""
        made = version if isinstance(version, Version) else self.version(version, ref, **more)
        with pytest.raises(ProblemError) as error:
            self.fetch(made)
        report = error.value.report
        problem = get(report.code)
        assert problem.owner is Owner.SELLER
        for text in (problem.cause, problem.remedy):
            text.format(**report.params)
        return report


def contents(report: StepReport) -> dict[str, bytes]:
    """The files of the normalised archive that fetch stored."""
    assert report.problem is None
    with blobs.open_blob(report.facts["archive_sha256"]) as stored:
        return {name: content.read() for name, content, _ in files(stored)}


def evidence(report: ProblemReport) -> str:
    return "\n".join(each.text for each in report.evidence)


@pytest.fixture
def fetching(seller: Any, listing: Listing, tmp_path: Path, settings: Any) -> Fetching:
    folder = tmp_path / "fetching"
    folder.mkdir()
    return Fetching(seller, listing, folder, settings)


@pytest.fixture
def make_credential(seller: Any, team: Team) -> Callable[..., Credential]:
    def make(host: str, secret: str, kind: str = CredentialKind.TOKEN, **fields: Any) -> Credential:
        credential = Credential(team=team, kind=kind, name=f"{kind} for {host}", host=host, created_by=seller, **fields)
        credential.seal(secret)
        credential.save()
        return credential

    return make


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Callable[[guard.Resolver], None]:
    """Call with what names resolve to."""

    def use(resolver: guard.Resolver) -> None:
        original = git_source.fetch
        monkeypatch.setattr(
            fetch.git, "fetch", lambda context, target, limits: original(context, target, limits, resolver)
        )

    return use
