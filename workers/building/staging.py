"""From the engine to the staging registry: a random repository, its digest, and no name left in the engine."""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass

from docker.errors import APIError, NotFound

from listings.problems import ProblemError
from listings.reports import Evidence
from workers import spans
from workers.building.stream import BuildOutput, Cut, guarded, messages
from workers.engine import Engine
from workers.registries import DOCKER_MANIFEST, Registry, RegistryClient, RegistryError
from workers.steps.contract import Log, Stop

TAG = "v"
#: Seconds before a push that broke off is tried again: a registry that restarts is back by then.
AGAIN_SECONDS = (2.0, 5.0, 10.0)
BROKE_OFF = re.compile(
    r"\bEOF\b|connection (?:refused|reset)|broken pipe|time(?:d )?out|service unavailable|bad gateway", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Staged:
    repository: str
    digest: str
    media_type: str


class ImageGone(Exception):
    """An image went in the middle of its build, or before its tag: another build of the same content removed it."""


def new_repository() -> str:
    """A name that nobody can guess: in a shared engine and registry, knowing the name is having the image."""
    return f"staging/{secrets.token_hex(16)}"


def push(engine: Engine, image_id: str, registry: Registry, repository: str, log: Log, stop: Stop) -> Staged:
    """Tag, push, verify and untag; up to three times more where the registry goes away meanwhile.

    Raises ProblemError BUILD-PUSH-REFUSED or BUILD-MEDIA-TYPE, StepStopped, or ImageGone.
    """
    name = registry.engine_reference(repository)
    try:
        engine.api.tag(image_id, name, TAG, force=True)
    except NotFound as error:
        raise ImageGone from error
    try:
        for seconds in AGAIN_SECONDS:
            try:
                return _pushed(engine, name, registry, repository, log, stop)
            except ProblemError as error:
                if not BROKE_OFF.search(error.report.params.get("message", "")):
                    raise
                log.line(f"the push to the staging registry broke off; once more in {seconds:g} s", "slipway")
                stop.sleep(seconds)
                stop.check()
        return _pushed(engine, name, registry, repository, log, stop)
    finally:
        engine.remove_image(f"{name}:{TAG}")


def _pushed(engine: Engine, name: str, registry: Registry, repository: str, log: Log, stop: Stop) -> Staged:
    return _verified(registry, repository, _push(engine, name, registry, log, stop))


def _push(engine: Engine, name: str, registry: Registry, log: Log, stop: Stop) -> str:
    cut, output = Cut(), BuildOutput(log)
    digests: list[str] = []

    def work() -> None:
        path = f"/images/{name}/push"
        with engine.stream("POST", path, {"tag": TAG}, headers={"X-Registry-Auth": _sign_in(registry)}) as response:
            cut.watch(response)
            for message in messages(response, cut):
                digests.append(str((message.get("aux") or {}).get("Digest") or ""))
                output.feed(message)

    try:
        with spans.span("registry"):
            guarded(stop, cut, work)
    except APIError as error:
        raise _refused(str(error.explanation or error)) from error
    found = next((digest for digest in reversed(digests) if digest), "")
    if output.error or not found:
        raise _refused(output.error or "the engine named no digest")
    return found


def _sign_in(registry: Registry) -> str:
    who = registry.credentials
    pair = {"username": who.username, "password": who.password, "serveraddress": registry.engine_host} if who else {}
    return base64.urlsafe_b64encode(json.dumps(pair).encode()).decode()


def _verified(registry: Registry, repository: str, digest: str) -> Staged:
    """Read the manifest back by its digest: what later steps read is there, and of the type that SageMaker takes."""
    try:
        with RegistryClient(registry) as client:
            manifest = client.manifest(repository, digest)
    except RegistryError as error:
        raise _refused(str(error)) from error
    if manifest.media_type != DOCKER_MANIFEST:
        raise ProblemError("BUILD-MEDIA-TYPE", media_type=manifest.media_type)
    return Staged(repository, digest, manifest.media_type)


def _refused(message: str) -> ProblemError:
    return ProblemError("BUILD-PUSH-REFUSED", evidence=(Evidence(message, "engine"),), message=message)
