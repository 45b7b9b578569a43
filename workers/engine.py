"""Docker Engine adapter: the only door to an engine.

Everything made here carries three labels: the Slipway instance, the worker host and the attempt.
Whatever is listed or removed is found by them, so that two instances share one engine unharmed.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import docker
from docker.auth import AuthConfig
from docker.errors import (
    APIError,
    DockerException,
    ImageNotFound,
    NotFound,
    create_api_error_from_http_exception,
)
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume
from requests import HTTPError, Response
from requests.exceptions import RequestException

from listings.problems import ProblemError
from listings.reports import Evidence
from workers import spans
from workers.chunks import IterReader

LABEL_INSTANCE = "slipway.instance"
LABEL_HOST = "slipway.host"
LABEL_ATTEMPT = "slipway.attempt"
LABEL_ROLE = "slipway.role"
#: On a container: the name of a local image that is dropped together with it.
LABEL_TAG = "slipway.tag"

#: In place of an attempt's id, on what a worker makes for itself. The reaper leaves it alone while it is young.
NO_ATTEMPT = ""
#: Says to the engine that there are no registry sign-ins, for a build or a pull. An empty JSON object in base64.
NO_CREDENTIALS = {"X-Registry-Config": "e30=", "X-Registry-Auth": "e30="}

#: In a container's path: a file where a directory should be, or a link that leads round.
NO_SUCH_PATH = ("not a directory", "too many links", "too many levels")


@dataclass(frozen=True, slots=True)
class Owned:
    """One thing in the engine that is ours. ``created`` is the engine's own text, possibly empty. ``joined`` is the
    container whose network a container has joined: that is how a build's containers are known."""

    kind: str  # "container" | "volume" | "network" | "image"
    id: str
    name: str
    attempt: str
    labels: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    joined: str = ""


def attempt_labels(instance: str, host: str, attempt: UUID | str, role: str = "") -> dict[str, str]:
    """The labels of everything that an attempt makes."""
    labels = {LABEL_INSTANCE: str(instance), LABEL_HOST: host, LABEL_ATTEMPT: str(attempt)}
    return labels | ({LABEL_ROLE: role} if role else {})


def connect(timeout: int = 60) -> Engine:
    """An adapter for the engine that ``DOCKER_HOST`` names. ``timeout``: seconds per call.

    Raises ProblemError ENGINE-UNREACHABLE.
    """
    try:
        client = docker.DockerClient.from_env(timeout=timeout)
        _note_time(client)
        client.ping()
    except (DockerException, RequestException) as error:
        raise ProblemError("ENGINE-UNREACHABLE", evidence=(Evidence(str(error)),)) from error
    return Engine(client)


def _note_time(client: docker.DockerClient) -> None:
    """Every call counts as time of the engine; what streams on after its answer is noted where it is read."""
    send = client.api.send

    def noted(*args: Any, **kwargs: Any) -> Any:
        with spans.span("engine"):
            return send(*args, **kwargs)

    setattr(client.api, "send", noted)  # noqa: B010  (a method, replaced on one object)


def problem_of(error: Exception) -> ProblemError:
    """What a failed call to the engine is called: ENGINE-REFUSED if it answered, else ENGINE-UNREACHABLE."""
    if isinstance(error, APIError):
        return ProblemError("ENGINE-REFUSED", message=error.explanation or str(error))
    return ProblemError("ENGINE-UNREACHABLE", evidence=(Evidence(str(error)),))


