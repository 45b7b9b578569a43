"""The worker's side of the holder: starts it, checks it, and speaks its JSON lines."""

from __future__ import annotations

import base64
import itertools
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import Mount

from listings.problems import ProblemError
from listings.reports import Evidence
from workers import spans
from workers.engine import LABEL_ROLE, Engine
from workers.sandbox.attach import STDOUT, Attachment
from workers.sandbox.holder.packets import NAMESERVER
from workers.sandbox.network import Network
from workers.steps.contract import Stop

PORT = 8080
READY_SECONDS = 30.0
REPLY_SECONDS = 30.0
LOOK_SECONDS = 0.25
HOST_NAME = "algo-1"  # SageMaker's name of the first host of a job
MEMORY_BYTES = 512 << 20
CAPABILITIES = ("NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "DAC_READ_SEARCH")
IPV6_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.ipv6.conf.lo.disable_ipv6": "0",
    "net.ipv6.icmp.echo_ignore_all": "1",
}
# Every address is local to the namespace; without this the kernel would answer pings to the whole world.
SYSCTLS = {"net.ipv4.icmp_echo_ignore_all": "1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP exchange with the container under test. ``error``: "" or refused, timeout, closed, not-http, io, or
    too-large (to be handed on in a pipeline). ``link``: which container of a pipeline it came from, counted from 0."""

    error: str = ""
    detail: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0
    sha256: str = ""
    ms: float = 0.0
    link: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Which host of the job a holder is. ``beside``: the container id of the first host's holder, which lays a cable
    to this one and therefore must see its process."""

    host: str = HOST_NAME
    address: str = "127.0.0.1"
    beside: str = ""


ALONE = Place()


class Holder:
    """One running holder. Its namespace is joined with ``network_mode``."""

    def __init__(self, engine: Engine, container: Container, attachment: Attachment) -> None:
        self.engine, self.container = engine, container
        self.ipv6 = False
        self.process = 0
        #: Where requests go, one after the other: more than one in an inference pipeline.
        self.ports: tuple[int, ...] = (PORT,)
        self.clock_started = False
        #: Called now and then while a server takes its time to answer. What they raise ends the waiting.
        self.watchers: list[Callable[[], None]] = []
        self._attachment = attachment
        self._ids = itertools.count(1)
        self._replies: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._ready: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._errors: deque[str] = deque(maxlen=20)
        self._gone = threading.Event()
        threading.Thread(target=self._read, name="holder-reader", daemon=True).start()

    @classmethod
    def start(
        cls, engine: Engine, image: str, labels: Mapping[str, str], mounts: list[Mount], stop: Stop,
        network: Network = Network.REFUSE, place: Place = ALONE,
    ) -> Holder:  # fmt: skip
        """Start a holder and prove that its namespace leads nowhere.

        Raises ProblemError TEST-HOLDER (it does not work), TEST-NETWORK-OPEN (an interface besides ``lo``).
        """
        try:
            holder = cls._started(engine, _create(engine, image, labels, mounts, network, place, with_ipv6=True))
        except APIError as error:
            if "ipv6" not in str(error):
                raise
            # An engine host without IPv6 knows none of its settings; then no call can use it either.
            holder = cls._started(engine, _create(engine, image, labels, mounts, network, place, with_ipv6=False))
        try:
            with spans.span("container"):
                holder._await_ready(stop)
        except BaseException:
            holder.close()
            raise
        return holder

    @classmethod
    def _started(cls, engine: Engine, container: Container) -> Holder:
        attachment = Attachment(engine, str(container.id), stdin=True)
        try:
            container.start()
        except BaseException:
            attachment.close()
            engine.remove_container(str(container.id))
            raise
        return cls(engine, container, attachment)

    @property
    def network_mode(self) -> str:
        return f"container:{self.container.id}"

    def has_ended(self) -> bool:
        """Whether it is gone; asked after something in its namespace failed, so it waits a moment for the news."""
        if self._gone.wait(1):
            return True
        try:
            self.container.reload()
        except NotFound:
            return True
        return not self.container.attrs["State"]["Running"]

    def close(self) -> None:
        try:
            self._attachment.close()
        finally:
            self.engine.remove_container(str(self.container.id))

    def call(
        self, do: str, stop: Stop, within: float = REPLY_SECONDS, *, watched: bool = False, **arguments: Any
    ) -> dict[str, Any]:
        """Send one command and wait for its answer; ``watched``: with the ``watchers`` looking on meanwhile.

        Raises ProblemError TEST-HOLDER, StepStopped, and what a watcher raises.
        """
        number = next(self._ids)
        replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._replies[number] = replies
        line = json.dumps({"id": number, "do": do, **arguments}).encode() + b"\n"
        try:
            self._write(line)
            with spans.span("container"):
                reply = self._wait(replies, within, stop, self.watchers if watched else ())
        finally:
            self._replies.pop(number, None)
        if not reply.get("ok"):
            raise self._broken(f"{do}: {reply.get('error')}")
        return reply

    def _write(self, line: bytes) -> None:
        try:
            with self._lock:
                self._attachment.write(line)
        except OSError as error:
            raise self._broken(f"it is gone: {error}") from error

    def request(
        self, method: str, path: str, stop: Stop, *, timeout: float, body: bytes = b"",
        headers: Mapping[str, str] | None = None, max_bytes: int = 1 << 20, padding: bytes = b"",
        padding_times: int = 0, ports: Sequence[int] = (),
    ) -> Answer:  # fmt: skip
        """One HTTP exchange with 127.0.0.1 inside the namespace, through ``ports`` in turn (if none, the holder's own).
        ``timeout``: seconds for the whole of it.

        The holder itself adds ``padding`` to the body, ``padding_times``.
        """
        reply = self.call(
            "request", stop, timeout + REPLY_SECONDS, watched=True, method=method, path=path, timeout=timeout,
            headers=dict(headers or {}), body=base64.b64encode(body).decode(), max_bytes=max_bytes,
            padding=base64.b64encode(padding).decode(), padding_times=padding_times, ports=list(ports or self.ports),
        )  # fmt: skip
        link, ms = int(reply["link"]), float(reply["ms"])
        if "status" not in reply:
            return Answer(error=str(reply.get("error", "io")), detail=str(reply.get("detail", "")), ms=ms, link=link)
        return Answer(
            status=int(reply["status"]), headers=reply["headers"], body=base64.b64decode(reply["body"]),
            size=int(reply["bytes"]), sha256=str(reply["sha256"]), ms=ms, link=link,
        )  # fmt: skip

    def _await_ready(self, stop: Stop) -> None:
        ready = self._wait(self._ready, READY_SECONDS, stop)
        self.ipv6, self.process = bool(ready["ipv6"]), int(ready["process"])
        others = [name for name in ready["interfaces"] if name != "lo"]
        if others:
            raise ProblemError("TEST-NETWORK-OPEN", interfaces=", ".join(others))

    def _wait(
        self, replies: queue.SimpleQueue[dict[str, Any]], timeout: float, stop: Stop,
        watchers: Sequence[Callable[[], None]] = (),
    ) -> dict[str, Any]:  # fmt: skip
        waited = 0.0  # without what the watchers take
        while waited < timeout or not replies.empty():
            stop.check()
            begun = time.monotonic()
            try:
                return replies.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                waited += time.monotonic() - begun
            if self._gone.is_set() and replies.empty():
                raise self._broken("it ended")
            for look in watchers:
                look()
        raise self._broken(f"no answer within {timeout:g} s")

    def _read(self) -> None:
        pending: list[bytes] = []
        for stream, data in self._attachment.frames():
            if stream != STDOUT:
                self._errors.append(data.decode("utf-8", "replace")[:2000])
                continue
            first, *others = data.split(b"\n")
            pending.append(first)
            for part in others:
                self._deliver(json.loads(b"".join(pending)))
                pending = [part]
        self._gone.set()

    def _deliver(self, message: dict[str, Any]) -> None:
        if message.get("event") == "ready":
            self._ready.put(message)
        elif (replies := self._replies.get(message.get("id", 0))) is not None:
            replies.put(message)

    def _broken(self, reason: str) -> ProblemError:
        evidence = tuple(Evidence(text, label="holder") for text in self._errors)
        return ProblemError("TEST-HOLDER", reason=reason, evidence=evidence)


def _create(
    engine: Engine, image: str, labels: Mapping[str, str], mounts: list[Mount], network: Network, place: Place, *,
    with_ipv6: bool,
) -> Container:  # fmt: skip
    return engine.create_container(
        image,
        command=[network.value],
        labels={**labels, LABEL_ROLE: "holder"},
        network_mode="none",
        hostname=place.host,
        extra_hosts={place.host: place.address},
        pid_mode=f"container:{place.beside}" if place.beside else None,
        dns=[NAMESERVER],
        dns_search=["."],
        sysctls=SYSCTLS | (IPV6_SYSCTLS if with_ipv6 else {}),
        cap_drop=["ALL"],
        cap_add=list(CAPABILITIES),
        security_opt=["no-new-privileges"],
        read_only=True,
        mem_limit=MEMORY_BYTES,
        memswap_limit=MEMORY_BYTES,
        pids_limit=128,
        mounts=mounts,
        stdin_open=True,
        # The holder ends when its worker's connection does, even where the worker died by kill -9.
        detach=False,
        use_config_proxy=False,
        log_config={"type": "none"},
    )
