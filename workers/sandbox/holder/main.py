"""Reads commands as JSON lines from stdin, answers each as a JSON line on stdout. Ends when stdin closes.

Commands: {"id": any, "do": "request" | "load" | "overhead" | "attempts" | "listening" | "measure" | "contents" |
"pipes" | "piped" | "restart_clock" | "connect" | "join" | "echo" | "prove", ...}. Its one argument is the way in which
calls fail (see profiles.py).
The first line written is {"event": "ready", "network": str, "interfaces": [...], "ipv6": bool,
"process": int}.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from typing import Any

from . import contents, dns, load, netlink, observe, packets, peers, pipes, prober, profiles, sniffer, speech
from .conversations import Conversations, Key
from .recorder import Recorder

SILENT_SECONDS = 5.0
MAX_COMMAND_BYTES = 160 << 20
_write_lock = threading.Lock()


def say(message: dict[str, Any]) -> None:
    line = json.dumps(message, separators=(",", ":")) + "\n"
    with _write_lock:
        sys.stdout.write(line)
        sys.stdout.flush()


class Holder:
    def __init__(self, network: str) -> None:
        self.network = network
        self.addresses = dns.Addresses()
        self.recorder = Recorder(self.addresses.names, self.asked)
        self.resolver = dns.Resolver(self.recorder, {socket.gethostname(): "127.0.0.1"}, network, self.addresses)
        self.pipes = pipes.Pipes()
        self.echo = peers.Echo()

    async def start(self) -> dict[str, Any]:
        """Close the namespace and begin to record. Raises OSError: then no container may be started."""
        netlink.link_up("lo")
        ipv6 = _ipv6_works()
        profiles.close_namespace(self.network, ipv6=ipv6)
        self.send = packets.Injector(ipv6=ipv6)
        # Where calls are answered or dropped, it is not the container that answers.
        self.sniffer = sniffer.open_sniffer(sniffer.calls(answers=self.network == profiles.REFUSE))
        loop = asyncio.get_running_loop()
        loop.add_reader(self.sniffer, sniffer.drain, self.sniffer, self.recorder.packet)
        if self.network != profiles.DROP:
            only = packets.NAMESERVER if self.network == profiles.REFUSE else ""
            talk = sniffer.open_sniffer(sniffer.conversations(only))
            self.conversations = Conversations(self.send, self.answer_stream, self.accepts, self.watch)
            loop.add_reader(talk, sniffer.drain, talk, self.conversations.packet)
        return {
            "event": "ready", "network": self.network, "interfaces": observe.interfaces(), "ipv6": ipv6,
            "process": os.getpid(),
        }  # fmt: skip

    def asked(self, packet: packets.Packet, message: bytes) -> None:
        reply = self.resolver.datagram(packet, message)
        if reply is not None:
            self.send(reply)

    def accepts(self, address: str, port: int) -> bool:
        return self.network == profiles.DIAGNOSE or port == packets.DNS_PORT

    def answer_stream(self, address: str, port: int, heard: bytes) -> bytes | None:
        if port == packets.DNS_PORT:
            return self.resolver.stream(address, heard)
        understood = speech.understand(heard)
        if understood is None:
            return None
        sniffer.drain(self.sniffer, self.recorder.packet)  # the call itself may not be on record yet
        self.recorder.note("tcp", address, port, detail=understood[0])
        return understood[1]

    def watch(self, key: Key) -> None:
        """Who waits for the other side to speak first waits in vain, but not for ever."""

        def look() -> None:
            if self.conversations.is_silent(key):
                self.recorder.note("tcp", key[2], key[3], detail="waits for the server to speak first")
                self.conversations.reset(key)

        asyncio.get_running_loop().call_later(SILENT_SECONDS, look)

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
            # What is left unread is said to be more: the count is "at least" then.
            self.recorder.dropped += not sniffer.drain(self.sniffer, self.recorder.packet, most=1_000_000)
            self.recorder.dropped += sniffer.dropped(self.sniffer)
            return self.recorder.as_json()
        if verb == "listening":
            return {"listening": observe.listening()}
        if verb == "restart_clock":
            sniffer.drain(self.sniffer, self.recorder.packet, most=1_000_000)
            self.recorder.restart()
            return {}
        if verb in ("connect", "join", "echo", "prove"):
            return await self.peer_command(verb, command)
        raise ValueError(f"unknown command {verb!r}")

    async def peer_command(self, verb: str, command: dict[str, Any]) -> dict[str, Any]:
        if verb == "connect":
            peers.connect(int(command["process"]))
            return {}
        if verb == "echo":
            await self.echo.turn(str(command["own"]), on=bool(command["on"]))
            return {}
        own, hosts = str(command["own"]), dict(command["hosts"])
        if verb == "prove":
            return {"wrong": await asyncio.to_thread(peers.prove, own, hosts, list(command["away"]))}
        peers.join(own, hosts)
        self.resolver.know(hosts)
        self.recorder.own = frozenset(hosts.values())
        sniffer.attach(self.sniffer, sniffer.calls([*hosts.values()], answers=self.network == profiles.REFUSE))
        return {}

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


async def main(network: str) -> None:
    holder = Holder(network)
    say(await holder.start())
    reader = asyncio.StreamReader(limit=MAX_COMMAND_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(holder.answer(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else profiles.REFUSE))
