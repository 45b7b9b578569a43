"""One user cannot take the places of all who follow live."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from listings import livelog
from portal import live
from tests.services.live_fixtures import LiveServer, RealRedis, Stream, real_redis, stream_server, wait_for

__all__ = ["stream_server", "real_redis"]


def test_one_user_follows_only_so_many_streams_and_may_again_when_one_has_ended(
    stream_server: LiveServer, real_redis: RealRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_VIEWERS_EACH", 1)
    user, owner_id = uuid4(), uuid4()

    def follow(what: UUID) -> Stream:
        return Stream(stream_server, what, ticket=livelog.issue_ticket(what, user))

    first = follow(owner_id)
    first.until("status")
    assert follow(uuid4()).status == 503
    assert Stream(stream_server, uuid4()).status == 200
    stream_server.final.add(owner_id)
    livelog.announce(real_redis.url, owner_id, {"kind": "run", "state": "passed", "final": True})
    first.until("end")
    wait_for(lambda: str(user) not in live._streams_of)
    assert follow(uuid4()).status == 200
