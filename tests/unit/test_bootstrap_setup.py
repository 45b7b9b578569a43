"""Set-up: what it installs, makes and refuses."""

import ast
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bootstrap import apt, assets, cli, debs, engine, home, linting, settings, setup, venv
from bootstrap.errors import SetupError
from bootstrap.home import ROOT, Home
from bootstrap.registry import Registry

BACKING = settings.Backing(
    engine=f"unix://{engine.DEFAULT_SOCKET}",
    redis="redis://:word@127.0.0.1:7000/0",
    registry=Registry("127.0.0.1:7001", "127.0.0.1:7001", "slipway", "pass"),
    aws="http://127.0.0.1:7002",
)
ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting of the caller's reaches the code under test."""
    for name in ("DOCKER_HOST", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in settings.os.environ if name.startswith(settings.PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("path", sorted((ROOT / "bootstrap").glob("*.py")), ids=lambda path: path.name)
def test_set_up_needs_only_the_standard_library(path: Path) -> None:
    known = sys.stdlib_module_names | {"bootstrap"}
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= known


def test_every_verb_of_the_makefile_exists() -> None:
    called = set(re.findall(r"\$\(SETUP\) ([a-z-]+)", (ROOT / "Makefile").read_text()))
    assert called
    assert called <= set(cli.VERBS)


@pytest.mark.parametrize(("verb", "work"), [("lint", "run"), ("docs", "write_docs")])
def test_a_verb_that_needs_the_python_packages_brings_them(
    bare: pytest.MonkeyPatch, tmp_path: Path, verb: str, work: str
) -> None:
    done: list[str] = []
    bare.setattr(setup, "SHARED", Home(tmp_path))
    bare.setattr(venv, "ensure", lambda: done.append("packages"))
    bare.setattr(linting, work, lambda: done.append(work) or 0)
    assert cli.main([verb]) == 0
    assert done == ["packages", work]


@pytest.mark.parametrize("path", [*venv.LOCKS, "bootstrap/locks/uv.txt", "bootstrap/locks/node.txt"])
def test_python_locks_hold_hashes_and_no_addresses(path: str) -> None:
    text = (ROOT / path).read_text()
    requirements = re.findall(r"(?m)^[A-Za-z0-9].*==.*(?:\n +--hash=sha256:[0-9a-f]{64}.*)*", text)
    assert requirements
    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert not ADDRESS.search(text)


def test_the_npm_lock_holds_hashes_and_no_addresses() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    installed = {name: entry for name, entry in packages.items() if name}
    assert installed
    assert all(entry["integrity"].startswith("sha512-") for entry in installed.values())
    assert not any("resolved" in entry for entry in installed.values())


def test_copied_assets_point_only_at_files_that_are_there() -> None:
    stylesheets = list(assets.VENDOR.rglob("*.css"))
    assert stylesheets
    for path in [*stylesheets, *assets.VENDOR.rglob("*.js")]:
        text = path.read_text()
        assert "sourceMappingURL" not in text
        if path.suffix == ".css":
            targets = [target for target in re.findall(r'url\("?([^")]+)', text) if not target.startswith("data:")]
            missing = [target for target in targets if not (path.parent / target).is_file()]
            assert missing == []


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    place = Home(tmp_path)
    first = place.secret("registry")
    assert len(first) >= 40
    assert place.secret("registry") == first
    assert place.secret("redis") != first
    assert (tmp_path / "secrets" / "registry").stat().st_mode & 0o777 == 0o600


def test_a_socket_path_that_the_kernel_cannot_bind_is_refused(tmp_path: Path) -> None:
    assert home.require_short_socket(Path("/run/x.sock")) == Path("/run/x.sock")
    with pytest.raises(SetupError, match="too long for a Unix socket"):
        home.require_short_socket(tmp_path / ("deep/" * 30) / "docker.sock")


def test_an_engine_that_was_named_but_does_not_answer_stops_set_up(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SetupError, match="DOCKER_HOST=.*no engine answers"):
        engine.find()


def test_no_engine_is_started_beside_another_daemon(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(engine, "foreign_daemon", lambda: 4242)
    bare.setattr(apt, "is_root", lambda: True)
    with pytest.raises(SetupError, match="process 4242.*DOCKER_HOST"):
        engine.start()


def test_where_root_has_neither_an_engine_nor_apt_it_says_what_to_do(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(apt, "is_root", lambda: True)
    bare.setattr(apt, "can_install", lambda: False)
    bare.setattr(engine.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match="No Docker Engine answers"):
        engine.needs_packages("")


def test_packages_to_install_are_listed_once(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(setup.shutil, "which", lambda name, path=None: None)
    bare.setattr(setup.apt, "is_root", lambda: True)
    bare.setattr(setup.apt, "can_install", lambda: True)
    bare.setattr(setup.apt, "has_candidate", lambda name: name == "docker.io")
    bare.setattr(setup.registry, "given", lambda: None)
    bare.setattr(setup.registry, "_program", lambda: "")
    bare.setattr(setup.postgres, "binaries", lambda: None)
    bare.setattr(setup.chromium, "find", lambda: "")
    bare.setattr(setup.venv, "needs_packages", lambda: ["python3-venv"])
    packages = setup.missing_packages("", tests=True)
    assert len(packages) == len(set(packages))
    wanted = {"python3-venv", "docker.io", "iptables", "docker-registry", "skopeo", "git", "chromium", "postgresql"}
    assert wanted <= set(packages)
    assert not {"chromium", "postgresql"} & set(setup.missing_packages("", tests=False))


def test_services_stay_forbidden_while_packages_are_installed(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy, seen = tmp_path / "policy-rc.d", []

    def failing_apt(argv: list[str], what: str, env: dict[str, str]) -> str:
        seen.append((policy.stat().st_mode & 0o777, "exit 101" in policy.read_text()))
        raise SetupError("apt is out of order")

    bare.setattr(apt, "POLICY", policy)
    bare.setattr(apt, "run", failing_apt)
    with pytest.raises(SetupError, match="out of order"):
        apt._install(["docker.io"])
    assert seen == [(0o755, True)]
    assert not policy.exists()


def test_a_policy_of_the_operators_own_is_left_as_it_is(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    bare.setattr(apt, "POLICY", policy)
    bare.setattr(apt, "run", lambda *args, **kwargs: "")
    apt._install(["git"])
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_the_environment_is_kept_for_its_owner_and_read_back(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = Home(tmp_path)
    env = settings.build(place, BACKING, 8000)
    settings.save(place, env)
    assert settings.load(place) == env
    assert settings.env_path(place).stat().st_mode & 0o777 == 0o600
    assert "DOCKER_HOST" not in env


def test_what_the_caller_set_holds(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("SLIPWAY_AWS_REGION", "eu-central-1")
    bare.setenv("DATABASE_URL", "postgresql://db.example/slipway")
    other = settings.Backing("tcp://10.0.0.7:2376", BACKING.redis, BACKING.registry, BACKING.aws)
    env = settings.build(Home(tmp_path), other, 8000)
    assert env["SLIPWAY_AWS_REGION"] == "eu-central-1"
    assert env["DATABASE_URL"] == "postgresql://db.example/slipway"
    assert env["DOCKER_HOST"] == "tcp://10.0.0.7:2376"


def test_the_product_knows_every_setting_that_set_up_writes(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from portal import config

    for name, value in {**settings.build(Home(tmp_path), BACKING, 8000), **linting._production()}.items():
        bare.setenv(name, value)
    config.refuse_unknown()
    config.require_in_production(config.SlipwaySettings())


@pytest.mark.parametrize(
    ("name", "real"),
    [("./bin/sh", "usr/bin/sh"), ("./lib/x/y.so", "usr/lib/x/y.so"), ("./etc/passwd", "etc/passwd"), ("./", "")],
)
def test_old_places_are_moved_below_usr(name: str, real: str) -> None:
    assert debs.merged_name(name) == real


def test_a_layer_holds_the_packages_files_and_notes_them_as_installed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("DEBIAN", "bin", "usr/bin", "usr/share/doc/thing", "tmp"):
        (tree / name).mkdir(parents=True)
    fields = {"Package": "thing", "Version": "1.2-3", "Architecture": "all", "Maintainer": "x <x@example.com>"}
    control = "".join(f"{key}: {value}\n" for key, value in {**fields, "Description": "one\n and two"}.items())
    (tree / "DEBIAN" / "control").write_text(control)
    (tree / "bin" / "thing").write_text("#!/bin/sh\n")
    (tree / "usr" / "bin" / "other").write_text("#!/bin/sh\n")
    (tree / "usr" / "share" / "doc" / "thing" / "copyright").write_text("mine")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, tmp_path / "t.deb"], check=True, stdout=-3)
    debs.build_layer([tmp_path / "t.deb"], tmp_path / "layer.tar", {"usr/bin/again": "other"}, {"etc/x": b"y"})
    with tarfile.open(tmp_path / "layer.tar") as layer:
        names = layer.getnames()
        status = layer.extractfile("var/lib/dpkg/status").read().decode()
        modes = {name: layer.getmember(name).mode for name in ("tmp", "usr/bin/thing")}
        assert layer.getmember("bin").linkname == "usr/bin"
    # The engine refuses a layer that names a path twice.
    assert len(names) == len(set(names))
    assert {"usr/bin/thing", "usr/bin/other", "usr/bin/again", "etc/x"} <= set(names)
    assert not any(name.startswith("usr/share/doc/") for name in names)
    assert "Package: thing\nStatus: install ok installed\n" in status
    assert status.rstrip().endswith("and two")
    assert modes["tmp"] == 0o1777
