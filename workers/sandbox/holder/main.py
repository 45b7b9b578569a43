"""Reads commands as JSON lines from stdin, answers each as a JSON line on stdout. Ends when stdin closes.

Commands: {"id": any, "do": "request" | "load" | "overhead" | "attempts" | "listening" | "measure" | "contents" |
"pipes" | "piped" | "restart_clock", ...}.
The first line written is {"event": "ready", "interfaces": [...], "ipv6": bool}.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from typing import Any

from . import contents, dns, load, netlink, observe, pipes, prober
from .recorder import Recorder, count_dropped, drain, open_sniffer

MAX_COMMAND_BYTES = 160 << 20
_write_lock = threading.Lock()


def say(message: dict[str, Any]) -> None:
    line = json.dumps(message, separators=(",", ":")) + "\n"
    with _write_lock:
        sys.stdout.write(line)
        sys.stdout.flush()


class Holder:
    def __init__(self) -> None:
        self.recorder = Recorder()
        self.sniffer = open_sniffer()
        self.pipes = pipes.Pipes()

    async def start(self) -> dict[str, Any]:
        """Close the namespace and begin to record. Raises OSError: then no container may be started."""
        netlink.link_up("lo")
        netlink.route_everything_to_lo(socket.AF_INET)
        ipv6 = _ipv6_works()
        if ipv6:
            netlink.route_everything_to_lo(socket.AF_INET6)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.sniffer, drain, self.sniffer, self.recorder)
        resolver = dns.Resolver(self.recorder, [socket.gethostname()])
        dns.serve_udp(loop, resolver, socket.AF_INET)
        if ipv6:
            dns.serve_udp(loop, resolver, socket.AF_INET6)
        await dns.serve_tcp(resolver, ["127.0.0.1", "::1"] if ipv6 else ["127.0.0.1"])
        return {"event": "ready", "interfaces": observe.interfaces(), "ipv6": ipv6}

    async def command(self, command: dict[str, Any]) -> dict[str, Any]:
        verb = command.get("do")
        if verb == "request":
            return await asyncio.to_thread(prober.exchange, command)
        if verb in ("load", "overhead"):
            return await asyncio.to_thread(load.run if verb == "load" else load.overhead, command)
        if verb == "measure":
            return await asyncio.to_thread(
                observe.measure, command["path"], int(command["max_bytes"]), int(command["max_entries"])
            )
        if verb == "contents":
            return await asyncio.to_thread(
                contents.contents, command["path"], int(command["most_entries"]), int(command["listed"])
            )
        if verb == "pipes":
            return await asyncio.to_thread(self.pipes.start, command["target"], command["sources"])
        if verb == "piped":
            return self.pipes.as_json()
        if verb == "attempts":
            drain(self.sniffer, self.recorder, most=1_000_000)
            count_dropped(self.sniffer, self.recorder)
            return self.recorder.as_json()
        if verb == "listening":
            return {"listening": observe.listening()}
        if verb == "restart_clock":
            self.recorder.restart()
            return {}
        raise ValueError(f"unknown command {verb!r}")

    async def answer(self, line: bytes) -> None:
        command: dict[str, Any] = {}
        try:
            command = json.loads(line)
            result = await self.command(command)
            say({"id": command.get("id"), "ok": True, **result})
        except Exception as error:  # any failure is an answer: silence would leave the worker waiting
            say({"id": command.get("id"), "ok": False, "error": f"{type(error).__name__}: {error}"[:500]})


def _ipv6_works() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def main() -> None:
    holder = Holder()
    say(await holder.start())
    reader = asyncio.StreamReader(limit=MAX_COMMAND_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(holder.answer(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main())
