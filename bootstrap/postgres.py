"""PostgreSQL for the tests: the one DATABASE_URL names, else the distribution's, with its cluster below var/test."""

import os
import pwd
import shutil
from pathlib import Path

from bootstrap import apt, ports, processes
from bootstrap.errors import SetupError
from bootstrap.home import Home, write_private
from bootstrap.report import step
from bootstrap.run import run

NAME = "postgres"
USER = "slipway"
PACKAGE = "postgresql"
# Speed for data that no test keeps: nothing here outlives a crash of the machine.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
}


def binaries() -> Path | None:
    """The folder of the newest server programs on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def needs_packages() -> list[str]:
    return [] if os.environ.get("DATABASE_URL") or binaries() else [PACKAGE]


def ensure(home: Home) -> str:
    """The URL of a PostgreSQL in which test databases may be made."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith(("postgres://", "postgresql://")):
        return given
    programs = binaries()
    if not programs:
        raise SetupError("PostgreSQL's server programs are missing.")
    running = processes.running_pid(home, NAME)
    port = ports.remembered(home, NAME) if running else ports.pick(home, NAME)
    if not running:
        with step("PostgreSQL"):
            _make_cluster(home, programs)
            _start(home, programs, port)
    return f"postgresql://{USER}:{home.secret('postgres')}@{ports.LOOPBACK}:{port}/postgres"


def _account() -> str | None:
    """Whom the server runs as: it refuses root."""
    if not apt.is_root():
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError as error:
        raise SetupError("PostgreSQL does not run as root and there is no user named postgres.") from error


def _as_account(argv: list[str]) -> list[str]:
    """Run as the server's account, yet able to pass through folders that only root may enter."""
    account = _account()
    if not account:
        return argv
    keep = "+dac_read_search"
    switch = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups"]
    return [*switch, f"--inh-caps={keep}", f"--ambient-caps={keep}", "--", *argv]


def _make_cluster(home: Home, programs: Path) -> None:
    data = home.var / "postgres"
    if (data / "PG_VERSION").exists() and (data / "PG_VERSION").read_text().strip() == programs.parent.name:
        return
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, mode=0o700)
    passwords = home.var / "postgres-password"
    write_private(passwords, home.secret("postgres"))
    account = _account()
    if account:
        shutil.chown(data, account)
        shutil.chown(passwords, account)
    command = [programs / "initdb", f"--pgdata={data}", f"--username={USER}", f"--pwfile={passwords}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    run(_as_account([str(part) for part in command]), "Making the PostgreSQL cluster")
    passwords.unlink()


def _start(home: Home, programs: Path, port: int) -> None:
    argv = [str(programs / "postgres"), "-D", str(home.var / "postgres"), "-p", str(port)]
    argv += [part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}")]
    check = [str(programs / "pg_isready"), "-q", "-h", ports.LOOPBACK, "-p", str(port)]

    def ready() -> bool:
        return ports.answers(port) and os.spawnv(os.P_WAIT, check[0], check) == 0

    processes.start(home, processes.Program(NAME, _as_account(argv), ready=ready, ready_seconds=30))
