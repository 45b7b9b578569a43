"""What the benches share: a whole Slipway in processes, the sample algorithm, and tables on the terminal."""

from __future__ import annotations

import io
import statistics
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from listings import demo
from listings.models import Kind, Listing, Team, UploadPurpose, Version
from listings.services import listings as listing_service
from listings.services import versions
from tests.aws_fixtures import Standin, connect_team, standin, standin_server
from tests.engine.conftest import engine
from tests.registry_fixtures import registry
from tests.stack import Stack, data_dir, stack, stack_environment

__all__ = ["data_dir", "engine", "registry", "stack", "stack_environment", "standin", "standin_server"]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "decision-trees"
Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print to the terminal, whatever pytest captures."""

    def print_line(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    return print_line


def middle(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f}, {len(values)} times)"


def percentile(values: Sequence[float], of: int) -> float:
    return sorted(values)[min(len(values) - 1, round(len(values) * of / 100))]


@pytest.fixture
def aws_team(team: Team, standin: Standin) -> Team:
    """The team in an account of its own, with its bucket."""
    connect_team(team, standin)
    return team


@pytest.fixture
def algorithm(seller: Any, aws_team: Team) -> Listing:
    name = f"Trees {uuid.uuid4().hex[:6]}"
    return listing_service.create_listing(seller, aws_team, kind=Kind.ALGORITHM, name=name, product_id="")


def sample_context(folder: Path, nonce: str) -> Path:
    """A copy of the sample whose build shares no step with any other nonce's."""
    target = folder / f"sample-{nonce}"
    target.mkdir(parents=True, exist_ok=True)
    for path in SAMPLE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = target / path.relative_to(SAMPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            copy.chmod(path.stat().st_mode)
    dockerfile = target / "Dockerfile"
    first, _, rest = dockerfile.read_text().partition("\n")
    dockerfile.write_text(f"{first}\nLABEL bench={nonce}\n{rest}")
    return target


def upload_version(seller: Any, listing: Listing, content: bytes) -> Version:
    source = versions.store_upload(
        seller, listing.team, UploadPurpose.SOURCE, "sample.tar.gz", io.BytesIO(content), len(content)
    )
    return versions.create_version(seller, listing, number=f"1.0.{listing.versions.count()}", source=source)


def packed(folder: Path) -> bytes:
    return demo.pack(folder)


@pytest.fixture
def running(stack: Stack) -> Stack:
    """All of Slipway's processes, ready."""
    stack.control_worker()
    stack.beat()
    stack.engine_worker()
    stack.portal()
    return stack
