"""Brings releases into each state, for the pages of releases, reviews and policies."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from django.conf import settings
from django.utils import timezone

from listings import changesets, spec
from listings.models import Release, Version, Waiver
from listings.reports import CheckOutcome, CheckReport, Evidence, ScanReport, StepReport
from listings.services import leases, planning, releases, versions, waivers
from tests import flow

PUBLISHED = StepReport({"change_set_id": "cs-1", "status": "SUCCEEDED"})
PASSED = {"intent": "VALIDATE", "outcome": "passed", "status": "SUCCEEDED", "reason": "", "errors": []}
REFUSED = {
    "intent": "VALIDATE", "outcome": "failed", "status": "FAILED", "reason": "1 field was refused",
    "errors": [{"code": "INVALID_URL", "message": "SampleNotebookUrl does not answer."}],
}  # fmt: skip
CALLS = [{"phase": "serve", "protocol": "dns", "host": "huggingface.co", "count": 3, "port": 443}]


def sample_spec() -> dict[str, Any]:
    path = settings.BASE_DIR / "samples" / "decision-trees" / "slipway.yaml"
    return deepcopy(spec.parse(path.read_text()).as_json())


def figures(size: int = 412_000_000, memory: int = 540, ms: float = 18.0, outgoing: Any = ()) -> dict[str, StepReport]:
    inference = {"first_ping_seconds": 1.4, "requests": [{"name": "three rows", "status": 200, "ms": ms}]}
    return {
        "inspect": StepReport(
            {"bytes_compressed": size},
            checks=(CheckReport("IMAGE-ARCH", CheckOutcome.PASS, {"architecture": "amd64"}),),
        ),
        "test": StepReport(
            {"outgoing": list(outgoing), "peak_memory_bytes": memory * 1024**2, "inference": inference}
        ),
        "push": StepReport({"digest": flow.DIGEST, "tag": "1.0.0-4f2c91e", "repository_uri": "registry.example/trees"}),
    }  # fmt: skip


def system(version: str) -> StepReport:
    name = f"Debian {version}"
    return StepReport(
        {"os": {"id": "debian", "version_id": version, "name": name}},
        scan=ScanReport("os", "1", True, os_id="debian", os_version=version, os_name=name),
    )


def passed(seller: Any, version: Version, given: Any = None, os_version: str = "10", **kwargs: Any) -> Version:
    """Run the version through; ``given`` is its spec."""
    run = versions.submit_version(seller, version)
    fetch = StepReport({"archive_sha256": "0" * 64, "spec": given or sample_spec()})
    flow.run_through(run, fetch=fetch, scan=system(os_version), **figures(**kwargs))
    return version


def in_review(seller: Any, version: Version, **kwargs: Any) -> Release:
    return releases.request_release(seller, passed(seller, version, **kwargs), "Tokenizer is baked in.")


def approved(seller: Any, admin: Any, version: Version, **kwargs: Any) -> Release:
    release = in_review(seller, version, **kwargs)
    releases.approve(admin, release, "looked at the report")
    planning.plan(release)
    return release


def register(release: Release, report: StepReport) -> Release:
    claim = flow.claim(release, "register")
    releases.begin_step(flow.step_of(release, "register"))
    leases.finish(claim.attempt.pk, claim.lease, report)
    release.refresh_from_db()
    return release


def registered(
    seller: Any, admin: Any, version: Version, validation: dict[str, Any] = PASSED, **kwargs: Any
) -> Release:
    release = approved(seller, admin, version, **kwargs)
    arn = "arn:aws:sagemaker:us-east-1:111122223333:algorithm/decision-trees-1-0-0"
    change_set = changesets.build(
        sample_spec(), arn=arn, version=version.number, product_id=version.listing.product_id,
        access_role_arn=version.listing.team.access_role_arn,
    )  # fmt: skip
    outcome = CheckOutcome.PASS if validation["outcome"] == "passed" else CheckOutcome.FAIL
    evidence = tuple(Evidence(error["message"], label=error["code"]) for error in validation["errors"])
    params = {"reason": validation["reason"], "change_set_id": "cs-0"}
    facts = {"name": "decision-trees-1-0-0", "arn": arn, "change_set": change_set, "validation": validation}
    check = CheckReport("CHANGESET-INVALID", outcome, params, evidence)
    return register(release, StepReport(facts, checks=(check,)))


def published(seller: Any, admin: Any, version: Version, **kwargs: Any) -> Release:
    release = registered(seller, admin, version, **kwargs)
    releases.publish(admin, release)
    planning.plan(release)
    flow.end(release, "publish", PUBLISHED)
    release.refresh_from_db()
    return release


def waived(seller: Any, admin: Any, version: Version, reason: str = "scannable, not end of life") -> Waiver:
    waiver = waivers.ask(seller, version, code="GATE-OS", subject="debian:12", reason="our base")
    waivers.grant(admin, waiver, reason=reason, expires_at=timezone.now() + timedelta(days=70))
    waiver.refresh_from_db()
    return waiver


class Page(HTMLParser):
    """What a page says and offers: its words, buttons, fields, and what the content policy would block."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.status = response.status_code
        self.html = response.content.decode()
        self.words: list[str] = []
        self.buttons: list[tuple[str, dict[str, str]]] = []
        self.actions: set[str] = set()
        self.typed: dict[str, str] = {}
        self.forbidden: list[str] = []
        self._button: dict[str, str] | None = None
        self._area = ""
        self.feed(self.html)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.forbidden += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "script" and "src" not in given:
            self.forbidden.append("inline script")
        if tag == "form" and given.get("action"):
            self.actions.add(given["action"])
        self.actions |= {given["formaction"]} if "formaction" in given else set()
        if tag == "button":
            self._button = given
            self.buttons.append(("", given))
        self._area = given.get("name", "") if tag == "textarea" else ""

    def handle_endtag(self, tag: str) -> None:
        self._button = None if tag == "button" else self._button
        self._area = "" if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._area:
            self.typed[self._area] = (self.typed.get(self._area, "") + data).strip()
        if self._button is not None:
            self.buttons[-1] = ((self.buttons[-1][0] + data).strip(), self._button)

    def button(self, label: str) -> dict[str, str] | None:
        """The attributes of a button by its words, or None if the page has no such button."""
        return next((attrs for words, attrs in self.buttons if words == label), None)


def look(client: Any, path: str, **params: Any) -> Page:
    """Get a page and hold it against the content policy."""
    page = Page(client.get(path, params))
    assert page.forbidden == []
    return page
