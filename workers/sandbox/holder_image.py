"""The holder's image: Slipway's own program over the local base, built once and tagged by the hash of its inputs."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from django.conf import settings
from docker.errors import BuildError, DockerException, ImageNotFound

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.engine import Engine

SOURCE = Path(__file__).parent / "holder"
REPOSITORY = "slipway.local/holder"
DOCKERFILE = """\
FROM {base}
COPY holder /opt/slipway/holder
WORKDIR /opt/slipway
# Compiled now what would else be compiled at each start: public Python images come without bytecode.
RUN ["python3", "-s", "-c", "import holder.main"]
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENTRYPOINT ["python3", "-s", "-m", "holder.main"]
CMD []
"""


def ensure_holder_image(engine: Engine) -> str:
    """The holder image's name, built now if this engine lacks it. Called at worker start and before each test.

    Raises ProblemError TEST-HOLDER-IMAGE.
    """
    base = settings.SLIPWAY.holder_base_image
    try:
        base_id = engine.image_id(base)
    except ImageNotFound as error:
        raise ProblemError("TEST-HOLDER-IMAGE", reason=f"the engine has no image {base}") from error
    name = f"{REPOSITORY}:{_hash(base_id)}"
    if not engine.has_image(name):
        _build(engine, base, name)
    return name


def _sources() -> list[Path]:
    return sorted(SOURCE.glob("*.py"))


def _hash(base_id: str) -> str:
    digest = hashlib.sha256(f"{base_id}\n{DOCKERFILE}".encode())
    for path in _sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _build(engine: Engine, base: str, name: str) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        _add(archive, "Dockerfile", DOCKERFILE.format(base=base).encode())
        for path in _sources():
            _add(archive, f"holder/{path.name}", path.read_bytes())
    context.seek(0)
    try:
        engine.client.images.build(
            fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True, network_mode="none", pull=False
        )
    except (BuildError, DockerException) as error:
        raise ProblemError("TEST-HOLDER-IMAGE", reason=str(error), evidence=(Evidence(str(error)),)) from error


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    archive.addfile(member, io.BytesIO(content))
