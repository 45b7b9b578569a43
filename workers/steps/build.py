"""Build: the source archive becomes an image in the staging registry, known by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from docker.errors import DockerException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from listings import blobs
from listings.problems import ProblemError
from listings.reports import StepReport
from workers import engine as engines
from workers import selftest
from workers.building import bases, builder, context, dockerfile, room, staging
from workers.engine import Engine
from workers.registries import Registry
from workers.registries import staging as staging_registry
from workers.steps.contract import StepContext

_TRIES = 3


def execute(context: StepContext) -> StepReport:
    """Facts: staging_repository, digest, media_type, steps, cached, peak_pids, peak_memory_bytes."""
    engine = engines.connect()
    try:
        selftest.require_build_limits(engine)
        return _Build(engine, context).run()
    except ProblemError:
        # What an engine that goes away leaves behind looks like a failed build.
        engine.require()
        raise
    except (DockerException, RequestException, HTTPError) as error:
        raise engines.problem_of(error) from error
    finally:
        engine.close()


def room_options() -> room.RoomOptions:
    """The limits and the openings of a room, from the settings. Raises ProblemError BUILD-ROOM for unreadable ones."""
    config = settings.SLIPWAY
    try:
        allow, dns = room.networks(config.build_allow_networks), room.networks(config.build_dns)
    except ValueError as error:
        raise ProblemError("BUILD-ROOM", message=f"A SLIPWAY_BUILD_ setting is wrong: {error}.") from error
    return room.RoomOptions(
        image=config.build_room_image,
        memory_mb=config.build_memory_mb,
        cpus=config.build_cpus,
        pids=config.build_pids,
        allow=allow,
        dns=tuple(str(server.network_address) for server in dns),
        cgroup_parent=config.build_cgroup_parent,
    )


class _Build:
    def __init__(self, engine: Engine, step: StepContext) -> None:
        self._engine, self._step = engine, step
        self._spec: Mapping[str, Any] = step.facts["fetch"]["spec"].get("build") or {}
        self._archive: str = step.facts["fetch"]["archive_sha256"]
        self._path = context.normalise(str(self._spec.get("dockerfile") or "Dockerfile"))
        self._args = {str(key): str(value) for key, value in (self._spec.get("args") or {}).items()}
        self._registry: Registry = staging_registry()
        self._options = room_options()

    def run(self) -> StepReport:
        source = self._read()
        parsed = dockerfile.parse(source.dockerfile)
        rules = dockerfile.ImageRules(self._staging_hosts(), self._options.allow)
        images = dockerfile.check(parsed, self._args, rules)
        dockerfile.refuse_secret_args(self._args)
        log, stop = self._step.log, self._step.stop
        if parsed.syntax:
            log.line(f"# syntax={parsed.syntax} has no effect: builds run with the classic builder.", "slipway")
        bases.provide(self._engine, images, rules, self._options.allow, log, stop)
        request = self._request(source)
        stop.check()
        return self._build_and_push(request, parsed)

    def _build_and_push(self, request: builder.BuildRequest, parsed: dockerfile.Dockerfile) -> StepReport:
        log, repository = self._step.log, staging.new_repository()
        name = self._registry.engine_reference(repository, tag=staging.TAG)
        place = room.open_room(self._engine, self._options, self._step.labels, tag=name)
        try:
            log.line(self._describe(), "slipway")
            built, staged = self._until_staged(place, request, parsed, repository)
        finally:
            room.close_room(self._engine, place)
        log.line(f"Image {staged.digest}", "slipway")
        return StepReport(
            {
                "staging_repository": staged.repository,
                "digest": staged.digest,
                "media_type": staged.media_type,
                "steps": built.steps,
                "cached": built.cached,
                "peak_pids": built.peak_pids,
                "peak_memory_bytes": built.peak_memory,
            }
        )

    def _until_staged(
        self, place: room.Room, request: builder.BuildRequest, parsed: dockerfile.Dockerfile, repository: str
    ) -> tuple[builder.Built, staging.Staged]:
        log, stop = self._step.log, self._step.stop
        for left in reversed(range(_TRIES)):
            # Without the cache, no step's image is another build's.
            request = request if left else replace(request, no_cache=True)
            try:
                built = builder.build(self._engine, place, request, parsed, log, stop)
                log.section("Push to staging")
                return built, staging.push(self._engine, built.image_id, self._registry, repository, log, stop)
            except staging.ImageGone:
                log.line("Another build of the same content removed the image; building again.", "slipway")
        raise ProblemError("ENGINE-REFUSED", message="The image was removed from the engine before it could be pushed.")

    def _read(self) -> context.Source:
        with blobs.open_blob(self._archive) as archive:
            return context.read_source(archive, self._path)

    def _request(self, source: context.Source) -> builder.BuildRequest:
        target = self._step.workdir / "context.tar"
        with blobs.open_blob(self._archive) as archive:
            dropped = context.write_context(archive, source, self._path, target, self._step.stop.check)
        if dropped:
            self._step.log.line(f".dockerignore left out {dropped} entries of the source.", "slipway")
        wanted = self._spec.get("target")
        return builder.BuildRequest(
            target, self._path, settings.SLIPWAY.build_disk_mb, str(wanted) if wanted else None, self._args
        )

    def _staging_hosts(self) -> list[str]:
        return [self._registry.engine_host, self._registry.worker_host]

    def _describe(self) -> str:
        options = self._options
        return (
            f"Limits: {options.memory_mb} MB of memory, {options.cpus:g} CPUs, {options.pids} processes, "
            f"{settings.SLIPWAY.build_disk_mb} MB of disk. No way to private networks, the host or metadata services."
        )
