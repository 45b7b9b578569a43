"""The holder's own TCP, and what it understands of what is said: a stranger's bytes, so the odd ones too."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
from typing import Any

import pytest

from workers.sandbox.holder import packets, peers, sniffer, speech
from workers.sandbox.holder.conversations import MAX_CONVERSATIONS, Conversations, Key
from workers.sandbox.holder.dns import Addresses, Resolver
from workers.sandbox.holder.packets import ACK, FIN, RST, SYN, Packet
from workers.sandbox.holder.profiles import DIAGNOSE, DROP
from workers.sandbox.holder.recorder import Recorder

ELSEWHERE = "192.0.2.7"


def client_hello(name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    channel = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        channel.do_handshake()
    return outgoing.read()


def test_a_server_name_is_read_from_tls() -> None:
    hello = client_hello("api.example.com")
    assert speech.understand(hello) == ("tls api.example.com", speech.TLS_REFUSAL)
    for cut in (1, 4, 5, 40, len(hello) - 1):
        assert speech.understand(hello[:cut]) is None


@pytest.mark.parametrize("position", [5, 9, 43, 60, 80])
def test_a_mangled_hello_is_never_an_error(position: int) -> None:
    hello = bytearray(client_hello("api.example.com"))
    for value in (0, 0xFF):
        hello[position] = value
        told = speech.understand(bytes(hello))
        assert told is None or told[0].startswith("tls")
    assert speech.understand(b"\x16\x03\x01\x00\x02\x01\x00") == ("tls, malformed", speech.TLS_REFUSAL)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"GET /a?b=1 HTTP/1.1\r\nHost: x.example\r\n\r\n", "GET /a?b=1 (Host: x.example)"),
        (b"CONNECT a.example:443 HTTP/1.0\r\n\r\n", "CONNECT a.example:443"),
        (b"GET /\x1b[31m HTTP/1.1\r\n\r\n", "GET /.[31m"),
        (b"SSH-2.0-go\r\n", "says 'SSH-2.0-go'"),
        (b"\0\xff\n", "says '.\\\\xff'"),
        (b"\n\n", "says '..'"),
    ],
)
def test_what_is_said_is_put_into_words(data: bytes, told: str) -> None:
    found = speech.understand(data)
    assert found is not None
    assert found[0] == told


@pytest.mark.parametrize("data", [b"G", b"GET /", b"GET / HTTP/1.1\r\nHost:"])
def test_half_a_request_is_waited_for(data: bytes) -> None:
    assert speech.understand(data) is None


class Wire:
    """A client's side of conversations."""

    def __init__(self) -> None:
        self.sent: list[Packet] = []
        self.opened: list[Key] = []
        self.answers = {b"ask": b"told"}
        self.conversations = Conversations(
            self.sent.append,
            lambda _, __, heard: self.answers.get(heard),
            lambda _, port: port != 9,
            self.opened.append,
        )

    def send(self, seq: int, ack: int, flags: int, data: bytes = b"", port: int = 80, source_port: int = 4000) -> None:
        packet = packets.tcp("127.0.0.1", source_port, ELSEWHERE, port, seq, ack, flags, data)
        self.conversations.packet(packets._header(packet) + packet.payload)

    def last(self) -> packets.Segment:
        return packets.segment(self.sent[-1].payload)


def test_a_connection_is_taken_answered_and_ended() -> None:
    wire = Wire()
    wire.send(0xFFFFFFFF, 0, SYN)
    first = wire.last()
    assert (first.flags, first.ack) == (SYN | ACK, 0)
    wire.send(0xFFFFFFFF, 0, SYN)
    assert wire.last().seq == first.seq  # the same again for a repeated SYN
    wire.send(0, first.seq + 1, ACK)
    wire.send(0, first.seq + 1, ACK, b"as")
    assert (wire.last().flags, wire.last().ack) == (ACK, 2)
    wire.send(2, first.seq + 1, ACK, b"k")
    assert (wire.last().data, wire.last().flags & FIN, wire.last().ack) == (b"told", FIN, 3)
    wire.send(3, wire.last().seq + 5, FIN | ACK)
    assert (wire.last().flags, wire.last().ack) == (ACK, 4)
    assert wire.opened == [("127.0.0.1", 4000, ELSEWHERE, 80)]


