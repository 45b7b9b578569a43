"""Slipway's own processes: the portal, the two workers and the clock."""

import http.client
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor

from bootstrap import engine, ports, processes
from bootstrap.home import PYTHON, SHARED, Home
from bootstrap.report import step

PORTAL, CONTROL, ENGINE, BEAT = "portal", "worker-control", "worker-engine", "beat"
# Stopped group by group: first what takes work, then what it is taken from.
GROUPS = ((BEAT, CONTROL, ENGINE, PORTAL), ("aws-standin", "registry", "redis", "postgres"))
SERVICES = tuple(name for group in GROUPS for name in group)
WANTED_PORT = 8000
WORKER_READY = "ready."
WORKER_STOP_SECONDS = 20
CELERY = (str(PYTHON), "-m", "celery", "--quiet", "-A", "portal")


def portal_port(home: Home) -> int:
    """The port of the running portal, else the one to start it on."""
    if processes.running_pid(home, PORTAL):
        return ports.remembered(home, PORTAL)
    return ports.pick(home, PORTAL, WANTED_PORT if home.name == "demo" else 0)


def start(home: Home, env: dict[str, str], port: int) -> None:
    """Start what does not run yet, and wait until all of it is ready. Raises SetupError."""
    home.directory("static")
    programs = _programs(home, env, port)
    with step("Portal, workers and clock"), ThreadPoolExecutor(len(programs)) as pool:
        started = [pool.submit(processes.start, home, program) for program in programs]
    for one in started:
        one.result()


def _programs(home: Home, env: dict[str, str], port: int) -> list[processes.Program]:
    portal = [str(PYTHON), "-m", "uvicorn", "portal.asgi:application", "--host", ports.LOOPBACK, "--port", str(port)]
    # Open event streams would otherwise hold a stopping portal for as long as their readers stay.
    portal += ["--timeout-graceful-shutdown", "3", "--no-access-log", "--lifespan", "auto", "--no-proxy-headers"]
    schedule = str(home.path("beat", "schedule"))
    return [
        processes.Program(PORTAL, portal, ready=lambda: _is_healthy(port), env=env),
        _worker(home, env, CONTROL, "control", 2),
        _worker(home, env, ENGINE, "engine", 2),
        processes.Program(
            BEAT,
            [*CELERY, "beat", "--schedule", schedule, "--pidfile", "", "--loglevel", "INFO"],
            ready=_logs(home, BEAT, "beat: Starting"),
            env=env,
        ),
    ]


def _worker(home: Home, env: dict[str, str], name: str, queue: str, slots: int) -> processes.Program:
    argv = [*CELERY, "worker", "-Q", queue, "-c", str(slots), "-n", f"{queue}@%h", "--prefetch-multiplier", "1"]
    argv += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    return processes.Program(
        name, argv, ready=_logs(home, name, WORKER_READY), env=env, stop_seconds=WORKER_STOP_SECONDS
    )


def _logs(home: Home, name: str, words: str) -> Callable[[], bool]:
    return lambda: words in processes.tail(home, name, lines=200)


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def running(home: Home) -> set[str]:
    """Names of the services of this home that run now; the engine counts as one if it is ours."""
    names = {name for name in SERVICES if processes.running_pid(home, name)}
    return names | ({engine.NAME} if engine.is_ours_running() else set())


def stop(home: Home, keep: Set[str] = frozenset()) -> list[str]:
    """Stop the services of this home but those to keep, and our engine last. Returns the names of those stopped."""
    stopped: list[str] = []
    for group in GROUPS:
        with ThreadPoolExecutor(len(group)) as pool:
            ended = pool.map(lambda name: name not in keep and processes.stop(home, name, _patience(name)), group)
            stopped += [name for name, done in zip(group, ended, strict=True) if done]
    if engine.NAME not in keep and _engine_is_idle(home) and engine.stop():
        stopped.append(engine.NAME)
    return stopped


def _patience(name: str) -> float:
    return WORKER_STOP_SECONDS if name in (CONTROL, ENGINE) else 10


def _engine_is_idle(home: Home) -> bool:
    """Whether no other home of this project still runs workers on the engine that both share."""
    others = [other for other in (SHARED, Home(SHARED.var / "test", name="test")) if other.var != home.var]
    return not any(processes.running_pid(other, name) for other in others for name in SERVICES)
