"""How the report's figures are written."""

from __future__ import annotations

import re

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from listings.templatetags.slipway import duration, memory, size
from listings.twin import compare, drawn, phases, plots
from listings.twin.document import Call, SkippedRun

register = template.Library()
_CODE = re.compile(r"`([^`]+)`")
#: The classic builder writes the digest of what it copied in place of its name.
_COPIED = re.compile(r"\b((?:file|dir|multi):[0-9a-f]{12})[0-9a-f]{52}\b")


@register.filter
def code_spans(text: str) -> SafeString:
    """Text of ours with `code` in it; everything else is escaped."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped right before


@register.filter
def figure(value: float | None, unit: str) -> str:
    """A figure of the comparison in its unit; a dash where it was not recorded."""
    if value is None:
        return "—"
    written = {"ms": plots.short_ms, "s": duration, "bytes": size, "memory": memory}.get(unit)
    return written(value) if written else f"{value:.4g} /s"


@register.filter
def ms(value: float | None) -> str:
    return "—" if value is None else plots.short_ms(value)


@register.filter
def moment(seconds: float) -> str:
    """When a mark was made: marks a fraction of a second apart are told apart."""
    return f"{seconds:.1f} s" if seconds < 100 else str(duration(seconds))


@register.filter
def percent(share: float | None) -> str:
    """``0.614`` as ``61 %``."""
    if share is None:
        return "—"
    return "< 1 %" if 0 < share < 0.01 else f"{share * 100:.0f} %"


register.filter("signed", compare.signed)


@register.filter
def width_of(share: float | None) -> float:
    """A share as the width of a bar that is 100 wide; what is there at all can be seen."""
    return round(max(0.6, min(100.0, (share or 0) * 100)), 1)


@register.filter
def phase(name: str) -> str:
    return phases.phase_title(str(name))


@register.filter
def network(name: str) -> str:
    return {"drop": "left unanswered", "diagnose": "answered, to learn more"}.get(str(name), "refused")


@register.filter
def skipped_run(run: SkippedRun) -> str:
    """A run that was not made, with the reason."""
    how = drawn.network_words(run.network)
    return f"{phases.phase_title(run.phase)}{', ' + how if how else ''}: {run.reason or 'no reason was recorded'}"


@register.filter
def place(call: Call) -> str:
    return drawn.place(call)


@register.filter
def instruction(line: str) -> str:
    """A layer's instruction as the Dockerfile has it."""
    words = _COPIED.sub(r"\1…", line.strip())
    for prefix in ("/bin/sh -c #(nop)", "/bin/sh -c"):
        if words.startswith(prefix):
            rest = words[len(prefix) :].strip()
            return rest if "nop" in prefix else f"RUN {rest}"
    return words or "unknown instruction"


@register.filter
def price(dollars: float | None) -> str:
    return "—" if dollars is None else f"${dollars:.3f}".rstrip("0").rstrip(".")


@register.simple_tag
def share_bar(share: float | None, css: str = "") -> SafeString:
    """A bar of the share's width; the number beside it says the same."""
    return format_html(
        '<svg class="share {}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ground" width="100" height="8"/><rect class="part" width="{}" height="8"/></svg>',
        css, width_of(share),
    )  # fmt: skip
