"""The four public images that docker-compose.yml begins with, or images of the same contract from Debian's packages.

What is made here serves `make compose-check` on machines that can pull nothing. It is never shipped.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import apt, base_image, debs, venv
from bootstrap.engine_http import EngineClient
from bootstrap.errors import SetupError
from bootstrap.report import step

#: On every image of a compose installation, with the name of its images (Dockerfile).
LABEL = "slipway.compose"
SYSTEM = ("base-files", "base-passwd", "dash", "bash", "coreutils", "grep", "sed", "findutils", "libc-bin")


@dataclass(frozen=True)
class Recipe:
    """``variable`` of .env, the public image, and what stands for it: packages, then lines of a Dockerfile."""

    variable: str
    public: str
    packages: tuple[str, ...]
    lines: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


POSTGRES_ENTRY = """\
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    umask 077
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 \\
        --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=" -w start
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@"
"""


def _account(name: str, number: int, *folders: str) -> str:
    made = " && ".join(f"install -d -o {number} -g {number} -m 0700 {folder}" for folder in folders)
    return (
        f"RUN echo '{name}:x:{number}:{number}::/:/bin/sh' >> /etc/passwd && echo '{name}:x:{number}:' >> /etc/group "
        f"&& {made}"
    )


RECIPES = (
    Recipe(
        "BASE_IMAGE",
        "python:3.11-slim-bookworm",
        (*base_image.PACKAGES, "iproute2", "skopeo", "git", "git-lfs", "openssh-client", "tar", "gzip"),
    ),
    Recipe(
        "POSTGRES_IMAGE",
        "postgres:15-bookworm",
        (*SYSTEM, "postgresql-15", "postgresql-client-15"),
        (
            _account("postgres", 999, "/var/lib/postgresql/data", "/var/run/postgresql"),
            "ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "STOPSIGNAL SIGINT",
            'ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]',
            'CMD ["postgres", "-c", "listen_addresses=*"]',
        ),
        (("usr/local/bin/docker-entrypoint.sh", POSTGRES_ENTRY),),
    ),
    Recipe(
        "REDIS_IMAGE",
        "redis:7-bookworm",
        (*SYSTEM, "redis-server", "redis-tools"),
        (_account("redis", 999, "/data"), "WORKDIR /data", 'CMD ["redis-server"]'),
    ),
    Recipe(
        "REGISTRY_IMAGE",
        "registry:2",
        (*SYSTEM, "docker-registry", "tar", "busybox-static"),
        (
            "RUN ln -s busybox /bin/wget && mkdir -p /var/lib/registry",
            'ENTRYPOINT ["docker-registry", "serve"]',
            'CMD ["/etc/distribution.yml"]',
        ),
        (
            (
                "etc/distribution.yml",
                "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n",
            ),
        ),
    ),
)


def ensure(client: EngineClient, project: str) -> dict[str, str]:
    """The image for each variable: the public one where it is there or can be pulled, else one made now."""
    return {recipe.variable: _ensure(client, recipe, project) for recipe in RECIPES}


def _ensure(client: EngineClient, recipe: Recipe, project: str) -> str:
    if client.image_labels(recipe.public) is not None or client.pull(recipe.public):
        return recipe.public
    name = f"slipway.local/compose-{recipe.variable.partition('_')[0].lower()}:{_key(recipe)}"
    if client.image_labels(name) is not None:
        return name
    if apt.release().get("VERSION_CODENAME") != "bookworm" or not shutil.which("dpkg-deb"):
        raise SetupError(
            f"{recipe.public} cannot be pulled from here, and its stand-in is made of packages on Debian 12 only. "
            f"Load that image into the engine first."
        )
    with step(f"Image for {recipe.public} from packages"), tempfile.TemporaryDirectory() as scratch:
        _make(client, recipe, name, project, Path(scratch))
    return name


def _key(recipe: Recipe) -> str:
    return venv.digest([Path(debs.__file__)], repr(recipe))[:12]


def _make(client: EngineClient, recipe: Recipe, name: str, project: str, scratch: Path) -> None:
    layer = scratch / "layer.tar"
    packages = debs.download(recipe.packages, scratch / "debs")
    links = {"usr/bin/python": "python3"} if recipe.variable == "BASE_IMAGE" else {}
    environment = [base_image.SEARCH_PATH]
    certificates: dict[str, bytes] = {}
    if links and venv.CA_BUNDLE.exists():
        # Builds in it reach the package index as this machine does; the image never leaves it (see base_image).
        certificates[base_image.BUNDLE] = venv.CA_BUNDLE.read_bytes()
        environment.append(f"PIP_CERT=/{base_image.BUNDLE}")
    debs.build_layer(packages, layer, links, certificates)
    changes = [f"LABEL {LABEL}={project}", *(f"ENV {value}" for value in environment)]
    client.import_image(_chunks(layer), f"{name}-layer", changes)
    compiled = [base_image.COMPILE] if links else []
    lines = [f"FROM {name}-layer", *compiled, *(f"COPY {path} /{path}" for path, _ in recipe.files)]
    client.build_image(name, "\n".join([*lines, *recipe.lines]) + "\n", recipe.files)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(base_image.CHUNK):
            yield data
