"""What differs between the reports of two runs, and which of it is a regression. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from listings.twin.document import (
    AnswerChange,
    Call,
    CallChange,
    CheckChange,
    CheckItem,
    Comparison,
    Figure,
    Report,
    RequestItem,
)
from listings.twin.drawn import place
from listings.twin.phases import phase_title

MOST_ANSWERS, MOST_DIFF_LINES, MOST_CALLS = 50, 60, 60
Unit = Literal["ms", "s", "bytes", "memory", "per second"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A figure, and from what difference on it counts: both ``percent`` and ``least`` must be passed.

    ``up`` is False for a figure of which more is better.
    """

    key: str
    label: str
    unit: Unit
    read: Callable[[Report], float | None]
    percent: float
    least: float
    least_words: str
    up: bool = True

    @property
    def words(self) -> str:
        return f"{'more' if self.up else 'less'} by {self.percent:g} % and by {self.least_words}"


def _load(name: str) -> Callable[[Report], float | None]:
    return lambda report: getattr(report.inference.load, name) if report.inference and report.inference.load else None


def _slowest(report: Report) -> float | None:
    times = [sent.ms for sent in report.inference.requests if sent.ms is not None] if report.inference else []
    return max(times, default=None)


def _model_bytes(report: Report) -> float | None:
    """Of all archives that were served; None where one of them is not known."""
    sizes = [model.bytes for model in report.models]
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


RULES: tuple[Rule, ...] = (
    Rule("p50_ms", "Latency p50", "ms", _load("p50_ms"), 20, 5, "5 ms"),
    Rule("p90_ms", "Latency p90", "ms", _load("p90_ms"), 20, 5, "5 ms"),
    Rule("p99_ms", "Latency p99", "ms", _load("p99_ms"), 25, 10, "10 ms"),
    Rule("throughput", "Throughput", "per second", _load("throughput"), 20, 1, "1 a second", up=False),
    Rule("slowest_ms", "Slowest sample request", "ms", _slowest, 25, 20, "20 ms"),
    Rule("first_ping_seconds", "First good ping", "s",
         lambda report: report.inference.first_ping_seconds if report.inference else None, 20, 1, "1 s"),
    Rule("training_seconds", "Training on the sample", "s",
         lambda report: report.training.seconds if report.training else None, 20, 5, "5 s"),
    Rule("peak_memory_bytes", "Peak memory", "memory", lambda report: report.peak_memory_bytes, 10, 16 << 20, "16 MiB"),
    Rule("image_bytes", "Image, compressed", "bytes",
         lambda report: report.image.bytes_compressed if report.image else None, 10, 10e6, "10 MB"),
    Rule("model_bytes", "Model archive", "bytes", _model_bytes, 20, 1e6, "1 MB"),
)  # fmt: skip


def compare(before: Report, after: Report) -> Comparison:
    checks, same = _checks(before.checks, after.checks)
    figures = tuple(_figure(rule, before, after) for rule in RULES)
    answers, calls = tuple(_answers(before, after)), tuple(_calls(before.outgoing, after.outgoing))
    worse, better = list(_regressions(checks, figures, answers, calls)), list(_improvements(checks, figures, calls))
    return Comparison(
        before=before.run, after=after.run, sentence=_sentence(len(worse), len(better)), regressions=tuple(worse),
        improvements=tuple(better), checks=checks, checks_same=same, figures=figures, answers=answers, calls=calls,
    )  # fmt: skip


def _sentence(worse: int, better: int) -> str:
    gained = f"{better} improvement{'s' * (better != 1)}" if better else ""
    if not worse:
        return f"Nothing got worse: {gained}." if gained else "Nothing got worse."
    lost = f"{worse} regression{'s' * (worse != 1)}"
    return f"{lost} and {gained}." if gained else f"{lost}."


def signed(percent: float | None) -> str:
    """A change in per cent with its sign, ``same`` for one that rounds to none."""
    if percent is None:
        return "—"
    return "same" if round(percent) == 0 else f"{'+' if percent > 0 else '−'}{abs(percent):.0f} %"


# Checks: by code, the worst outcome of each and how many there are of it.

_RANK = {"pass": 0, "skip": 1, "warn": 2, "fail": 3}


def _by_code(checks: Sequence[CheckItem]) -> dict[str, list[CheckItem]]:
    found: dict[str, list[CheckItem]] = {}
    for check in checks:
        found.setdefault(check.code, []).append(check)
    for own in found.values():
        own.sort(key=lambda check: -_RANK[check.outcome])
    return found


def _checks(before: Sequence[CheckItem], after: Sequence[CheckItem]) -> tuple[tuple[CheckChange, ...], int]:
    old, new = _by_code(before), _by_code(after)
    found: list[CheckChange] = []
    same = 0
    for code in dict.fromkeys([*new, *old]):
        change = _change(old.get(code, []), new.get(code, []))
        if change is None:
            same += 1
            continue
        first = (new.get(code) or old[code])[0]
        was, now = old.get(code), new.get(code)
        found.append(
            CheckChange(
                code=code, title=first.title, stage=first.stage, before=was[0].outcome if was else None,
                after=now[0].outcome if now else None, change=change,
            )
        )  # fmt: skip
    order = ("newly fails", "newly warns", "mended", "no longer known", "new", "gone")
    return tuple(sorted(found, key=lambda each: order.index(each.change))), same


