"""The image under test: pulled from staging by digest, its local reference removed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.conf import settings
from docker.errors import APIError, DockerException, NotFound

from listings.problems import ProblemError
from listings.reports import Evidence
from workers import spans
from workers.engine import Engine
from workers.steps.contract import Stop


@dataclass(frozen=True, slots=True)
class StagedImage:
    """``name`` is what the engine runs: repository and digest, so that it can be no other image."""

    engine: Engine
    name: str
    stop: Stop

    def pull(self) -> None:
        """Raises ProblemError TEST-IMAGE-PULL, IMAGE-GONE where the registry is up and has it no more, StepStopped."""
        username, password = settings.SLIPWAY.staging_username, settings.SLIPWAY.staging_password.get_secret_value()
        credentials = {"username": username, "password": password} if password else {}
        try:
            with spans.span("registry"):
                self._pull(credentials)
        except NotFound as error:
            raise ProblemError("IMAGE-GONE", detail=f"The engine was told: {error.explanation}") from error
        except DockerException as error:
            raise ProblemError("TEST-IMAGE-PULL", evidence=(Evidence(str(error)),), image=self.name) from error

    def _pull(self, credentials: dict[str, str]) -> None:
        for event in self.engine.api.pull(self.name, stream=True, decode=True, auth_config=credentials):
            self.stop.check()
            if "error" in event:
                raise ProblemError("TEST-IMAGE-PULL", evidence=(Evidence(str(event["error"])),), image=self.name)


@contextmanager
def staged_image(engine: Engine, repository: str, digest: str, stop: Stop) -> Iterator[StagedImage]:
    """The image, in the engine while the block runs. Raises ProblemError TEST-IMAGE-PULL, IMAGE-GONE, StepStopped."""
    image = StagedImage(engine, f"{settings.SLIPWAY.staging_registry_engine}/{repository}@{digest}", stop)
    image.pull()
    try:
        yield image
    finally:
        # Another test of the same digest may still run on it; the last one to end removes it.
        with suppress(APIError):
            engine.remove_image(image.name)
