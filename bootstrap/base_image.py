"""The local base images: Python on Debian for samples and tests, and a static busybox for tests.

They are made here so that neither the demo nor the tests pull anything. They are no product images.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from bootstrap import apt, debs, venv
from bootstrap.engine_http import EngineClient
from bootstrap.errors import SetupError
from bootstrap.home import SHARED
from bootstrap.report import step

PYTHON_IMAGE = "slipway.local/python:3.11-bookworm"
PYTHON_LAYER = "slipway.local/python-layer:3.11-bookworm"
BUSYBOX_IMAGE = "slipway.local/busybox:1"
PULLED = {PYTHON_IMAGE: "python:3.11-slim-bookworm", BUSYBOX_IMAGE: "busybox:1-musl"}
LABEL = "slipway.base"
SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
CHUNK = 1 << 20


def _words(text: str) -> list[str]:
    return text.split()


PACKAGES = _words(
    "base-files base-passwd dash bash coreutils grep sed findutils libc-bin python3 python3-pip "
    "ca-certificates tzdata libstdc++6 libgomp1"
)
APPLETS = _words(
    "sh ash cat ls cp mv rm mkdir touch echo printf test [ sleep date dd head tail grep sed awk tr wc sort find xargs "
    "env id ps kill true false seq stat chmod chown ln mktemp httpd nc wget nslookup ping ip ifconfig netstat yes df "
    "du tar gzip gunzip sha256sum timeout uname hostname vi tee cut expr readlink basename dirname setsid nohup mount"
)
#: As the installation of these packages does it; else each start of Python compiles what it imports for half a second.
COMPILE = "RUN python3 -m compileall -q -j 0 /usr/lib/python3.11 /usr/lib/python3/dist-packages"
_LOCK = threading.Lock()
Builder = Callable[[EngineClient, Path, str], None]


def ensure(address: str) -> None:
    """Make both images in the engine unless they are there and of today's recipe."""
    with _LOCK:
        client = EngineClient(address)
        _ensure(client, PYTHON_IMAGE, _import_python)
        _ensure(client, BUSYBOX_IMAGE, _import_busybox)


def _key() -> str:
    recipe = [Path(__file__), Path(debs.__file__)]
    return venv.digest([*recipe, *([venv.CA_BUNDLE] if venv.CA_BUNDLE.exists() else [])])[:16]


def _ensure(client: EngineClient, image: str, build: Builder) -> None:
    key, labels = _key(), client.image_labels(image)
    remembered = SHARED.path("images", image.replace("/", "_").replace(":", "_"))
    if labels is not None and (labels.get(LABEL) == key or venv.is_done(remembered, key)):
        return
    with step(f"Base image {image}"):
        if apt.release().get("VERSION_CODENAME") == "bookworm" and shutil.which("dpkg-deb"):
            with tempfile.TemporaryDirectory(dir=SHARED.directory("images")) as scratch:
                build(client, Path(scratch), key)
        elif client.pull(PULLED[image]):
            client.tag(PULLED[image], image)
            remembered.write_text(key)
        else:
            raise SetupError(
                f"The base image {image} is built from packages on Debian 12 only, and {PULLED[image]} cannot be "
                f"pulled from here. Load that image into the engine and tag it {image}."
            )


def _import_python(client: EngineClient, scratch: Path, key: str) -> None:
    """Debian 12 with Python and pip from its own packages; the package database is the real one."""
    layer = scratch / "layer.tar"
    packages = debs.download(PACKAGES, scratch / "debs")
    # The certificates of this machine are baked in because it may reach its package registry through a private
    # authority. That is right for a base that never leaves this machine, and wrong for any image that does.
    files = {BUNDLE: venv.CA_BUNDLE.read_bytes()} if venv.CA_BUNDLE.exists() else {}
    debs.build_layer(packages, layer, {"usr/bin/python": "python3"}, files)
    environment = [SEARCH_PATH, *([f"PIP_CERT=/{BUNDLE}"] if files else [])]
    changes = ['CMD ["python3"]', f"LABEL {LABEL}={key}", *(f"ENV {value}" for value in environment)]
    client.import_image(_chunks(layer), PYTHON_LAYER, changes)
    client.build_image(PYTHON_IMAGE, f"FROM {PYTHON_LAYER}\n{COMPILE}\n")


def _import_busybox(client: EngineClient, scratch: Path, key: str) -> None:
    """One static program under all its names: the smallest thing with a shell."""
    package = next(path for path in debs.download(["busybox-static"], scratch / "bb") if "busybox" in path.name)
    layer = scratch / "busybox.tar"
    links = {f"usr/bin/{name}": "busybox" for name in APPLETS}
    accounts = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "etc/group": b"root:x:0:\n"}
    debs.build_layer([package], layer, links, accounts)
    changes = ['CMD ["sh"]', f"LABEL {LABEL}={key}", f"ENV {SEARCH_PATH}"]
    client.import_image(_chunks(layer), BUSYBOX_IMAGE, changes)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            yield data
