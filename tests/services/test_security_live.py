"""One user cannot take the places of all who follow live."""

from __future__ import annotations

from uuid import uuid4

import pytest

from listings import livelog
from portal import live
from tests.services.live_fixtures import LiveServer, Stream, real_redis, stream_server, wait_for

__all__ = ["stream_server", "real_redis"]


def test_one_user_follows_only_so_many_streams_and_may_again_after_leaving(
    stream_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_VIEWERS_EACH", 1)
    user = uuid4()

    def follow() -> Stream:
        owner_id = uuid4()
        return Stream(stream_server, owner_id, ticket=livelog.issue_ticket(owner_id, user))

    first = follow()
    first.until("status")
    assert follow().status == 503
    other = Stream(stream_server, uuid4())
    assert other.status == 200
    first.response.close()
    first.close()
    wait_for(lambda: str(user) not in live._streams_of)
    last = follow()
    assert last.status == 200
    last.response.close()
    last.close()
    other.response.close()
    other.close()