def test_what_is_not_wanted_is_refused_and_what_is_odd_ignored() -> None:
    wire = Wire()
    wire.send(1, 0, SYN, port=9)
    assert wire.last().flags == RST | ACK
    wire.send(1, 1, ACK, b"nobody knows this one")
    assert wire.last().flags == RST
    sent = len(wire.sent)
    for data in (b"", b"\x45", bytes(40), b"\x45" + bytes(60)):
        wire.conversations.packet(data)
    assert len(wire.sent) == sent


def test_conversations_are_bounded() -> None:
    wire = Wire()
    for port in range(MAX_CONVERSATIONS + 5):
        wire.send(1, 0, SYN, source_port=1000 + port)
    assert len(wire.conversations._open) == MAX_CONVERSATIONS
    for seq in range(1, 100):
        wire.send(2 + (seq - 1) * 1000, 1, ACK, bytes(1000), source_port=1200)
    assert all(len(found.heard) <= 16 << 10 for found in wire.conversations._open.values())


def test_a_name_gets_one_address_and_later_calls_are_told_by_it() -> None:
    addresses = Addresses()
    recorder = Recorder(addresses.names)
    resolver = Resolver(recorder, {"algo-1": "127.0.0.1"}, DIAGNOSE, addresses)
    query = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
    first, second = resolver.answer(query, "1.1.1.1"), resolver.answer(query, "1.1.1.1")
    assert first == second
    assert first is not None
    recorder.add("tcp", socket.inet_ntoa(first[-4:]), 443)
    recorder.note("tcp", socket.inet_ntoa(first[-4:]), 443, detail="tls a.example")
    record = recorder.as_json()["attempts"][-1]  # type: ignore[index]
    assert (record["host"], record["details"]) == ("a.example", ["tls a.example"])
    assert len({addresses.of(f"n{number}") for number in range(2000)}) < 800  # and then none


def test_who_drops_calls_does_not_answer_but_for_the_own_name() -> None:
    resolver = Resolver(Recorder(), {"algo-1": "127.0.0.1"}, DROP)
    head, tail = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", b"\x00\x00\x01\x00\x01"
    assert resolver.answer(head + b"\x01a" + tail, "1.1.1.1") is None
    own = resolver.answer(head + b"\x06algo-1" + tail, "1.1.1.1")
    assert own is not None
    assert own.endswith(socket.inet_aton("127.0.0.1"))


def test_repeated_packets_of_one_call_count_once() -> None:
    recorder = Recorder()
    for seq, times in ((1, 3), (2, 1)):
        packet = packets.tcp("127.0.0.1", 4000, ELSEWHERE, 443, seq, 0, SYN)
        for _ in range(times):
            recorder.packet(packets._header(packet) + packet.payload)
    assert recorder.as_json()["attempts"][0]["count"] == 2  # type: ignore[index]


def test_a_call_from_port_53_counts_and_an_answer_of_dns_does_not() -> None:
    recorder = Recorder()
    answer = b"\xab\xcd\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00"
    for packet in (
        packets.udp(ELSEWHERE, 53, ELSEWHERE, 40000, answer),
        packets.udp("127.0.0.1", 53, ELSEWHERE, 9999, b"x"),
        packets.udp("127.0.0.1", 53, ELSEWHERE, 9999, b"said"),
    ):
        recorder.packet(packets._header(packet) + packet.payload)
    attempts: Any = recorder.as_json()["attempts"]
    assert [(one["protocol"], one["port"], one["count"]) for one in attempts] == [("udp", 9999, 2)]


OWN, PEER = "10.255.77.1", "10.255.77.2"