class Engine:
    """Small verbs over one ``docker.DockerClient``, which stays reachable as ``client``."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        # The SDK reads ~/.docker/config.json of whoever runs the worker and would send what it finds
        # with every build and pull. A seller's build must never use the operator's credentials.
        self.api = cast(Any, client.api)
        # An empty set of sign-ins would be read anew, so it holds one for a host that cannot exist.
        self.api._auth_configs = AuthConfig({"auths": {"slipway.invalid": {}}})
        self.api._general_configs = {}

    def close(self) -> None:
        self.client.close()

    def info(self) -> dict[str, Any]:
        return dict(self.client.info())

    def require(self) -> None:
        """Raises ProblemError ENGINE-UNREACHABLE unless the engine answers now."""
        try:
            self.client.ping()
        except (DockerException, RequestException) as error:
            raise problem_of(error) from error

    def id(self) -> str:
        """The engine's own identity, stable over restarts."""
        return str(self.info().get("ID", ""))

    # -- making ---------------------------------------------------------------------------------------

    def create_container(self, image: str, *, labels: Mapping[str, str], **options: Any) -> Container:
        """Create, not start. ``options`` are those of ``docker.containers.create``; no pull is ever made."""
        _require_labels(labels)
        return self.client.containers.create(image, labels=dict(labels), **options)

    def run_container(self, image: str, *, labels: Mapping[str, str], **options: Any) -> Container:
        """Create and start in the background; nothing stays behind if the start fails."""
        container = self.create_container(image, labels=labels, **options)
        try:
            container.start()
        except BaseException:
            self.remove_container(str(container.id))
            raise
        return container

    def run_to_end(self, image: str, *, labels: Mapping[str, str], timeout: float = 60, **options: Any) -> RunResult:
        """Run a short helper container, return its exit code and output, and remove it."""
        container = self.run_container(image, labels=labels, **options)
        try:
            code = int(container.wait(timeout=timeout)["StatusCode"])
            return RunResult(code, container.logs().decode("utf-8", "replace"))
        finally:
            self.remove_container(str(container.id))

    def execute(self, container_id: str, command: Sequence[str]) -> RunResult:
        """Run a short command in a running container; its two streams are mixed in the output."""
        created = self.api.exec_create(container_id, list(command))
        # Not the SDK's exec_start: it loses what arrives together with the response's head.
        start = self.stream("POST", f"/exec/{created['Id']}/start", {}, json={"Detach": False, "Tty": False})
        with spans.span("container"), start as response:
            output = b"".join(data for _, data in _frames(response.iter_content(chunk_size=None)))
        code = self.api.exec_inspect(created["Id"])["ExitCode"]
        return RunResult(-1 if code is None else int(code), output.decode("utf-8", "replace"))

    def create_volume(self, *, labels: Mapping[str, str], name: str | None = None, **options: Any) -> Volume:
        _require_labels(labels)
        return self.client.volumes.create(name, labels=dict(labels), **options)

    def create_network(self, name: str, *, labels: Mapping[str, str], **options: Any) -> Network:
        _require_labels(labels)
        return self.client.networks.create(name, labels=dict(labels), **options)

    # -- looking --------------------------------------------------------------------------------------

    def has_image(self, name: str) -> bool:
        try:
            self.client.images.get(name)
        except ImageNotFound:
            return False
        return True

    def references(self) -> list[str]:
        """The names of all local images, by tag and by digest."""
        images = self.api.images()
        return [name for image in images for name in [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]]

    def image_id(self, name: str) -> str:
        """The ID of a local image. Raises docker.errors.ImageNotFound."""
        return str(self.client.images.get(name).id)

    def owned(self, instance: str, host: str = "", attempt: UUID | str = "") -> list[Owned]:
        """Everything with this instance's labels (of every host where ``host`` is empty), containers first, and
        before them those that joined one of ours."""
        wanted = [f"{LABEL_INSTANCE}={instance}"]
        wanted += [f"{LABEL_HOST}={host}"] if host else []
        wanted += [f"{LABEL_ATTEMPT}={attempt}"] if attempt else []
        filters = {"label": wanted}
        found = [_owned("container", c, "Id", "Names") for c in self.api.containers(all=True, filters=filters)]
        # An image's own LABELs come with every container of its build, so what runs in a room may forge ours:
        # the room says whose it is.
        joined = self.joined({c.id: c.attempt for c in found})
        known = {thing.id for thing in joined}
        found = joined + [thing for thing in found if thing.id not in known]
        found += [_owned("volume", v, "Name", "Name") for v in self.api.volumes(filters=filters)["Volumes"] or []]
        found += [_owned("network", n, "Id", "Name") for n in self.api.networks(filters=filters)]
        found += [_owned("image", i, "Id", "RepoTags") for i in self.api.images(filters=filters)]
        return found

    def joined(self, containers: Mapping[str, str] | set[str]) -> list[Owned]:
        """Containers in the network namespace of one of ``containers`` (id -> attempt), whatever their labels say."""
        attempts = containers if isinstance(containers, Mapping) else dict.fromkeys(containers, "")
        found = []
        for raw in self.api.containers(all=True) if attempts else ():
            kind, _, target = str(raw.get("HostConfig", {}).get("NetworkMode", "")).partition(":")
            if kind == "container" and target in attempts:
                found.append(replace(_owned("container", raw, "Id", "Names"), attempt=attempts[target]))
        return found

    # -- removing -------------------------------------------------------------------------------------

    def stop_container(self, container_id: str, grace_seconds: int = 5) -> None:
        """SIGTERM, then SIGKILL after the grace. A container that is gone or not running is no error."""
        with suppress(NotFound):
            self.api.stop(container_id, timeout=grace_seconds)

    def kill_container(self, container_id: str) -> None:
        """SIGKILL at once. A container that is gone or not running is no error."""
        try:
            self.api.kill(container_id)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # 409: it is not running
                raise

    def remove_container(self, container_id: str) -> None:
        """Kill and remove with its anonymous volumes; waits out a removal that is already under way."""
        for _ in range(40):
            try:
                self.api.remove_container(container_id, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # 409: removal already in progress
                    raise
                time.sleep(0.25)
            else:
                return

    def remove_volume(self, name: str) -> None:
        """Remove a volume; waits while a container that is being removed still counts as its user."""
        for left in reversed(range(40)):
            try:
                self.api.remove_volume(name, force=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409 or not left:  # 409: in use
                    raise
                time.sleep(0.25)
            else:
                return

    def remove_network(self, network_id: str) -> None:
        with suppress(NotFound):
            self.api.remove_network(network_id)

    def remove_image(self, name: str) -> None:
        """Untag; the image itself goes only where nothing else holds it."""
        try:
            # Without force a container that runs from the image would keep its name.
            self.api.remove_image(name, force=True, noprune=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409 or self.has_image(name):  # 409: untagged, but kept by what needs it
                raise

    def remove(self, things: Iterable[Owned]) -> int:
        """Remove containers, then volumes and networks. Images stay: they are the layer cache. Returns how many."""
        order = {"container": self.remove_container, "volume": self.remove_volume, "network": self.remove_network}
        things = list(things)
        count = 0
        for kind, remove in order.items():
            for thing in things:
                if thing.kind == kind:
                    remove(thing.id)
                    count += 1
                    if kind == "container" and LABEL_TAG in thing.labels:
                        self.remove_image(thing.labels[LABEL_TAG])
        return count

    def remove_attempt(self, instance: str, attempt: UUID | str) -> int:
        """Remove all that one attempt made, images excepted. Returns how many things went."""
        return self.remove(self.owned(instance, attempt=attempt))

    # -- files ----------------------------------------------------------------------------------------

    def get_file(self, container: Container, path: str, max_bytes: int) -> bytes | None:
        """One regular file's content, at most ``max_bytes`` of it; None where there is no such file."""
        try:
            with (
                self.archive(str(container.id), path) as chunks,
                tarfile.open(fileobj=IterReader(chunks), mode="r|") as archive,
            ):
                member = archive.next()
                source = archive.extractfile(member) if member is not None and member.isfile() else None
                return source.read(max_bytes) if source is not None else None
        except NotFound:
            return None
        except APIError as error:
            if any(words in str(error.explanation) for words in NO_SUCH_PATH):
                return None
            raise

    @contextmanager
    def archive(self, container_id: str, path: str) -> Iterator[Iterator[bytes]]:
        """The tar of what lies at ``path``. What is not read by the end of the block is never sent; until then the
        container's removal waits, be it for a sparse terabyte. Raises docker.errors.NotFound."""
        with self.stream("GET", f"/containers/{container_id}/archive", {"path": path}) as response:
            yield response.iter_content(chunk_size=1 << 20)

    # -- streams ---------------------------------------------------------------------------------------

    def stream(self, method: str, path: str, params: Mapping[str, Any], **request: Any) -> Response:
        """A call whose answer is read as it comes, with no limit between two pieces. Closing it ends the call.

        Raises docker.errors.APIError for an answer that is none.
        """
        url = f"{self.api.base_url}/v{self.api.api_version}{path}"
        response: Response = self.api.request(method, url, params=params, stream=True, timeout=(30, None), **request)
        if response.status_code >= 400:
            try:
                response.raise_for_status()
            except HTTPError as error:
                raise create_api_error_from_http_exception(error) from error
        return response


@dataclass(frozen=True, slots=True)
class RunResult:
    exit_code: int
    output: str


def _frames(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Split the engine's multiplexed stream: 8 bytes of head (stream number, three zeros, length), then the data."""
    reader = IterReader(chunks)
    while len(head := reader.read(8)) == 8:
        left = int.from_bytes(head[4:], "big")
        while left > 0 and (data := reader.read_some(left)):
            left -= len(data)
            yield head[0], data


def _require_labels(labels: Mapping[str, str]) -> None:
    missing = {LABEL_INSTANCE, LABEL_HOST, LABEL_ATTEMPT} - labels.keys()
    if missing:
        raise ValueError(f"made without {', '.join(sorted(missing))}: the reaper would never find it")


def _owned(kind: str, raw: Mapping[str, Any], id_key: str, name_key: str) -> Owned:
    labels = dict(raw.get("Labels") or {})
    names = raw.get(name_key) or ""
    name = names[0] if isinstance(names, list) else names
    created = raw.get("Created") or raw.get("CreatedAt") or ""
    mode = str((raw.get("HostConfig") or {}).get("NetworkMode", "")) if kind == "container" else ""
    joined = mode.removeprefix("container:") if mode.startswith("container:") else ""
    if joined:
        labels.pop(LABEL_TAG, None)  # only rooms have one; here it would be the image's own and name anybody's
    attempt = labels.get(LABEL_ATTEMPT, "")
    return Owned(kind, str(raw[id_key]), str(name).lstrip("/"), attempt, labels, str(created), joined)
