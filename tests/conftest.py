"""What every test may use: people, teams, listings, and a run without Celery."""

from __future__ import annotations

import os
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from listings.models import Kind, Listing, Team, Upload, UploadPurpose, Version
from listings.services import listings as listing_service
from listings.services import teams, versions


@pytest.fixture(autouse=True)
def own_storage(tmp_path: Path, settings: Any) -> None:
    """Storage of the test's own; nothing is written below the project."""
    settings.MEDIA_ROOT = tmp_path / "storage"


@pytest.fixture
def make_user(db: None, django_user_model: Any) -> Any:
    def make(name: str, **fields: Any) -> Any:
        user = django_user_model.objects.create_user(
            email=f"{name}@example.com", password="a-long-passphrase", full_name=name.title(), **fields
        )
        user.emailaddress_set.create(email=user.email, verified=True, primary=True)
        return user

    return make


@pytest.fixture
def seller(make_user: Any) -> Any:
    return make_user("sally")


@pytest.fixture
def admin(make_user: Any) -> Any:
    return make_user("adam", is_staff=True)


@pytest.fixture
def team(seller: Any) -> Team:
    team = teams.create_team(seller, "Acme Vision")
    teams.connect_aws(
        seller,
        team,
        {
            "aws_account_id": "111122223333",
            "aws_region": "us-east-1",
            "aws_role_arn": "arn:aws:iam::111122223333:role/slipway",
            "s3_bucket": "acme-vision",
            "ecr_prefix": "acme",
            "validation_role_arn": "arn:aws:iam::111122223333:role/validation",
            "access_role_arn": "arn:aws:iam::111122223333:role/marketplace",
        },
    )
    return team


@pytest.fixture
def listing(seller: Any, team: Team) -> Listing:
    return listing_service.create_listing(
        seller, team, kind=Kind.ALGORITHM, name="Decision trees", product_id="prod-abcdefgh12345"
    )


@pytest.fixture
def upload(seller: Any, team: Team) -> Upload:
    content = b"a build context"
    return versions.store_upload(seller, team, UploadPurpose.SOURCE, "context.tar.gz", BytesIO(content), len(content))


@pytest.fixture
def draft(seller: Any, listing: Listing, upload: Upload) -> Version:
    return versions.create_version(seller, listing, number="1.0.0", source=upload)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only-database", action="store_true", help="leave out tests that no database can change")
    parser.addoption("--no-browser", action="store_true", help="leave out tests that open a browser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a second database cannot change runs once; what is left out is counted as deselected."""
    left_out = [item for item in items if not _is_wanted(config, item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _is_wanted(config, item)]


def _is_wanted(config: pytest.Config, item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    if config.getoption("--no-browser") and "browser" in fixtures:
        return False
    touches = fixtures & {"db", "transactional_db"} or item.get_closest_marker("django_db")
    return bool(touches) or not config.getoption("--only-database")


def pytest_configure() -> None:
    # A busy machine is no failure; continuous integration tries the same examples each time.
    hypothesis_settings.register_profile(
        "slipway",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=bool(os.environ.get("CI")),
    )
    hypothesis_settings.load_profile("slipway")
    # Spools and working folders of tests never mix with those of a running portal.
    object.__setattr__(settings.SLIPWAY, "data_dir", Path(tempfile.mkdtemp(prefix="slipway-test-")))