def test_the_own_address_and_the_peers_are_no_call_to_elsewhere() -> None:
    recorder = Recorder()
    recorder.own = frozenset({OWN, PEER})
    for packet in (
        packets.tcp(OWN, 40000, OWN, 5555, 1, 0, SYN),
        packets.tcp(OWN, 5555, OWN, 40000, 1, 2, SYN | ACK),
        packets.udp(OWN, 40000, PEER, 5555, b"hello"),
        packets.tcp(OWN, 40000, ELSEWHERE, 5555, 1, 0, SYN),
    ):
        recorder.packet(packets._header(packet) + packet.payload)
    attempts: Any = recorder.as_json()["attempts"]
    assert [(one["protocol"], one["address"]) for one in attempts] == [("tcp", ELSEWHERE)]


def passes(lines: list[sniffer.Line], packet: bytes) -> bool:
    """Whether a packet socket's filter keeps the packet, as the kernel would run it."""
    index, loaded = 0, 0
    labels = {line[0]: number for number, line in enumerate(lines) if line[0]}
    header = 0
    while True:
        _, code, operand, yes, no = lines[index]
        index += 1
        if code == sniffer.RETURN:
            return operand > 0
        if code == sniffer.LOAD_BYTE and operand < len(packet):
            loaded = packet[operand]
        elif code == sniffer.LOAD:
            is_type = operand == sniffer.PACKET_TYPE
            loaded = sniffer.PACKET_OUTGOING if is_type else int.from_bytes(packet[operand : operand + 4], "big")
        elif code == sniffer.LOAD_HALF:
            loaded = int.from_bytes(packet[operand : operand + 2], "big")
        elif code == sniffer.HEADER_TO_X:
            header = (packet[operand] & 15) * 4
        elif code == sniffer.LOAD_BYTE_X:
            loaded = packet[header + operand]
        elif code == sniffer.AND:
            loaded &= operand
        else:
            holds = loaded == operand if code == sniffer.EQUALS else bool(loaded & operand)
            label = yes if holds else no
            index = labels[label] if label else index


@pytest.mark.parametrize(
    ("target", "seen"), [(OWN, False), (PEER, False), ("127.0.0.1", False), ("10.255.77.3", True), (ELSEWHERE, True)]
)
def test_the_kernel_hands_over_calls_to_elsewhere_alone(target: str, seen: bool) -> None:
    for packet in (packets.tcp(OWN, 40000, target, 5555, 1, 0, SYN), packets.udp(OWN, 40000, target, 5555, b"x")):
        data = packets._header(packet) + packet.payload
        assert passes(sniffer.calls([OWN, PEER]), data) is seen
        assert passes(sniffer.calls(), data) is (target != "127.0.0.1")


@pytest.mark.parametrize(
    ("source", "seen"), [(ELSEWHERE, True), ("127.0.0.1", False), (OWN, False), (PEER, False), ("10.255.77.3", True)]
)
@pytest.mark.parametrize("target", ["127.0.0.1", OWN])
def test_an_answer_from_elsewhere_is_handed_over_where_the_container_alone_can_give_it(
    source: str, seen: bool, target: str
) -> None:
    for packet in (
        packets.tcp(source, 80, target, 40000, 1, 2, SYN | ACK),
        packets.udp(source, 80, target, 40000, b"x"),
    ):
        data = packets._header(packet) + packet.payload
        assert passes(sniffer.calls([OWN, PEER], answers=True), data) is seen
        assert not passes(sniffer.calls([OWN, PEER]), data)
    ended = packets.tcp(source, 80, target, 40000, 1, 2, RST | ACK)
    assert not passes(sniffer.calls([OWN, PEER], answers=True), packets._header(ended) + ended.payload)


