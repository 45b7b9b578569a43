"""A code host of the tests' own: speaks the commit-status APIs of four providers, and keeps what it is told."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

TOKEN = "glpat-status-token"  # noqa: S105  guards nothing
_SHA = "(?P<sha>[0-9a-f]{40})"
#: Provider -> (path of the endpoint, the words it knows, the field that names the report).
APIS = {
    "github": (rf"/repos/(?P<repo>[^/]+/[^/]+)/statuses/{_SHA}", {"error", "failure", "pending", "success"}, "context"),
    "gitea": (
        rf"/api/v1/repos/(?P<repo>[^/]+/[^/]+)/statuses/{_SHA}",
        {"pending", "success", "error", "failure", "warning"},
        "context",
    ),
    "gitlab": (
        rf"/api/v4/projects/(?P<repo>[^/]+)/statuses/{_SHA}",
        {"pending", "running", "success", "failed", "canceled", "skipped"},
        "name",
    ),
    "bitbucket": (
        rf"/2\.0/repositories/(?P<repo>[^/]+/[^/]+)/commit/{_SHA}/statuses/build",
        {"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"},
        "key",
    ),
}


class CodeHost:
    """``statuses`` are those taken, in order. ``answer`` forces an HTTP status, for a host in trouble."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self.statuses: list[dict[str, Any]] = []
        self.answer = 0
        self.redirect = ""
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = host.take(self.path, dict(self.headers), body)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", host.redirect)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.site = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.site}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The HTTP status that the real host would answer with."""
        if self.answer:
            return self.answer
        for provider, (pattern, words, key) in APIS.items():
            found = re.fullmatch(pattern, path)
            if found is None:
                continue
            if not _signed_in(provider, headers):
                return 401
            if unquote(found["repo"]) != self.repository:
                return 404
            said = json.loads(body)
            if said["state"] not in words or not said[key]:
                return 422
            self.statuses.append({"provider": provider, "sha": found["sha"], **said})
            return 201
        return 404

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _signed_in(provider: str, headers: dict[str, str]) -> bool:
    given = headers.get("PRIVATE-TOKEN") if provider == "gitlab" else headers.get("Authorization", "")
    basic = "Basic " + base64.b64encode(f"alice:{TOKEN}".encode()).decode()
    wanted = {
        "github": {f"Bearer {TOKEN}"}, "gitea": {f"token {TOKEN}"}, "gitlab": {TOKEN},
        "bitbucket": {f"Bearer {TOKEN}", basic},
    }  # fmt: skip
    return given in wanted[provider]


@pytest.fixture
def code_host() -> Iterator[CodeHost]:
    host = CodeHost("acme/vision")
    yield host
    host.close()
