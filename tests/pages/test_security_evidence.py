"""A container's own lines among our words: they stay text, and stay where they are."""

from __future__ import annotations

from django.template.loader import render_to_string

from listings.templatetags.slipway import printable


def test_a_containers_line_cannot_colour_turn_or_mark_up_the_page() -> None:
    line = "<b>\x1b[31mred\x1b[0m\x1b]0;title\x07 \u202eleft\u2066 \x00\x08end\tü"
    assert printable(line) == "<b>red left end\tü"
    page = render_to_string("components/evidence.html", {"evidence": [{"text": line, "log_line": 3}], "step": "test"})
    assert "<bdi>&lt;b&gt;red left end\tü</bdi>" in page
    assert "\u202e" not in page