def test_who_answers_is_told_and_counts_as_no_further_call() -> None:
    recorder = Recorder()
    for packet in (
        packets.tcp("127.0.0.1", 40000, ELSEWHERE, 80, 1, 0, SYN),
        packets.tcp(ELSEWHERE, 80, "127.0.0.1", 40000, 5, 2, SYN | ACK),
        packets.udp("127.0.0.1", 40001, ELSEWHERE, 81, b"x"), packets.udp(ELSEWHERE, 81, "127.0.0.1", 40001, b"x"),
        packets.udp(ELSEWHERE, 82, "127.0.0.1", 40001, b"x"), packets.tcp(ELSEWHERE, 83, "127.0.0.1", 40001, 1, 0, SYN),
    ):  # fmt: skip
        recorder.packet(packets._header(packet) + packet.payload)
    attempts: Any = recorder.as_json()["attempts"]
    assert [(one["protocol"], one["port"], one["count"], one["hints"]) for one in attempts] == [
        ("tcp", 80, 1, ["answered by itself"]), ("udp", 81, 1, ["answered by itself"]),
    ]  # fmt: skip


def question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_the_names_of_the_jobs_addresses_are_no_call_to_elsewhere() -> None:
    recorder = Recorder()
    resolver = Resolver(recorder, {"algo-1": "127.0.0.1"})
    resolver.know({"algo-1": OWN, "algo-2": PEER})
    for name, kind in (("1.77.255.10.in-addr.arpa", 12), ("2.77.255.10.in-addr.arpa", 12), ("algo-2", 28)):
        reply = resolver.answer(question(name, kind), "169.254.169.253")
        assert reply is not None
        assert reply[3] & 15 == 0
    assert recorder.as_json()["attempts"] == []
    assert resolver.answer(question("algo-2", 1), "169.254.169.253").endswith(bytes([10, 255, 77, 2]))  # type: ignore[union-attr]
    resolver.answer(question("3.77.255.10.in-addr.arpa", 12), "169.254.169.253")
    attempts: Any = recorder.as_json()["attempts"]
    assert [one["host"] for one in attempts] == ["3.77.255.10.in-addr.arpa"]


def test_a_peer_is_reached_while_its_echo_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.2", 0))
        monkeypatch.setattr(peers, "ECHO", free.getsockname()[1])
    monkeypatch.setattr(peers, "ECHO_SECONDS", 0.2)

    async def ask() -> list[bool]:
        echo, found = peers.Echo(), []
        for on in (False, True, False):
            await echo.turn("127.0.0.2", on=on)
            found.append(await asyncio.to_thread(peers._answers, "127.0.0.2", "127.0.0.1"))
        return found

    assert asyncio.run(ask()) == [False, True, False]


def test_a_route_to_a_peer_alone_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers.observe, "interfaces", lambda: ["eth0", "lo"])
    monkeypatch.setattr(peers, "_is_local", lambda _: False)
    monkeypatch.setattr(peers, "_answers", lambda address, own: False)
    assert peers.prove(OWN, {"algo-1": OWN, "algo-2": PEER}, []) == ["algo-2 does not answer"]


def test_where_an_address_leads_is_proven_by_binding_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peers._is_local("127.0.0.7")
    monkeypatch.setattr(peers.observe, "interfaces", lambda: ["eth0", "lo"])
    monkeypatch.setattr(peers, "_call", lambda address, interface: errno.ECONNREFUSED)
    monkeypatch.setattr(peers, "_is_local", lambda address: address == PEER)
    wrong = peers.prove(OWN, {"algo-1": OWN, "algo-2": PEER}, [ELSEWHERE])
    assert wrong == ["algo-2 is not behind eth0", f"{ELSEWHERE} is not local"]


def test_checksums_and_filters_are_as_the_kernel_wants_them() -> None:
    assert packets.checksum(bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")) == 0
    for lines in (
        sniffer.calls(),
        sniffer.calls(["10.255.77.1", "10.255.77.2"]),
        sniffer.calls(["10.255.77.1", "10.255.77.2"], answers=True),
        sniffer.conversations(""),
        sniffer.conversations("169.254.169.253"),
    ):
        program = sniffer.assemble(lines)
        count = len(program) // 8
        for number, (code, yes, no, _) in enumerate(struct.iter_unpack("=HBBI", program)):
            assert code == sniffer.RETURN or number + 1 + max(yes, no) < count
