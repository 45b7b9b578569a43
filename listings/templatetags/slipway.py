"""How states, numbers, times and people are written, everywhere the same."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, RadioSelect, Select, Textarea
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from listings import problems
from listings.acts import ACTS
from listings.states import AttemptState, ReleaseState, RunState, StepState, VersionState

register = template.Library()

#: Escape sequences, control characters, and those that turn the direction of a text (Unicode's Bidi_Control).
_UNPRINTABLE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)

#: state -> (class, icon). Words come from the enums; colour never stands alone.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "pass": ("is-pass", "circle-check"),
    "warn": ("is-warn", "alert-triangle"),
    "fail": ("is-fail", "alert-octagon"),
    "skip": ("is-wait", "circle-minus"),
    StepState.WAITING: ("is-wait", "clock"),
    StepState.BLOCKED: ("is-wait", "lock"),
    StepState.SKIPPED: ("is-wait", "minus"),
    AttemptState.QUEUED: ("is-wait", "hourglass"),
    AttemptState.RUNNING: ("is-run", "loader-2"),
    AttemptState.CANCELLING: ("is-warn", "player-stop"),
    AttemptState.SUCCEEDED: ("is-pass", "check"),
    AttemptState.FAILED: ("is-fail", "x"),
    AttemptState.ERRORED: ("is-fail", "bug"),
    AttemptState.TIMED_OUT: ("is-fail", "clock-x"),
    AttemptState.LOST: ("is-fail", "plug-off"),
    AttemptState.CANCELLED: ("is-wait", "ban"),
    RunState.ACTIVE: ("is-run", "loader-2"),
    RunState.PASSED: ("is-pass", "check"),
    RunState.SUPERSEDED: ("is-wait", "arrow-forward-up"),
    VersionState.DRAFT: ("is-wait", "pencil"),
    VersionState.SUBMITTED: ("is-run", "send"),
    ReleaseState.IN_REVIEW: ("is-run", "eye"),
    ReleaseState.CHANGES_REQUESTED: ("is-warn", "arrow-back-up"),
    ReleaseState.APPROVED: ("is-pass", "check"),
    ReleaseState.REGISTERING: ("is-run", "loader-2"),
    ReleaseState.REGISTRATION_FAILED: ("is-fail", "x"),
    ReleaseState.REGISTERED: ("is-pass", "rubber-stamp"),
    ReleaseState.PUBLISHING: ("is-run", "loader-2"),
    ReleaseState.PUBLISHED: ("is-pass", "rocket"),
    ReleaseState.WITHDRAWN: ("is-wait", "ban"),
    "asked": ("is-run", "help-circle"),
    "refused": ("is-fail", "x"),
    "expired": ("is-wait", "clock-x"),
    "revoked": ("is-wait", "ban"),
    "critical": ("is-fail", "alert-octagon"),
    "high": ("is-fail", "alert-octagon"),
    "medium": ("is-warn", "alert-triangle"),
    "low": ("is-wait", "info-circle"),
    "unknown": ("is-warn", "help-circle"),
}
_PLAIN = ("is-wait", "point")
_WORDS: Mapping[str, str] = {RunState.ACTIVE: "Running", "fail": "Fails", "pass": "Passes"}


@register.filter
def state_class(state: str) -> str:
    """``is-pass`` | ``is-fail`` | ``is-warn`` | ``is-run`` | ``is-wait`` for any state or outcome."""
    return _LOOKS.get(str(state), _PLAIN)[0]


@register.filter
def state_icon(state: str) -> str:
    return _LOOKS.get(str(state), _PLAIN)[1]


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A decorative icon: words beside it carry the meaning."""
    return format_html('<i class="ti ti-{} {}" aria-hidden="true"></i>', name, extra)


@register.simple_tag
def tag(state: str, text: str = "") -> SafeString:
    """A state as a pill with icon and word. ``text`` replaces the state's own word."""
    css, name = _LOOKS.get(str(state), _PLAIN)
    words = text or _WORDS.get(str(state)) or str(state).replace("_", " ").capitalize()
    return format_html('<span class="tag {}"><i class="ti ti-{}" aria-hidden="true"></i>{}</span>', css, name, words)


@register.filter
def size(count: float | None) -> str:
    """Bytes in decimal units, as registries and AWS give them: ``365 MB``."""
    if not isinstance(count, int | float):
        return "—"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""


