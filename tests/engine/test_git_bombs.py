"""fetch from Git: a few kilobytes that would take the host's memory."""

from __future__ import annotations

import hashlib
import http.server
import threading
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from listings.problems import ProblemError
from tests.engine.git_fixtures import Fetching, fetching
from workers.sources.git import runner
from workers.sources.git.collect import Collection
from workers.sources.git.tree import Entry
from workers.sources.members import Limits
from workers.steps.contract import Stop

__all__ = ["fetching"]

COMMIT, TREE, BLOB, DELTA = 1, 2, 3, 7
BASE = bytes((1 << 24) - 1)
COPIES = 64


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes([*found, number])


def _packed(kind: int, size: int, content: bytes, base: bytes = b"") -> bytes:
    """One object of a pack (gitformat-pack(5))."""
    head = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + base + zlib.compress(content, 9)


def _id(kind: str, content: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).digest()


def delta_bomb() -> tuple[str, bytes]:
    """A commit's id, and a pack with it whose delta copies the whole of its base again and again."""
    blob = _id("blob", BASE)
    tree = b"100644 weights\0" + blob
    who = b"Sally <sally@example.com> 1700000000 +0000"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nA bomb\n" % (_id("tree", tree).hex().encode(), who, who)
    copy = bytes([0x80 | 0x70, 0xFF, 0xFF, 0xFF])  # 16 MiB - 1 from offset 0
    delta = _varint(len(BASE)) + _varint(COPIES * len(BASE)) + copy * COPIES
    objects = (
        _packed(COMMIT, len(commit), commit), _packed(TREE, len(tree), tree), _packed(BLOB, len(BASE), BASE),
        _packed(DELTA, len(delta), delta, blob),
    )  # fmt: skip
    body = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big") + b"".join(objects)
    return _id("commit", commit).hex(), body + hashlib.sha1(body, usedforsecurity=False).digest()


def _line(content: bytes) -> bytes:
    return b"%04x%s" % (len(content) + 4, content)


class _Host(http.server.BaseHTTPRequestHandler):
    """git's smart HTTP, version 0 (gitprotocol-http(5)), for one pack."""

    commit: str
    pack: bytes

    def do_GET(self) -> None:
        refs = f"{self.commit} refs/heads/main\0ofs-delta agent=bomb".encode()
        self._say("advertisement", _line(b"# service=git-upload-pack\n") + b"0000" + _line(refs) + b"0000")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._say("result", _line(b"NAK\n") + self.pack)

    def _say(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def bomb() -> Iterator[str]:
    """The host of a server that gives out the bomb, whatever the path."""
    commit, pack = delta_bomb()
    assert len(pack) < 20_000
    handler = type("Handler", (_Host,), {"commit": commit, "pack": pack})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_pack_that_unpacks_to_a_gigabyte_is_refused(
    bomb: str, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smaller bomb than an attacker's, and as much smaller a limit."""
    monkeypatch.setattr(runner, "MEMORY", 512 << 20)
    fetching.allow(bomb)
    failed = fetching(f"http://{bomb}/acme/model.git", "main")
    failed.assert_failed("SOURCE-TOO-LARGE", "too much memory", "512.0 MiB", "ut of memory")


def test_what_a_server_says_of_its_own_memory_is_no_limit_of_ours() -> None:
    ended = runner.failure(128, ("remote: fatal: Out of memory, malloc failed", "fatal: early EOF"))
    assert isinstance(ended, runner.GitFailed)


def test_nested_trees_are_counted_while_they_are_read() -> None:
    """Ten thousand million files fit into ten small trees; the list of them must not be made first."""
    read = 0

    def entries() -> Iterator[Entry]:
        nonlocal read
        while True:
            read += 1
            yield Entry("100644", "0" * 40, 1, f"file-{read}")

    git: Any = SimpleNamespace(stop=Stop())
    way: Any = None
    collection = Collection(git, way, Limits(1 << 30, 100), "")
    with pytest.raises(ProblemError, match="SOURCE-TOO-LARGE"):
        collection._inside(entries(), "")
    assert read == 101
