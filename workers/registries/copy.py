"""Copying an image from one registry to another, its manifest byte for byte, by ``skopeo``.

An image pulled and pushed again gets another digest (its layers are compressed anew); a copy from registry to
registry keeps it, so what is published is what was tested.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from workers import spans
from workers.registries.client import RegistryClient, is_digest
from workers.registries.names import Registry
from workers.steps.contract import Stop

#: skopeo is asked to end before it is killed: it then closes its uploads.
GRACE_SECONDS = 5.0
#: How often a copy with a limit is looked at, and how much it may write besides layers.
WATCH_SECONDS, PROTOCOL_BYTES = 0.25, 8 << 20
_PASSED_ON = (
    "PATH",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class CopyFailed(Exception):
    """skopeo did not copy. ``lines`` are its last words."""

    def __init__(self, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines


class CopyTooLarge(CopyFailed):
    """skopeo was stopped because it sent more than it may."""


class TagTaken(Exception):
    """The tag is there with another digest; tags are never moved."""

    def __init__(self, tag: str, digest: str) -> None:
        super().__init__(f"{tag} is {digest}")
        self.tag, self.digest = tag, digest


def copy_image(
    source: tuple[Registry, str],
    digest: str,
    target: tuple[Registry, str],
    tag: str,
    *,
    workdir: Path,
    stop: Stop,
    say: Callable[[str], object],
    timeout: float,
) -> bool:
    """Copy ``source``'s manifest ``digest`` to ``target`` under ``tag``; (registry, repository) each.

    False if the target has it under that tag already: then nothing is sent. ``timeout`` in seconds.
    Raises TagTaken, CopyFailed, RegistryError, StepStopped.
    """
    if not is_digest(digest):
        raise ValueError(f"not a digest: {digest!r}")
    with RegistryClient(target[0]) as client:
        if _already_there(client, target[1], tag, digest):
            return False
        with tempfile.TemporaryDirectory(dir=workdir, prefix="copy-") as private:
            command = skopeo_command(source, digest, target, tag, Path(private))
            try:
                _run(command, Path(private), stop, say, timeout)
            except CopyFailed:
                # Another worker may have been faster; an immutable tag then refuses ours.
                if not _already_there(client, target[1], tag, digest):
                    raise
        found = client.manifest(target[1], tag).digest
    if found != digest:
        raise TagTaken(tag, found)
    return True


def _already_there(client: RegistryClient, repository: str, tag: str, digest: str) -> bool:
    found = client.find(repository, tag)
    if found is not None and found != digest:
        raise TagTaken(tag, found)
    return found == digest


def skopeo_command(
    source: tuple[Registry, str], digest: str, target: tuple[Registry, str], tag: str, private: Path
) -> list[str]:
    """The command line; passwords go to files below ``private`` that only this user can read."""
    from_file = write_auth(private / "from.json", source[0])
    to_file = write_auth(private / "to.json", target[0])
    return [
        # Whose signatures to trust is a question for images from outside; this one is named by its digest.
        "skopeo",
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        "--remove-signatures",
        "--retry-times",
        "2",
        "--src-authfile",
        str(from_file),
        f"--src-tls-verify={_yes(not source[0].plain_http)}",
        "--dest-authfile",
        str(to_file),
        f"--dest-tls-verify={_yes(not target[0].plain_http)}",
        f"docker://{source[0].worker_reference(source[1], digest=digest)}",
        f"docker://{target[0].worker_reference(target[1], tag=tag)}",
    ]


def push_folder(
    folder: Path,
    target: tuple[Registry, str],
    tag: str,
    *,
    workdir: Path,
    stop: Stop,
    say: Callable[[str], object],
    timeout: float,
    limit: int,
) -> None:
    """Copy an image from a folder (skopeo's ``dir`` layout) to ``target`` as Docker's manifest, its layers gzipped.

    A Docker manifest with gzip layers goes byte for byte. Other layers may grow: at most about ``limit`` bytes are
    sent. ``timeout`` in seconds. Raises CopyTooLarge, CopyFailed, StepStopped.
    """
    with tempfile.TemporaryDirectory(dir=workdir, prefix="copy-") as private:
        auth = write_auth(Path(private) / "to.json", target[0])
        command = [
            "skopeo", "--insecure-policy", "--override-os", "linux", "--override-arch", "amd64", "copy",
            "--format", "v2s2", "--dest-compress-format", "gzip", "--remove-signatures", "--retry-times", "2",
            "--dest-authfile", str(auth), f"--dest-tls-verify={_yes(not target[0].plain_http)}",
            f"dir:{folder}", f"docker://{target[0].worker_reference(target[1], tag=tag)}",
        ]  # fmt: skip
        _run(command, Path(private), stop, say, timeout, limit)


def write_auth(path: Path, registry: Registry) -> Path:
    """An auth file in the form that skopeo and the docker CLI read, readable by this user only."""
    auths: dict[str, dict[str, str]] = {}
    if registry.credentials is not None:
        pair = f"{registry.credentials.username}:{registry.credentials.password}"
        auths[registry.worker_host] = {"auth": base64.b64encode(pair.encode()).decode()}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"auths": auths}, file)
    return path


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _environment(private: Path) -> Mapping[str, str]:
    """Nothing of the worker's but the way to the network. skopeo keeps its blob cache below ``private``:

    as root it would otherwise share one in /var/lib with every other user of the machine.
    """
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    here = str(private)
    return kept | {
        "HOME": here,
        "TMPDIR": here,
        "XDG_RUNTIME_DIR": here,
        "XDG_DATA_HOME": here,
        "XDG_CONFIG_HOME": here,
        "_CONTAINERS_ROOTLESS_UID": str(os.getuid() or 65534),
    }


def _die_with(parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the worker died between fork and prctl
            os._exit(1)

    return before_exec


def _start(command: list[str], private: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(private),
        start_new_session=True,
        preexec_fn=_die_with(os.getpid()),
    )


def _run(
    command: list[str], private: Path, stop: Stop, say: Callable[[str], object], timeout: float, limit: int = 0
) -> None:
    stop.check()
    last: deque[str] = deque(maxlen=20)
    late, over, done = threading.Event(), threading.Event(), threading.Event()
    child = _start(command, private)

    def end() -> None:
        _end(child)

    def time_is_up() -> None:
        late.set()
        end()

    timer = threading.Timer(timeout, time_is_up)
    timer.daemon = True
    timer.start()
    stop.on_stop(end)
    if limit:
        threading.Thread(target=_watch, args=(child, limit, over, done), daemon=True).start()
    assert child.stdout is not None
    try:
        with spans.span("registry"):
            for line in child.stdout:
                last.append(line.rstrip())
                say(line.rstrip())
            code = child.wait()
    finally:
        timer.cancel()
        done.set()
        stop.forget(end)
        _end(child)
        child.stdout.close()
    stop.check()
    if over.is_set():
        raise CopyTooLarge(f"the copy sent more than {limit} bytes", tuple(last))
    if late.is_set():
        raise CopyFailed(f"the copy took more than {timeout:g} s", tuple(last))
    if code != 0:
        raise CopyFailed(f"skopeo ended with {code}", tuple(last))


def _watch(child: subprocess.Popen[str], limit: int, over: threading.Event, done: threading.Event) -> None:
    """End the child once it has written more than ``limit`` bytes and what the protocol adds."""
    while not done.wait(WATCH_SECONDS):
        try:
            fields = Path(f"/proc/{child.pid}/io").read_text().split()
        except OSError:  # it has ended
            return
        if int(fields[fields.index("wchar:") + 1]) > limit + PROTOCOL_BYTES:
            over.set()
            _end(child)
            return


def _end(child: subprocess.Popen[str]) -> None:
    """End the child's whole group: SIGTERM, then SIGKILL. Does nothing once it has ended."""
    for what, grace in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        if child.poll() is not None:
            return
        try:
            os.killpg(child.pid, what)
            child.wait(grace)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
