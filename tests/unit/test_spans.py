"""Where an attempt's time goes outside Slipway."""

from __future__ import annotations

import pytest

from listings.reports import Span
from workers import spans


def test_pieces_of_one_kind_are_united_and_kinds_stay_apart() -> None:
    with spans.record() as recorder:
        spans.note("engine", 10.0, 12.0)
        spans.note("engine", 11.0, 13.0)
        spans.note("container", 12.5, 14.0)
        spans.note("engine", 20.0, 21.0)
    assert recorder.merged() == (
        Span("engine", 10.0, 13.0), Span("container", 12.5, 14.0), Span("engine", 20.0, 21.0),
    )  # fmt: skip


def test_pieces_noted_out_of_order_come_in_order_of_time() -> None:
    with spans.record() as recorder:
        spans.note("engine", 30.0, 31.0)
        spans.note("engine", 10.0, 11.0)
        spans.note("engine", 10.5, 12.0)
    assert recorder.merged() == (Span("engine", 10.0, 12.0), Span("engine", 30.0, 31.0))


def test_a_piece_that_ends_before_it_starts_is_none() -> None:
    with spans.record() as recorder:
        spans.note("engine", 12.0, 11.0)
    assert recorder.merged() == ()


def test_a_block_that_fails_counts_as_long_as_it_took() -> None:
    with spans.record() as recorder, pytest.raises(KeyError), spans.span("registry"):
        raise KeyError
    (only,) = recorder.merged()
    assert only.kind == "registry"


def test_each_attempt_records_its_own() -> None:
    with spans.record() as first:
        with spans.record() as second:
            spans.note("engine", 1.0, 2.0)
        spans.note("engine", 3.0, 4.0)
    spans.note("engine", 5.0, 6.0)  # nobody records
    assert second.merged() == (Span("engine", 1.0, 2.0),)
    assert first.merged() == (Span("engine", 3.0, 4.0),)
