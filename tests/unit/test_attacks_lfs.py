"""A hostile Git LFS server that wants the token of another host."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from listings.addresses import parse_git
from listings.problems import ProblemError
from workers.sources.git.lfs import Endpoint, Pointer, _Client


class _Session:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def get(self, href: str, *, auth: Any, **rest: Any) -> None:
        prepared = requests.Request("GET", href).prepare()
        self.asked.append((str(prepared.url), auth))
        raise requests.ConnectionError


def _asked(href: str, tmp_path: Path) -> list[tuple[str, Any]]:
    secret = SimpleNamespace(is_key=False, site="git.messe.example", username="oauth2", text="owner-token")
    way = SimpleNamespace(listed=(), failures=[], raise_if_refused=lambda: None)
    git = SimpleNamespace(stop=SimpleNamespace(check=lambda: None), clean=str)
    session = _Session()
    remote: Any = SimpleNamespace(secret=secret, way=way, git=git)
    client = _Client(remote, session, Endpoint(parse_git("https://lfs.evil.example/x"), {}, None))  # type: ignore[arg-type]
    with pytest.raises(ProblemError):
        client._one(Pointer("model.bin", "0" * 64, 5), {"actions": {"download": {"href": href}}}, tmp_path)
    return session.asked


@pytest.mark.parametrize(
    "href",
    [
        "https://git.meße.example/objects/1",
        "https://git.messe.example@evil.example/1",
        "https://evil.example\\@git.messe.example/1",
        "https://evil.example#@git.messe.example/1",
        "https://evil.example?@git.messe.example/1",
        "https://git.messe.example:443@evil.example/1",
        "https://git.messe.example.evil.example/1",
    ],
)
def test_the_token_goes_only_to_its_own_host_however_a_link_is_spelled(href: str, tmp_path: Path) -> None:
    for url, auth in _asked(href, tmp_path):
        assert auth is None or url.startswith("https://git.messe.example/"), url


def test_a_link_of_the_own_host_is_asked_for_as_it_stands(tmp_path: Path) -> None:
    asked = _asked("https://GIT.messe.example:443/a%2Fb/objects/1/", tmp_path)
    assert asked == [("https://git.messe.example/a%2Fb/objects/1/", ("oauth2", "owner-token"))]
    signed = "https://store.example:8443/o?X-Sig=a%2Fb&b=1"
    assert _asked(signed, tmp_path) == [(signed, None)]
