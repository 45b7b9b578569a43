"""Set-up by an ordinary user: what is asked of root, once and in words to copy, and what works without."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from bootstrap import apt, cli, debs, engine, engine_http, setup
from bootstrap.engine_http import EngineClient, EngineSilent
from bootstrap.errors import SetupError

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An ordinary user on Debian, whose environment names no service."""
    named = [name for name in os.environ if name.startswith("SLIPWAY_")]
    for name in ("DOCKER_HOST", "DATABASE_URL", "REDIS_URL", "XDG_RUNTIME_DIR", *named):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(apt, "is_root", lambda: False)
    monkeypatch.setattr(apt, "release", lambda: DEBIAN)
    return monkeypatch


def lacking(monkeypatch: pytest.MonkeyPatch, *hidden: str) -> None:
    """Hide programs from set-up."""
    find = shutil.which

    def which(name: str, mode: int = os.F_OK | os.X_OK, path: str | None = None) -> str | None:
        return None if name in hidden else find(name, mode, path) or f"/usr/bin/{name}"

    monkeypatch.setattr(shutil, "which", which)


def test_everything_that_is_missing_is_asked_for_in_one_line(ordinary: pytest.MonkeyPatch) -> None:
    lacking(ordinary, "docker-registry", "registry", "skopeo", "git", "chromium", *setup.chromium.NAMES)
    ordinary.setattr(setup.registry, "_has_image", lambda engine: False)
    ordinary.setattr(setup.postgres, "binaries", lambda: None)
    ordinary.delenv("CHROMIUM_EXECUTABLE", raising=False)
    packages = setup.missing_packages("unix:///engine.sock", tests=True)
    with pytest.raises(SetupError) as error:
        apt.announce(packages, "the tests")
    lines = str(error.value).splitlines()
    command = next(line.split() for line in lines if "apt-get" in line)
    assert command[:4] == ["sudo", "apt-get", "install", "--no-install-recommends"]
    assert command[4:] == ["docker-registry", "skopeo", "git", "chromium", "postgresql"]
    assert any(line.startswith("docker-registry: ") and "SLIPWAY_STAGING_REGISTRY_ENGINE" in line for line in lines)


def test_elsewhere_than_on_debian_no_apt_line_is_shown(ordinary: pytest.MonkeyPatch) -> None:
    ordinary.setattr(apt, "release", lambda: {"ID": "fedora"})
    with pytest.raises(SetupError, match="Missing for Slipway: what Debian calls skopeo, git") as error:
        apt.announce(["skopeo", "git"], "Slipway")
    assert "apt-get" not in str(error.value)


def test_without_any_engine_the_line_brings_one_and_names_its_group(ordinary: pytest.MonkeyPatch) -> None:
    lacking(ordinary, "dockerd", "docker")
    ordinary.setattr(apt, "has_candidate", lambda name: name == "docker.io")
    packages = engine.needs_packages("")
    assert set(packages) == {"docker.io"}
    with pytest.raises(SetupError, match=r"usermod -aG docker \$USER.*DOCKER_HOST"):
        apt.announce(packages, "Slipway")


def test_an_engine_that_is_installed_but_stopped_is_to_be_started(ordinary: pytest.MonkeyPatch) -> None:
    lacking(ordinary)
    with pytest.raises(SetupError, match="sudo systemctl start docker"):
        engine.needs_packages("")


@pytest.mark.parametrize(("number", "command"), [(2**31 - 7, "usermod -aG 2147483641 "), (0, "chgrp docker ")])
def test_a_socket_that_is_closed_to_the_user_is_opened_by_its_group(
    ordinary: pytest.MonkeyPatch, tmp_path: Path, number: int, command: str
) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    ordinary.setattr(engine, "DEFAULT_SOCKET", path)
    ordinary.setattr(engine, "candidates", lambda: iter(()))
    ordinary.setattr(os, "access", lambda path, mode: False)
    ordinary.setattr(Path, "stat", lambda path, **options: os.stat_result((0o140660, 0, 0, 1, 0, number, 0, 0, 0, 0)))
    with pytest.raises(SetupError, match=command):
        engine.find()


def test_a_runtime_folder_of_somebody_else_holds_no_engine(ordinary: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`su` keeps XDG_RUNTIME_DIR, and the folder that it names is closed to the new user."""

    def closed(path: Path, **options: bool) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    ordinary.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ordinary.setattr(Path, "stat", closed)
    assert f"unix://{tmp_path}/docker.sock" not in list(engine.candidates())


@pytest.mark.parametrize("name", ["var", "var/slipway.env", "vendor"])
def test_what_another_user_set_up_is_refused_by_name(
    ordinary: pytest.MonkeyPatch, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    var, vendor, other = tmp_path / "var", tmp_path / "vendor", tmp_path / name
    for path in (var, vendor):
        path.mkdir()
    (var / "slipway.env").touch()
    setup.require_own_files(var, vendor)
    mine, real = os.geteuid(), Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        found = list(real(path, **options))
        return os.stat_result([*found[:4], mine + 1 if path == other else mine, *found[5:]])

    ordinary.setattr(Path, "stat", stat)
    ordinary.setattr(cli.setup.require_own_files, "__defaults__", (var, vendor))
    assert cli.main(["down"]) == 1
    assert f"{other} belongs to another user" in capsys.readouterr().err


def test_before_the_first_set_up_nothing_is_refused(ordinary: pytest.MonkeyPatch, tmp_path: Path) -> None:
    setup.require_own_files(tmp_path / "var", tmp_path / "vendor")


def test_missing_package_lists_are_fetched_to_a_folder_of_the_users_own(
    ordinary: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[list[str]] = []

    def apt_get(argv: list[object], what: str) -> str:
        words = [str(word) for word in argv]
        calls.append(words)
        own = f"Dir::State::lists={tmp_path / 'lists'}" in words
        if not own:
            raise SetupError("E: Unable to locate package busybox-static")
        if "install" in words:
            (tmp_path / "busybox-static.deb").touch()
        return ""

    ordinary.setattr(debs, "run", apt_get)
    assert debs.download(["busybox-static"], tmp_path) == [tmp_path / "busybox-static.deb"]
    assert [next(word for word in call if word in ("install", "update")) for call in calls] == [
        "install",
        "update",
        "install",
    ]
    assert (tmp_path / "lists" / "partial").is_dir()


def test_an_engine_that_says_nothing_ends_set_up_in_plain_words(
    ordinary: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A busy engine is no traceback, and a pull that hangs is one that failed."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        client = EngineClient(f"unix://{folder}/s")
        with pytest.raises(EngineSilent, match=f"unix://{folder}/s said nothing"):
            client.call("GET", "/_ping", timeout=0.05)
        ordinary.setattr(engine_http, "PING_SECONDS", 0.05)
        assert not client.answers()

    def stuck(arguments: object) -> int:
        raise EngineSilent("The Docker Engine said nothing.")

    ordinary.setitem(cli.VERBS, "down", stuck)
    assert cli.main(["down"]) == 1
    assert "The Docker Engine said nothing." in capsys.readouterr().err