@register.filter
def memory(count: float | None) -> str:
    """Bytes in binary units, as memory is sold: ``612 MiB``."""
    if not isinstance(count, int | float):
        return "—"
    value = float(count) / 1024**2
    return f"{value:.0f} MiB" if value < 4096 else f"{value / 1024:.1f} GiB".replace(".0 ", " ")


@register.filter
def duration(seconds: float | None) -> str:
    """``0.9 s``, ``42 s``, ``3 min 05 s``, ``2 h 10 min``; empty without a value."""
    if not isinstance(seconds, int | float):
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def ago_text(seconds: float) -> str:
    past = abs(seconds)
    for unit, length in (("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3_600), ("min", 60)):
        if past >= length:
            words = f"{int(past // length)} {unit}"
            return f"{words} ago" if seconds >= 0 else f"in {words}"
    return "just now"


@register.simple_tag
def ago(moment: datetime | None, missing: str = "never") -> SafeString | str:
    """A relative time; the absolute one on hover. time.js keeps it fresh."""
    if moment is None:
        return missing
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC" data-ago>{}</time>',
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        ago_text((timezone.now() - moment).total_seconds()),
    )


@register.simple_tag
def since(moment: datetime | None) -> SafeString | str:
    """A stopwatch that runs since ``moment``."""
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}" data-since>{}</time>',
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        duration(max(0.0, (timezone.now() - moment).total_seconds())),
    )


def _short(value: str) -> str:
    """``sha256:9f3c8f3c…e1b7``; an image's name and its digest's beginning; an ARN's last part; else the middle cut."""
    if value.startswith("arn:"):
        return value.rpartition(":")[2]
    name, at, tail = value.partition("@sha256:")
    if at:
        return f"{name.rpartition('/')[2]}@{tail[:8]}…"
    head, colon, rest = value.partition("sha256:")
    body = rest if colon and not head else value
    short = f"{body[:8]}…{body[-4:]}" if len(body) > 24 else body
    return f"sha256:{short}" if body is not value else short


@register.simple_tag
def digest(value: str | None, label: str = "") -> SafeString | str:
    """A digest, image address or ARN in short, whole on hover, with a copy button."""
    if not value:
        return "—"
    shown = _short(value)
    return format_html(
        '<span class="digest"><code title="{}">{}</code><button type="button" class="copy" data-copy="{}" '
        'aria-label="Copy {}"><i class="ti ti-copy" aria-hidden="true"></i></button></span>',
        value, shown, value, label or "digest",
    )  # fmt: skip


@register.simple_tag
def avatar(person: Any, small: str = "") -> SafeString:
    """Initials on a ground that stays the same for the same person. None is Slipway itself."""
    css = "avatar-initials is-small" if small else "avatar-initials"
    name = str(person) if person else ""
    if not name:
        return format_html('<span class="{} hue-4" aria-hidden="true"><i class="ti ti-robot"></i></span>', css)
    words = name.replace("@", " ").split()
    initials = (words[0][0] + (words[-1][0] if len(words) > 1 else words[0][1:2])).upper()
    hue = zlib.crc32(name.encode()) % 6
    return format_html('<span class="{} hue-{}" aria-hidden="true">{}</span>', css, hue, initials)


