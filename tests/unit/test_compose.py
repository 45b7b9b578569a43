"""docker-compose.yml's own parts: .env with random secrets, names of worker hosts, whose forwarding headers count."""

import os
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
import yaml
from cryptography.fernet import Fernet

from bootstrap import compose_env
from bootstrap.compose import Container
from bootstrap.compose_check import settings as check_settings
from bootstrap.errors import SetupError
from portal.config import SlipwaySettings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
SECRETS = {
    "SLIPWAY_SECRET_KEY", "SLIPWAY_ENCRYPTION_KEYS", "SLIPWAY_STAGING_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD",
    "REGISTRY_HTTP_SECRET", "DATABASE_URL", "REDIS_URL",
}  # fmt: skip
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t000013AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""


def script(name):
    return runpy.run_path(str(ROOT / "deploy" / name))


@pytest.fixture
def socket(tmp_path, monkeypatch):
    path = tmp_path / "docker.sock"
    path.touch()
    monkeypatch.setenv("DOCKER_SOCKET", str(path))
    return path


def read(path):
    return dict(
        line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#")
    )


def test_an_env_file_is_its_owners_and_every_secret_in_it_is_new(tmp_path, socket):
    first, second = (read(compose_env.write(tmp_path / name)) for name in ("a", "b"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert all(len(first[name]) >= 32 and first[name] != second[name] for name in SECRETS)
    assert first["POSTGRES_PASSWORD"] in first["DATABASE_URL"]
    assert first["REDIS_PASSWORD"] in first["REDIS_URL"]
    assert Fernet(first["SLIPWAY_ENCRYPTION_KEYS"])
    assert first["DOCKER_GID"] == str(socket.stat().st_gid)
    # What would need quoting means something else to one compose or the other.
    assert not any(re.search(r"[\s'\"$#\\]", first[name]) for name in SECRETS)


def test_an_env_file_that_is_there_is_never_replaced(tmp_path, socket):
    path = compose_env.write(tmp_path / "env")
    before = path.read_text()
    with pytest.raises(SetupError, match="there already"):
        compose_env.write(path)
    assert path.read_text() == before


def test_without_a_socket_the_file_says_which_one_it_wants(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_SOCKET", str(tmp_path / "nowhere.sock"))
    with pytest.raises(SetupError, match="nowhere.sock"):
        compose_env.write(tmp_path / "env")


def test_the_socket_is_the_one_named_then_the_one_that_docker_itself_would_use():
    listening = {"DOCKER_HOST": "unix:///srv/engine.sock"}
    assert str(compose_env.engine_socket(listening | {"DOCKER_SOCKET": "/named.sock"})) == "/named.sock"
    assert str(compose_env.engine_socket(listening)) == "/srv/engine.sock"
    assert compose_env.engine_socket({"DOCKER_HOST": "tcp://engine:2376"}) == compose_env.SOCKET
    assert compose_env.engine_socket({}) == compose_env.SOCKET


def test_a_value_takes_the_place_of_a_line_that_was_commented_out():
    text = compose_env.fill("# About A=1\nA=\n# B=old\n", {"A": "1", "B": "2", "C": "3"})
    assert text == "# About A=1\nA=1\nB=2\nC=3\n"


def test_no_secret_has_a_default():
    used = dict(re.findall(r"\$\{(\w+)(:?[-?])", COMPOSE))
    assert {name: used[name] for name in SECRETS} == dict.fromkeys(SECRETS, ":?")
    for name in SECRETS:
        assert f"${{{name}:-" not in COMPOSE


def test_every_setting_of_the_example_is_one_that_slipway_reads():
    names = set(re.findall(r"^(?:# )?(SLIPWAY_\w+)=", compose_env.EXAMPLE.read_text(), re.MULTILINE))
    assert names <= {f"SLIPWAY_{name.upper()}" for name in SlipwaySettings.model_fields}


def test_every_variable_of_the_compose_file_stands_in_the_example():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE)) - {"ENV_FILE", "IMAGE_NAME", "IMAGE_TAG"}
    assert used - set(re.findall(r"^(?:# )?(\w+)=", compose_env.EXAMPLE.read_text(), re.MULTILINE)) == set()


def test_only_the_engine_worker_has_the_engines_socket():
    with_socket = {name for name, service in SERVICES.items() if "docker.sock" in str(service.get("volumes"))}
    assert with_socket == {"engine"}
    assert set(SERVICES["web"]["networks"]) == {"front", "back"}


def test_what_publishes_a_port_is_the_portal_and_on_loopback_the_registry():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"web", "registry"}
    assert all(port.startswith("127.0.0.1:") for port in ports["registry"])


def test_the_check_says_nothing_twice_that_the_secrets_say(tmp_path):
    assert not SECRETS & set(check_settings("x", tmp_path / "env", {}))


def test_the_gateway_is_the_default_routes():
    web = script("web.py")
    assert web["gateway"](ROUTES) == "172.18.0.1"
    assert web["gateway"](ROUTES.splitlines()[0]) == ""
    assert "--no-proxy-headers" in web["command"]("")
    assert web["command"]("172.18.0.1")[-2:] == ["--forwarded-allow-ips", "172.18.0.1"]


def test_a_name_of_a_worker_host_is_held_by_one_process_and_free_after_it(tmp_path):
    take = script("worker.py")["take_name"]
    code = (
        "import runpy, sys, pathlib; take = runpy.run_path(sys.argv[1])['take_name'];"
        "print(take('engine', pathlib.Path(sys.argv[2])), flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(ROOT / "deploy" / "worker.py"), str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline().strip() == "engine-1"
        assert take("engine", tmp_path) == "engine-2"
        assert take("b-engine", tmp_path) == "b-engine-1"
        other.stdin.close()
        other.wait()
    assert take("engine", tmp_path) == "engine-1"


def test_the_registrys_password_file_opens_with_the_password():
    user, _, hashed = script("registry_password.py")["entry"]("slipway", "secret").strip().partition(":")
    assert user == "slipway"
    assert bcrypt.checkpw(b"secret", hashed.encode())


@pytest.mark.parametrize(
    ("service", "state", "ready"),
    [
        ("web", {"Status": "running", "Health": {"Status": "healthy"}}, True),
        ("web", {"Status": "running", "Health": {"Status": "starting"}}, False),
        ("web", {"Status": "exited", "ExitCode": 0}, False),
        ("migrate", {"Status": "exited", "ExitCode": 0}, True),
        ("migrate", {"Status": "exited", "ExitCode": 1}, False),
        ("migrate", {"Status": "running"}, False),
    ],
)
def test_a_container_is_ready_when_it_is_healthy_or_has_done_its_work(service, state, ready):
    assert Container(service, {"State": state}).is_ready is ready


def test_scripts_that_images_run_may_be_run():
    for name in ("packages", "python-packages", "prepare.sh"):
        assert os.access(ROOT / "deploy" / name, os.X_OK)
