"""The database goes away for a few seconds in the middle of a step: the work that was done counts all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, connection, connections

from bootstrap import postgres, processes
from bootstrap.home import Home
from listings.models import Attempt, Run, Team
from listings.services import teams
from listings.states import RunState
from portal import databases
from tests.aws_fixtures import Standin
from tests.bad_input import provokes
from tests.crash.sources import context_with, submit
from tests.registry_fixtures import Registry
from tests.stack import Stack, running_stack, wait_until
from workers.engine import Engine

#: The build ends while the database is away, and the lease outlasts that.
LEASE_SECONDS, BUILD_SECONDS = 30, 4


class Cluster:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._home = Home(folder)
        self.url = postgres.ensure(self._home)

    def stop(self) -> None:
        """At once, with every connection."""
        processes.stop(self._home, postgres.NAME, 0)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            assert postgres.ensure(self._home) == self.url


@pytest.fixture
def cluster(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, django_db_setup: None,
    django_db_blocker: Any,
) -> Iterator[Cluster]:  # fmt: skip
    """This process' database for the length of the test."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    folder = tmp_path_factory.mktemp("cluster")
    made = Cluster(folder)
    with django_db_blocker.unblock(), _as_default(made.url):
        call_command("migrate", verbosity=0)
        yield made
    made.stop()


@contextmanager
def _as_default(url: str) -> Iterator[None]:
    before, parsed = connections["default"], databases.parse(url, Path())
    connections.settings["default"] = connections.configure_settings({"default": parsed})["default"]
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = before.settings_dict
        connections["default"] = before


@pytest.fixture
def team(cluster: Cluster, standin: Standin) -> Team:
    sally = get_user_model().objects.create_user(email="sally@example.com", password="-", full_name="Sally")  # type: ignore[attr-defined]
    team = teams.create_team(sally, "Acme Vision")
    role = f"arn:aws:iam::{standin.account}:role/slipway"
    team.aws_account_id, team.aws_region, team.ecr_prefix = standin.account, "us-east-1", "acme"
    team.aws_role_arn = team.validation_role_arn = team.access_role_arn = role
    team.s3_bucket = f"bucket-{standin.account}"
    team.save()
    bucket = {"account": standin.account, "region": team.aws_region, "name": team.s3_bucket}
    requests.post(f"{standin.url}/_standin/buckets", json=bucket, timeout=10).raise_for_status()
    return team


@pytest.fixture
def working(
    team: Team, engine: Engine, registry: Registry, standin: Standin, data_dir: Path, tmp_path: Path, settings: Any
) -> Iterator[Stack]:
    settings.MEDIA_ROOT = data_dir / "storage"
    more = {"SLIPWAY_LEASE_SECONDS": str(LEASE_SECONDS), "SLIPWAY_HEARTBEAT_SECONDS": "2"}
    with running_stack(engine, registry, standin, data_dir, tmp_path, **more) as stack:
        stack.portal()
        stack.control_worker()
        stack.beat()
        stack.engine_worker()
        yield stack


def answers() -> bool:
    """Whether the database answers this process."""
    try:
        connection.ensure_connection()
        Run.objects.exists()
    except (DatabaseError, InterfaceError):
        connection.close()
        return False
    return True


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.state != RunState.ACTIVE


@provokes("", "database briefly down")
@pytest.mark.timeout(240)
def test_a_step_that_ends_while_the_database_is_away_counts(cluster: Cluster, team: Team, working: Stack) -> None:
    sally = team.memberships.get().user
    run = submit(sally, team, "Away", context_with(build=BUILD_SECONDS, files=10))
    building = Attempt.objects.filter(step__run=run, step__name="build", state="running")
    wait_until("the build runs", building.exists)
    first = building.get()
    wait_until("the build is in its last step", lambda: "sleep" in _spooled(working, first))
    with cluster.away():
        assert not answers()
        page = requests.get(f"{working.url}/", timeout=10, cookies={"sessionid": "x" * 32})
        assert page.status_code == 503
        assert "The database does not answer" in page.text
        wait_until("the build ends", lambda: "Image sha256:" in _spooled(working, first))
        heartbeat = f"heartbeat of {first.pk}: the database does not answer"
        wait_until("the heartbeat has met it", lambda: heartbeat in working.log("engine"))
    wait_until("the database answers", answers, 20)
    wait_until("the run ends", lambda: ended(run))
    tried = list(Attempt.objects.filter(step__run=run).values_list("step__name", "state"))
    assert run.state == RunState.PASSED, (tried, working.log("engine")[-3000:])
    assert len(tried) == 6
    assert {state for _, state in tried} == {"succeeded"}
    first.refresh_from_db()
    assert (first.state, first.number) == ("succeeded", 1)
    assert requests.get(f"{working.url}/account/login/", timeout=10).status_code == 200


def _spooled(stack: Stack, attempt: Attempt) -> str:
    spools = stack.data_dir.glob(f"spool/{stack.host}/{attempt.pk}/*.jsonl")
    return "\n".join(path.read_text() for path in spools)
