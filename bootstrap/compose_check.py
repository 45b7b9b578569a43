"""`make compose-check`: docker-compose.yml is brought up under a name of its own, used, shaken, backed up and restored.

Everything it makes carries that name and goes at the end; what was there before stays.
"""

import itertools
import json
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bootstrap import compose, compose_env, compose_images, engine, ports
from bootstrap.compose import Installation, wait_until
from bootstrap.compose_portal import Visitor
from bootstrap.engine_http import EngineClient
from bootstrap.errors import SetupError
from bootstrap.home import ROOT, SHARED
from bootstrap.report import say, step

HOST = "slipway.example.com"
ADMIN = "first-admin@example.com"
DRIVER = ROOT / "tests" / "compose" / "driver.py"
#: Ends of a run or a release from which nothing good comes.
LOST = {"failed", "cancelled", "registration_failed", "withdrawn"}
#: A published release is superseded by the next one of its listing.
PUBLISHED = {"published", "superseded"}
#: One after the other, while runs go.
RESTARTED = ("redis", "postgres", "registry", "engine", "control", "beat", "web")
BUILD_PAUSE, RUN_SECONDS = 20, 600
SECRET_NAMES = (
    "SLIPWAY_SECRET_KEY", "SLIPWAY_ENCRYPTION_KEYS", "SLIPWAY_STAGING_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD",
)  # fmt: skip
RUNNING = (
    "SELECT DISTINCT s.name FROM listings_attempt a JOIN listings_step s ON s.id = a.step_id WHERE a.state = 'running'"
)
RUNS = "SELECT state, count(*) FROM listings_run GROUP BY state"
RELEASES = "SELECT state, count(*) FROM listings_release GROUP BY state"
PROBLEMS = "SELECT problem_code, problem_params FROM listings_attempt WHERE problem_code <> '' ORDER BY created_at"


def unused_project() -> str:
    return f"slipwaycheck{secrets.token_hex(3)}"


def settings(project: str, path: Path, images: dict[str, str]) -> dict[str, str]:
    """What compose-check's .env says beyond the secrets: production, behind a TLS proxy, against the stand-in."""
    web, registry = (ports.pick(SHARED, f"compose-{name}") for name in ("web", "registry"))
    return {
        "COMPOSE_PROJECT_NAME": project,
        "COMPOSE_PROFILES": "standin",
        "ENV_FILE": str(path),
        "IMAGE_NAME": project,
        "SLIPWAY_PUBLIC_URL": f"https://{HOST}",
        "SLIPWAY_ALLOWED_HOSTS": HOST,
        # Nobody listens there: mail that cannot be sent costs the mail and nothing else.
        "SLIPWAY_MAIL_URL": "smtp://127.0.0.1:9",
        "SLIPWAY_AWS_ENDPOINT_URL": "http://aws-standin:5555",
        "SLIPWAY_AWS_POLL_SECONDS": "1",
        "SLIPWAY_TICK_SECONDS": "2",
        "STANDIN_BUCKETS": "111122223333:us-east-1:slipway-demo-acme-vision",
        "WEB_PUBLISH": f"127.0.0.1:{web}",
        "REGISTRY_PORT": str(registry),
        "SLIPWAY_STAGING_REGISTRY_ENGINE": f"127.0.0.1:{registry}",
        **images,
    }