@register.filter
def problem_text(code: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The catalogue's texts for ``code``, filled with ``params``: title, cause, remedy, source, owner, next_action."""
    values = params or {}
    try:
        entry = problems.get(code)
    except KeyError:  # an attempt of an older release of Slipway, whose code has since been retired
        return {"code": code, "title": code, "cause": "", "remedy": "", "holds": code, "source": "", "owner": "",
                "next_action": ""}  # fmt: skip
    return {
        "code": code,
        "title": problems.fill(entry.title, values),
        "cause": problems.fill(entry.cause, values),
        "remedy": problems.fill(entry.remedy, values),
        "holds": problems.fill(entry.holds, values) or entry.title,
        "source": entry.source,
        "owner": str(entry.owner),
        "next_action": str(entry.next_action),
    }


@register.filter
def diff_lines(patch: str) -> list[tuple[str, str]]:
    """(class, line) for each line of a patch."""
    looks = {"+": "diff-add", "-": "diff-del"}
    return [(looks.get(line[:1], ""), line) for line in patch.splitlines()]


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, optional: str = "auto") -> dict[str, Any]:
    """One form field: label, control, hint, errors beside it. Invalid ones say so to screen readers."""
    widget = bound.field.widget
    kind = "checkbox" if isinstance(widget, CheckboxInput) else "radio" if isinstance(widget, RadioSelect) else "text"
    css = "form-select" if isinstance(widget, Select) and kind == "text" else "form-control"
    if kind == "checkbox":
        css = "form-check-input"
    described = [f"{bound.id_for_label}-error"] if bound.errors else []
    if bound.help_text:
        described.append(f"{bound.id_for_label}-hint")
    classes = (css, widget.attrs.get("class", ""), "is-invalid" if bound.errors else "")
    attrs: dict[str, Any] = {"class": " ".join(filter(None, classes))}
    if str(bound.label).lower() in str(widget.attrs.get("placeholder", "")).lower():
        attrs["placeholder"] = ""  # it would only repeat the label
    if isinstance(widget, Textarea):
        attrs.setdefault("rows", widget.attrs.get("rows", 4))
    if described:
        attrs["aria-describedby"] = " ".join(described)
    if bound.errors:
        attrs["aria-invalid"] = "true"
    control = "" if kind == "radio" else bound.as_widget(attrs=attrs)
    show_optional = not bound.field.required and kind == "text" if optional == "auto" else optional == "yes"
    return {"field": bound, "kind": kind, "control": control, "show_optional": show_optional}


@register.filter
def get(mapping: Mapping[str, Any] | None, key: str) -> Any:
    """``mapping[key]`` or None, for keys that a template cannot spell."""
    return None if mapping is None else mapping.get(key)


@register.filter
def spark(runs: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Bars for (state, seconds) pairs, oldest first: x, y, height, class. The tallest bar is 24 high."""
    tallest = max((seconds for _, seconds in runs), default=0.0) or 1.0
    bars = []
    for index, (state, seconds) in enumerate(runs[-20:]):
        height = max(4.0, 24.0 * (seconds / tallest))
        place = {"x": round(index * 4.8, 1), "y": round(26 - height, 1), "height": round(height, 1)}
        bars.append({**place, "css": state_class(state)})
    return bars


@register.filter
def act_words(action: str) -> str:
    """An audit event's ``noun.verb`` as the middle of a sentence: who (this) what."""
    return ACTS.get(action, action.replace(".", " ").replace("_", " "))


@register.filter
def spark_width(bars: Sequence[Any]) -> float:
    return round(max(len(bars), 1) * 4.8, 1)


@register.filter
def run_bars(runs: Sequence[Any]) -> list[tuple[str, float]]:
    """(state, seconds) of each run, for ``spark``; a running one counts until now."""
    now = timezone.now()
    return [(run.state, ((run.finished_at or now) - run.created_at).total_seconds()) for run in runs]


@register.filter
def run_summary(runs: Sequence[Any]) -> str:
    """The bars in words."""
    counts = {label: sum(run.state == state for run in runs) for state, label in RunState.choices}
    return ", ".join(f"{count} {label.lower()}" for label, count in counts.items() if count) or "no runs"


@register.filter
def at(rows: Sequence[Any], index: int) -> Any:
    """``rows[index]``, also from the end; None beyond it."""
    try:
        return rows[index]
    except IndexError:
        return None


@register.filter
def passing_reasons(reasons: Sequence[Any]) -> list[Any]:
    """The gate's reasons that hold."""
    return [reason for reason in reasons if reason.outcome == "pass"]


@register.filter
def asked_in(reason: Any, version: Any) -> bool:
    """Whether a waiver of this gate reason was asked for and is not yet decided."""
    if not hasattr(version, "_asked"):
        open_ = version.waivers.filter(granted_at=None, refused_at=None, revoked_at=None)
        version._asked = set(open_.values_list("code", "subject"))
    return (reason.code, reason.subject) in version._asked


@register.filter
def tries_of(steps: Sequence[Any], name: str) -> int:
    """The number of the latest attempt at the step ``name``, as log anchors spell it."""
    return next((row.attempt.number for row in steps if row.step.name == name and row.attempt), 1)


@register.filter
def printable(text: Any) -> str:
    """A container's line without escape sequences and without what would turn the words around it."""
    return _UNPRINTABLE.sub("", str(text))


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