def _change(old: Sequence[CheckItem], new: Sequence[CheckItem]) -> str | None:
    for outcome, words in (("fail", "newly fails"), ("warn", "newly warns")):
        were, are = (sum(check.outcome == outcome for check in checks) for checks in (old, new))
        if are > were:
            # A failure that only warns now is better than before.
            return "mended" if outcome == "warn" and old and old[0].outcome == "fail" else words
    if not new:
        # A check that a run does not reach is not known to be mended.
        return "no longer known" if old[0].outcome in ("fail", "warn") else "gone"
    if not old:
        return "new"
    was, now = _RANK[old[0].outcome], _RANK[new[0].outcome]
    if was >= _RANK["warn"] and new[0].outcome == "pass" or was > now >= _RANK["warn"]:
        return "mended"
    return "no longer known" if new[0].outcome == "skip" and old[0].outcome != "skip" else None


def _figure(rule: Rule, before: Report, after: Report) -> Figure:
    was, now = rule.read(before), rule.read(after)
    percent, worse = None, False
    if was is not None and now is not None:
        percent = round((now - was) / was * 100, 1) if was else None
        change = now - was if rule.up else was - now
        worse = change >= rule.least and (change >= was * rule.percent / 100 if was else True)
    return Figure(
        key=rule.key, label=rule.label, unit=rule.unit, before=was, after=now, percent=percent, regression=worse,
        rule=rule.words,
    )  # fmt: skip


def _answers(before: Report, after: Report) -> Iterator[AnswerChange]:
    old = {sent.name: sent for sent in before.inference.requests} if before.inference else {}
    new = {sent.name: sent for sent in after.inference.requests} if after.inference else {}
    for name in list(dict.fromkeys([*new, *old]))[:MOST_ANSWERS]:
        was, now = old.get(name), new.get(name)
        change = "new" if was is None else "gone" if now is None else _answer_change(was, now)
        diff = _diff(was, now) if was and now and change == "different" else ()
        yield AnswerChange(
            name=name, change=change, status_before=was.status if was else None,
            status_after=now.status if now else None, diff=diff,
        )  # fmt: skip


def _answer_change(was: RequestItem, now: RequestItem) -> str:
    if was.status != now.status:
        return "different"
    if was.sha256 and now.sha256:
        return "same" if was.sha256 == now.sha256 else "different"
    return "unknown"


def _diff(was: RequestItem, now: RequestItem) -> tuple[str, ...]:
    """Where both texts are known; the first two lines, file names, are left out."""
    if not was.text and not now.text:
        return ()
    lines = list(difflib.unified_diff(was.text.splitlines(), now.text.splitlines(), lineterm="", n=1))[2:]
    more = len(lines) - MOST_DIFF_LINES
    return (*lines[:MOST_DIFF_LINES], *([f"… {more} more lines"] if more > 0 else []))


def _calls(before: Sequence[Call], after: Sequence[Call]) -> Iterator[CallChange]:
    old, new = (
        {(phase_title(call.phase), place(call)): None for call in calls if call.network in ("", "refuse")}
        for calls in (before, after)
    )
    changed = [("new", key) for key in new if key not in old] + [("gone", key) for key in old if key not in new]
    for change, (phase, where) in changed[:MOST_CALLS]:
        yield CallChange(phase=phase, place=where, change=change)


def _regressions(
    checks: Sequence[CheckChange], figures: Sequence[Figure], answers: Sequence[AnswerChange],
    calls: Sequence[CallChange],
) -> Iterator[str]:  # fmt: skip
    yield from (f"{each.code} {each.change}: {each.title}" for each in checks if each.change.startswith("newly"))
    for figure in figures:
        if figure.regression:
            yield f"{figure.label}: {signed(figure.percent) if figure.percent is not None else 'from nothing'}"
    yield from (f"{each.phase} calls {each.place}" for each in calls if each.change == "new")
    for answer in answers:
        if answer.change == "different":
            yield f"Sample “{answer.name}” is answered otherwise"


def _improvements(
    checks: Sequence[CheckChange], figures: Sequence[Figure], calls: Sequence[CallChange]
) -> Iterator[str]:
    yield from (f"{each.code} is mended: {each.title}" for each in checks if each.change == "mended")
    yield from (f"{each.phase} no longer calls {each.place}" for each in calls if each.change == "gone")
    rules = {rule.key: rule for rule in RULES}
    for figure in figures:
        rule = rules[figure.key]
        if figure.before is None or figure.after is None or not figure.before:
            continue
        gain = figure.before - figure.after if rule.up else figure.after - figure.before
        if gain >= rule.least and gain >= figure.before * rule.percent / 100:
            yield f"{figure.label}: {signed(figure.percent)}"