class Check:
    """One pass. ``shown`` grows by a line for everything that was proven."""

    def __init__(self, words: Sequence[str], scratch: Path, client: EngineClient) -> None:
        self.shown: list[tuple[str, str]] = []
        self.project, self.client, self.scratch = unused_project(), client, scratch
        self._words, self._password = words, secrets.token_urlsafe(12)
        self._versions: list[dict[str, str]] = []
        self._began = time.monotonic()

    def show(self, what: str, evidence: str) -> None:
        self.shown.append((what, evidence))
        say(f"Shown: {what} ({evidence})")

    def run(self) -> None:
        """Every proof in turn. Raises SetupError at the first that fails."""
        compose_env.socket_group(compose_env.engine_socket())  # before minutes go into images
        images = compose_images.ensure(self.client, self.project)
        path = self.scratch / "env"
        values = settings(self.project, path, images)
        compose_env.write(path, values)
        self.site = Installation(self._words, self.project, path, self.client, self.scratch / "compose.log")
        self.visitor = Visitor(int(values["WEB_PUBLISH"].rpartition(":")[2]), HOST)
        with step("Building Slipway's images"):
            self.site.run("build")
        self.refuses_without_secrets()
        self.comes_up()
        self.is_closed()
        self.first_admin()
        self.publishes()
        self.survives_restarts()
        before = self.facts()
        self.keeps_data(before)
        self.restores(before)

    # -- what the proofs are made of ---------------------------------------------------------------------------

    def drive(self, *words: str) -> dict[str, Any]:
        """One verb of tests/compose/driver.py in the control worker's container."""
        said = self.site.run("exec", "-T", "control", "python3", "-", *words, stdin=DRIVER.read_bytes())
        answer: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return answer

    def ask(self, query: str) -> dict[str, str]:
        """First and second column of what the database answers; empty while it does not."""
        words = ["exec", "-T", "postgres", "psql", "-U", "slipway", "-d", "slipway", "-At", "-F", "\t", "-c", query]
        rows = (line.partition("\t") for line in self.site.run(*words, check=False).splitlines() if line)
        return {first: second for first, _, second in rows}

    def facts(self) -> dict[str, Any]:
        return self.drive("facts")

    def submit(self, name: str, kind: str, pause: int) -> None:
        self._versions.append(self.drive("submit", name, kind, str(pause)))

    def wait_for(self, query: str, done: Callable[[dict[str, str]], bool], what: str) -> None:
        """Wait until the database's answer to ``query`` is as wanted; says where it stands if it never is."""
        answer: dict[str, str] = {}

        def ready() -> bool:
            answer.clear()
            answer.update(self.ask(query))
            if LOST & set(answer):
                raise SetupError(f"{what}; it is {answer}, problems: {self.ask(PROBLEMS)}")
            return bool(answer) and done(answer)

        wait_until(ready, lambda: f"{what}; it is {answer}, problems: {self.ask(PROBLEMS)}", RUN_SECONDS)

    def all_passed(self) -> None:
        self.wait_for(RUNS, lambda states: set(states) == {"passed"}, "every run should have passed")

    def release(self, versions: Sequence[dict[str, str]], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Take tested versions from request to published; ``meanwhile`` happens while AWS registers."""
        asked = self.drive("release", *(version["version"] for version in versions))["releases"]
        meanwhile()
        done = {"registered", *PUBLISHED}
        self.wait_for(RELEASES, lambda states: set(states) <= done, "every release should be registered")
        self.drive("publish", *asked)
        self.wait_for(RELEASES, lambda states: set(states) <= PUBLISHED, "every release should be published")

    # -- the proofs --------------------------------------------------------------------------------------------

    def refuses_without_secrets(self) -> None:
        empty = self.scratch / "empty-env"
        empty.write_text("")
        bare = Installation(self._words, self.project, empty, self.client, self.scratch / "refused.log")
        try:
            bare.run("config")
        except SetupError as error:
            if "is missing" not in str(error):
                raise
            self.show("no default password or key", "compose refuses to start without .env")
            return
        raise SetupError("compose accepts an empty .env: something has a default password.")

    def comes_up(self) -> None:
        with step("Starting every service"):
            self.site.run("up", "-d")
            self.site.wait_ready()
        names = sorted({one.service for one in self.site.containers()} - set(compose.ONE_SHOTS))
        self.show("every service is up and healthy", ", ".join(names))

    def is_closed(self) -> None:
        """web has neither root nor socket, and nothing shows a secret. Raises SetupError where it does."""
        containers = self.site.containers()
        secret = self._secrets()
        sockets = {one.service for one in containers if "docker.sock" in json.dumps(one.detail["Mounts"])}
        if sockets != {"engine"}:
            raise SetupError(f"The engine's socket is in {sorted(sockets)}.")
        web = next(one for one in containers if one.service == "web")
        user = self.site.run("exec", "-T", "web", "id", "-u").strip()
        networks = sorted(name.removeprefix(f"{self.project}_") for name in web.detail["NetworkSettings"]["Networks"])
        seen = self.site.run("exec", "-T", "web", "sh", "-c", "ls /var/run/docker.sock; touch /app/x; true")
        written = web.detail["HostConfig"]["ReadonlyRootfs"] is not True or "docker.sock" in seen
        if user in ("0", "") or written or networks != ["back", "front"]:
            raise SetupError(f"web runs as {user} in {networks}; read-only: {not written}")
        self.show("web is not root, and without the engine's socket", f"user {user}, read-only, networks {networks}")
        roots = {one.service for one in containers if one.detail["Config"]["User"] in ("", "root", "0")}
        self._only(roots, {"registry", "tools"}, "run as root")
        published = {one.service for one in containers if any(one.detail["NetworkSettings"]["Ports"].values())}
        self._only(published, {"web", "registry"}, "publish ports")
        lines = [json.dumps([one.detail["Path"], one.detail["Args"]]) for one in containers]
        lines += [self._history(image) for image in {one.detail["Image"] for one in containers}]
        if any(value in line for value in secret for line in lines):
            raise SetupError("A secret stands in a command line or in an image's history.")
        self.show("no secret in command lines or images", f"{len(secret)} secrets, {len(lines)} places")

    def _only(self, found: set[str], allowed: set[str], what: str) -> None:
        if found - allowed:
            raise SetupError(f"These {what}: {sorted(found - allowed)}")
        self.show(f"only these {what}", ", ".join(sorted(found)) or "none")

    def _secrets(self) -> list[str]:
        pairs = dict(line.split("=", 1) for line in self.site.settings.read_text().splitlines() if "=" in line)
        return [pairs[name] for name in SECRET_NAMES]

    def _history(self, image: str) -> str:
        status, body = self.client.call("GET", f"/images/{quote(image, safe='')}/history")
        _, more = self.client.call("GET", f"/images/{quote(image, safe='')}/json")
        return (body + more).decode(errors="replace") if status == 200 else ""

    def first_admin(self) -> None:
        words = ["exec", "-T", "web", "python3", "manage.py", "createadmin", ADMIN, "--name", "First Admin"]
        self.site.run(*words, stdin=f"{self._password}\n".encode())
        self.visitor.sign_in(ADMIN, self._password)
        status, _ = self.visitor.get("/review/")
        plain, _ = self.visitor.get_insecurely("/")
        if (status, plain) != (200, 301):
            raise SetupError(f"The admin's page was answered {status}, a visit without TLS {plain}.")
        self.show("the first admin comes from a command", f"{ADMIN} signs in by https; http is redirected")

    def publishes(self) -> None:
        with step("Two versions to published"):
            self.submit("Mean", "Algorithm", 0)
            self.submit("Served", "ModelPackage", 0)
            self.all_passed()
            self.release(self._versions)
        facts = self.facts()
        if not facts["database"].startswith("postgresql") or facts["environment"] != "production":
            raise SetupError(f"{facts['database']}, {facts['environment']}")
        self.show("PostgreSQL is in use", f"{facts['database']}, SLIPWAY_ENV={facts['environment']}")
        if len(facts["hosts"]) < 2:
            raise SetupError(f"Only {facts['hosts']} took steps.")
        self.show(
            "a pipeline to published", f"{facts['published']} releases, steps taken by {', '.join(facts['hosts'])}"
        )

    def survives_restarts(self) -> None:
        first, kinds = len(self._versions), itertools.cycle([("Mean", "Algorithm"), ("Served", "ModelPackage")])
        for service in RESTARTED:
            during = self._until_running(kinds)
            with step(f"Restarting {service}"):
                self.site.run("restart", service)
                self.site.wait_ready([service])
            self.show(f"{service} restarted mid-run", f"during {during}")
        self.all_passed()
        made = self._versions[first:]
        with step("Publishing what was restarted under"):
            self.release(made, meanwhile=self._restart_control)
        self.show("those runs still end published", f"{len(made)} versions; {self._retried()}")

    def _until_running(self, kinds: Iterator[tuple[str, str]]) -> str:
        """The names of the steps that run now. Whenever all runs have ended, two more are submitted."""

        def ready() -> bool:
            if self.ask(RUNNING):
                return True
            runs = self.ask(RUNS)
            if runs and "active" not in runs:
                for _ in range(2):
                    self.submit(*next(kinds), BUILD_PAUSE)
            return False

        wait_until(ready, lambda: f"no step runs; runs: {self.ask(RUNS)}, problems: {self.ask(PROBLEMS)}", RUN_SECONDS)
        return ", ".join(sorted(self.ask(RUNNING)))

    def _restart_control(self) -> None:
        self.site.run("restart", "control")
        self.site.wait_ready(["control"])

    def _retried(self) -> str:
        lost = self.ask("SELECT state, count(*) FROM listings_attempt GROUP BY state")
        return ", ".join(f"{count} attempts {state}" for state, count in sorted(lost.items()))

    def keeps_data(self, before: dict[str, Any]) -> None:
        with step("down and up"):
            self.site.run("down")
            self.site.run("up", "-d")
            self.site.wait_ready()
        self._same(before)
        self.show("data are kept after down and up", self._counts(before))

    def restores(self, before: dict[str, Any]) -> None:
        log = self.visitor.get(before["log"])
        with step("Backup"):
            self._dump("database.dump", "postgres", "pg_dump", "-U", "slipway", "-d", "slipway", "-Fc")
            self._dump("storage.tar", "web", "tar", "-C", "/data", "-cf", "-", "storage")
            self._dump("registry.tar", "registry", "tar", "-C", "/var/lib/registry", "-cf", "-", ".")
        self.site.run("down", "-v")
        if self.site.volumes():
            raise SetupError(f"These volumes are still there: {self.site.volumes()}")
        with step("Restore into empty volumes"):
            self.site.run("up", "-d", "postgres")
            self.site.wait_ready(["postgres"])
            words = ["pg_restore", "-U", "slipway", "-d", "slipway", "--exit-on-error"]
            self._load("database.dump", "exec", "-T", "postgres", *words)
            once = ("run", "--rm", "-T", "--no-deps")
            self._load("storage.tar", *once, "migrate", "tar", "-C", "/data", "-xf", "-")
            self._load("registry.tar", *once, "--entrypoint", "tar", "registry", "-C", "/var/lib/registry", "-xf", "-")
            self.site.run("up", "-d")
            self.site.wait_ready()
        self._same(before)
        page, text = self.visitor.get(before["page"])
        if (
            page != 200
            or before["page"].rstrip("/").rpartition("/")[2] not in text
            or self.visitor.get(before["log"]) != log
        ):
            raise SetupError(f"After the restore the version's page was answered {page}, or its log is another.")
        self.show(
            "a backup restored into nothing opens", f"{self._counts(before)}; the log has {before['log_lines']} lines"
        )

    def _dump(self, name: str, service: str, *words: str) -> None:
        with (self.scratch / name).open("wb") as file:
            self.site.run("exec", "-T", service, *words, stdout=file)

    def _load(self, name: str, *words: str) -> None:
        with (self.scratch / name).open("rb") as file:
            self.site.run(*words, stdin=file)

    def _same(self, before: dict[str, Any]) -> None:
        """The facts are as before, the session still holds, and the sealed secret opens."""
        after = self.facts()
        status, _ = self.visitor.get(before["page"])
        if after != before or not after["secret_opens"] or status != 200:
            raise SetupError(f"Before: {before}\nAfter: {after}\nThe version's page: {status}")

    def _counts(self, facts: dict[str, Any]) -> str:
        return ", ".join(f"{facts[name]} {name}" for name in ("users", "versions", "attempts", "published"))

    # -- the end -----------------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Remove all that carries the project's name. Raises SetupError if something stays."""
        site: Installation | None = getattr(self, "site", None)
        if site is not None:
            site.run("down", "-v", "--remove-orphans", check=False)
        query = quote(json.dumps({"label": [f"{compose_images.LABEL}={self.project}"]}))
        for _ in range(5):
            _, body = self.client.call("GET", f"/images/json?all=1&filters={query}")
            images = json.loads(body)
            if not images:
                break
            for image in images:
                self.client.call("DELETE", f"/images/{quote(image['Id'], safe='')}?force=1", timeout=60)
        left = [*(image["Id"] for image in images), *(site.volumes() + site.networks() if site else [])]
        if left or (site and site.containers()):
            raise SetupError(f"compose-check left behind: {left}")

    def table(self) -> str:
        width = max((len(what) for what, _ in self.shown), default=0)
        lines = [f"  {what:<{width}}  {evidence}" for what, evidence in self.shown]
        return "\n".join([f"compose {compose.version(self._words)}, {time.monotonic() - self._began:.0f} s", *lines])


def main(words: Sequence[str], keep: bool) -> int:
    """The whole check. 0 if everything was shown, 1 otherwise; the table says what was."""
    address = engine.find()
    if not address:
        raise SetupError("compose-check needs a Docker Engine that answers.")
    scratch = Path(tempfile.mkdtemp(prefix="slipway-compose-"))
    check = Check(words or compose.ensure_command(), scratch, EngineClient(address))
    failure = ""
    try:
        check.run()
    except SetupError as error:
        failure = str(error)
        _keep_logs(check)
    finally:
        if keep:
            say(f"Kept: {check.project}, {scratch}")
        else:
            # A second Ctrl-C does not cut this short.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            with step("Cleaning up"):
                check.clean_up()
            shutil.rmtree(scratch, ignore_errors=True)
    print(check.table(), flush=True)
    print(f"compose-check failed: {failure}" if failure else "compose-check: all of it was shown.", flush=True)
    return 1 if failure else 0


def _keep_logs(check: Check) -> None:
    """The services' last words, below var/, for whoever looks into a failure."""
    site: Installation | None = getattr(check, "site", None)
    if site is None:
        return
    folder = SHARED.directory("compose-check")
    for service in sorted({one.service for one in site.containers()}):
        (folder / f"{service}.log").write_text(site.service_log(service, 2000))
    shutil.copy(site.log, folder / "compose.log")
    say(f"The services' logs are in {folder}")
