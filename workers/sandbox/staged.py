"""The image under test: pulled from staging by digest, its local reference removed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from docker.errors import APIError, DockerException

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.engine import Engine
from workers.steps.contract import Stop


@contextmanager
def staged_image(engine: Engine, repository: str, digest: str, stop: Stop) -> Iterator[str]:
    """The name by which the engine knows the image while the block runs.

    Raises ProblemError TEST-IMAGE-PULL, StepStopped.
    """
    name = f"{settings.SLIPWAY.staging_registry_engine}/{repository}@{digest}"
    _pull(engine, name, stop)
    try:
        yield name
    finally:
        # Another test of the same digest may still use it; the last one to end removes it.
        with suppress(APIError):
            engine.remove_image(name)


def _pull(engine: Engine, name: str, stop: Stop) -> None:
    username, password = settings.SLIPWAY.staging_username, settings.SLIPWAY.staging_password.get_secret_value()
    credentials = {"username": username, "password": password} if password else {}
    try:
        for event in engine.api.pull(name, stream=True, decode=True, auth_config=credentials):
            stop.check()
            if "error" in event:
                raise ProblemError("TEST-IMAGE-PULL", evidence=(Evidence(str(event["error"])),), image=name)
    except DockerException as error:
        raise ProblemError("TEST-IMAGE-PULL", evidence=(Evidence(str(error)),), image=name) from error
