"""Payloads read without a database: nothing that a sender writes gets further than it should."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listings.hooks import PROVIDERS, EventKind, payload_of
from listings.hooks.body import REMOVED, redacted, redacted_headers
from listings.hooks.events import PATHS_AT_MOST, REFS_AT_MOST, Event, changed_paths
from listings.hooks.repositories import is_same
from listings.models import Provider
from listings.problems import ProblemError
from tests.hook_sending import COMMIT, PAYLOADS, payload

EVENTS = {
    "github": {"x-github-event": "push"},
    "gitlab": {"x-gitlab-event": "Push Hook"},
    "bitbucket": {"x-event-key": "repo:push"},
    "gitea": {"x-gitea-event": "push"},
    "registry": {},
    "generic": {},
}
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_every_provider_is_read() -> None:
    assert set(PROVIDERS) == set(Provider.values) == set(EVENTS)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _paths(item, (*path, key))
    return found


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _put(copy[path[0]], path[1:], new)
    return copy


@given(st.data())
def test_whatever_stands_anywhere_in_a_payload_is_read_or_refused(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(file.stem for file in PAYLOADS.glob("*.json"))))
    provider = name.partition("-")[0]
    body = payload(name)
    changed = _put(body, data.draw(st.sampled_from(_paths(body))), data.draw(_json))
    if not isinstance(changed, dict):
        return
    try:
        events: tuple[Event, ...] = PROVIDERS[provider].read(EVENTS[provider], changed)
    except ProblemError as error:
        events, code = (), error.code
    else:
        code = "HOOK-NOT-PROVIDERS"
    assert code == "HOOK-NOT-PROVIDERS"
    for event in events:
        shown = event.ref + event.sender + event.repository + event.name
        assert shown.isprintable()
        assert max(len(event.ref) - 255, len(event.sender) - 120, len(event.name) - 80) <= 0
        if event.kind in (EventKind.BRANCH, EventKind.TAG):
            assert re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", event.commit)


@given(st.binary(max_size=200))
def test_any_body_is_json_or_refused(body: bytes) -> None:
    for form in (True, False):
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            try:
                found: Any = payload_of({"content-type": kind}, body, form=form)
            except ProblemError as error:
                found = error.code
            assert isinstance(found, dict) or found in ("HOOK-NOT-JSON", "HOOK-CONTENT-TYPE")


def test_a_branch_that_is_named_like_a_tag_stays_a_branch() -> None:
    body = payload("github-push") | {"ref": "refs/heads/refs/tags/v9.9.9"}
    [event] = PROVIDERS["github"].read(EVENTS["github"], body)
    assert (event.kind, event.ref) == (EventKind.BRANCH, "refs/tags/v9.9.9")


def test_an_annotated_tag_is_its_commit() -> None:
    for name in ("github-tag", "gitlab-tag", "gitea-tag"):
        body = payload(name)
        assert body["after"] != COMMIT
        [event] = PROVIDERS[name.partition("-")[0]].read(EVENTS[name.partition("-")[0]], body)
        assert (event.kind, event.ref, event.commit) == (EventKind.TAG, "v1.2.3", COMMIT)


@given(_json)
def test_what_is_kept_can_be_stored(value: Any) -> None:
    text = json.dumps(redacted(value, ["s3cret"]), ensure_ascii=False)
    text.encode()
    assert "s3cret" not in text


def test_secrets_are_found_by_their_names_and_by_themselves() -> None:
    body = {
        "client_secret": "a", "Password": "b", "api-key": "c", "private_key": "d", "token": "e", "X": "me s3cret you",
        "s3cret": 1, "tokens_url": "https://kept", "secret": True, "secrets": {"password": 5}, "url": "ssh://git:pw@h/x",
    }  # fmt: skip
    kept = redacted(body, ["s3cret"])
    assert [kept[name] for name in ("client_secret", "Password", "api-key", "private_key", "token")] == [REMOVED] * 5
    assert kept["X"] == f"me {REMOVED} you"
    assert (kept["tokens_url"], kept["secrets"], kept["url"]) == ("https://kept", {"password": REMOVED}, "ssh://h/x")
    assert "s3cret" not in kept


def test_what_is_nested_too_deeply_is_not_kept() -> None:
    value: Any = "deep s3cret"
    for _ in range(900):
        value = [value]
    assert "s3cret" not in json.dumps(redacted({"a": value}, ["s3cret"]))


def test_headers_are_few_and_short() -> None:
    headers = {f"x-{n}-token": "v" for n in range(100)} | {"user-agent": "u" * 9000, "x-other": "v"}
    kept = redacted_headers(headers)
    assert len(kept) <= 40
    assert set(redacted_headers({"x-token": "v", "cookie": "c", "x-other": "o"}).values()) == {REMOVED}
    assert len(redacted_headers({"user-agent": "u" * 9000})["user-agent"]) == 200


@pytest.mark.parametrize(
    ("name", "url", "same"),
    [
        ("acme/x", "https://github.com/acme/x.git", True),
        ("Acme/X", "https://github.com/acme/x", True),
        ("acme/x", "git@github.com:acme/x.git", True),
        ("acme/x", "ssh://git@h:22/acme/x.git/", True),
        ("PROJ/x", "https://h/scm/PROJ/x.git", True),
        ("a/b/c", "git@h:a/b/c.git", True),
        ("x", "https://github.com/acme/x", True),
        ("me/x", "https://github.com/acme/x", False),
        ("acme/x", "https://github.com/acme/xx", False),
        ("acme/x", "https://acme/x", False),
        ("", "https://github.com/acme/x", False),
        ("/", "https://github.com/acme/x", False),
    ],
)
def test_repositories_are_compared_by_the_end_of_the_path(name: str, url: str, same: bool) -> None:
    assert is_same(name, url) is same


def test_too_many_files_are_not_known() -> None:
    commits = [{"added": [f"f{n}" for n in range(PATHS_AT_MOST + 1)], "modified": [], "removed": []}]
    assert changed_paths(commits) is None
    assert changed_paths([{"added": ["a"], "modified": ["b"], "removed": ["a"]}]) == ("a", "b")


def test_a_registrys_tag_is_found_after_any_number_of_layers() -> None:
    body = payload("registry-push")
    layer = {"action": "push", "target": {"repository": "acme/decision-trees", "digest": "sha256:" + "a" * 64}}
    tagged = [event for event in body["events"] if event["target"].get("tag")]
    found = PROVIDERS["registry"].read({}, body | {"events": [layer] * 60 + tagged})
    assert {event.kind for event in found} == {EventKind.IMAGE}
    many = PROVIDERS["registry"].read({}, body | {"events": tagged[:1] * (REFS_AT_MOST + 3)})
    assert [event.kind for event in many[REFS_AT_MOST:]] == [EventKind.LEFT_OUT]
    assert len(many[-1].left_out) == 3
