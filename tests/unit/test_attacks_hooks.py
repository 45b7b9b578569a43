"""Attacks by somebody who holds a webhook's secret."""

from __future__ import annotations

import pytest

from listings.hooks import payload_of
from listings.problems import ProblemError


@pytest.mark.parametrize("part", [b"[],", b"{},", b"0,", b'"":[],'])
def test_a_body_of_very_many_values_is_refused_before_it_fills_the_memory(part: bytes) -> None:
    opening, closing = (b'{"a":{', b'"":0}}') if b":" in part else (b'{"a":[', b"0]}")
    body = opening + part * (25 * 1024**2 // len(part) - 10) + closing
    with pytest.raises(ProblemError) as caught:
        payload_of({"content-type": "application/json"}, body)
    assert caught.value.code == "HOOK-NOT-JSON"
    assert "1,000,000" in caught.value.report.params["detail"]


def test_a_large_body_of_texts_is_read() -> None:
    commits = b",".join(b'{"message":"%s","added":["a, b","[c]"]}' % (b"word, " * 500) for _ in range(500))
    assert len(payload_of({"content-type": "application/json"}, b'{"commits":[%s]}' % commits)["commits"]) == 500
