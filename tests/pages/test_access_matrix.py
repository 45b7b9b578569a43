"""Every route x every role, from the URLconf: a route that nobody thought of fails here."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from listings import blobs, spec
from listings.access import Permission
from listings.models import (
    Attempt,
    CredentialKind,
    Kind,
    Listing,
    Membership,
    Notice,
    Provider,
    Role,
    Team,
    UploadPurpose,
)
from listings.reports import StepReport
from listings.services import (
    credentials,
    deliveries,
    dependencies,
    incoming,
    invitations,
    releases,
    teams,
    versions,
    waivers,
    webhooks,
)
from listings.services import listings as listing_service
from portal.config import SlipwaySettings
from tests import flow

#: allauth's own views judge for themselves; a new one must be looked at before it is added here.
ALLAUTH = frozenset({
    "account_login", "account_logout", "account_inactive", "account_signup", "account_reauthenticate", "account_email",
    "account_email_verification_sent", "account_change_password", "account_set_password", "account_reset_password",
    "account_confirm_login_code", "account_confirm_email", "account_reset_password_from_key_done",
    "account_reset_password_from_key", "account_reset_password_done", "mfa_index", "mfa_authenticate",
    "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes", "mfa_download_recovery_codes",
})  # fmt: skip

ROLES = ("anonymous", "outsider", "viewer", "developer", "releaser", "owner", "admin")
_MEMBERS = ("viewer", "developer", "releaser", "owner")
#: Who passes, said again on purpose: this table is not read from listings/access.py.
MAY: dict[str, frozenset[str]] = {
    Permission.PUBLIC: frozenset(ROLES),
    Permission.SIGNED_IN: frozenset(ROLES) - {"anonymous"},
    Permission.SEE: frozenset({*_MEMBERS, "admin"}),
    Permission.DISCUSS: frozenset({*_MEMBERS, "admin"}),
    Permission.DEVELOP: frozenset({"developer", "releaser", "owner"}),
    Permission.RELEASE: frozenset({"releaser", "owner"}),
    Permission.MANAGE: frozenset({"owner"}),
    Permission.ADMIN: frozenset({"admin"}),
}
#: Routes whose service decides more finely than their declared permission.
FINER = {"release_withdraw": frozenset({"releaser", "owner", "admin"}), "member_remove": frozenset({"owner"})}
#: A file in pieces is its sender's.
FINER |= dict.fromkeys(("tus_file", "tus_finish"), frozenset({"owner"}))


def routes() -> Iterator[tuple[str, URLPattern]]:
    def walk(resolver: Any) -> Iterator[URLPattern]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                yield from walk(entry)
            else:
                yield entry

    for pattern in walk(get_resolver()):
        yield str(pattern.name), pattern


OURS = {name: pattern for name, pattern in routes() if name not in ALLAUTH}


def test_every_route_declares_its_permission() -> None:
    undeclared = [name for name, pattern in OURS.items() if not hasattr(pattern.callback, "permission")]
    assert undeclared == []


def test_what_is_left_to_allauth_is_allauths() -> None:
    strangers = [n for n, p in routes() if n in ALLAUTH and not p.callback.__module__.startswith("allauth.")]
    assert strangers == []
    assert {n for n, _ in routes()} >= ALLAUTH


@dataclass
class World:
    users: dict[str, Any] = field(default_factory=dict)
    notices: dict[str, Any] = field(default_factory=dict)
    kwargs: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: Any) -> Path:
    return Path(tmp_path_factory.mktemp("storage"))


@pytest.fixture(autouse=True)
def own_storage(storage: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = storage


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, storage: Path) -> Iterator[World]:
    """One of everything, made once by the real services; undone when the module ends."""
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=storage), transaction.atomic():
        yield make_world()
        transaction.set_rollback(True)


def make_world() -> World:
    world = World()
    for name in ROLES[1:]:
        world.users[name] = _user(name)
    owner, admin = world.users["owner"], world.users["admin"]
    team = teams.create_team(owner, "Acme Vision")
    teams.connect_aws(owner, team, {"access_role_arn": "arn:aws:iam::111122223333:role/marketplace"})
    for role in (Role.VIEWER, Role.DEVELOPER, Role.RELEASER):
        teams.add_member(owner, team, world.users[role.value].email, role)
    bystander = teams.add_member(owner, team, _user("bystander").email, Role.VIEWER)
    teams.create_team(world.users["outsider"], "Elsewhere")
    world.kwargs = {"team": team.slug, "member": bystander.pk, "kind": Kind.ALGORITHM, "name": "Dockerfile"}
    token = credentials.create(
        owner, team, kind=CredentialKind.TOKEN, name="Code host", host="git.example.com", secret="a-token"
    )
    world.kwargs["credential"] = token.pk
    world.kwargs |= _release(team, owner, admin)
    world.kwargs |= _delivery(owner, Listing.objects.get(team=team))
    sent = incoming.begin(owner, team, UploadPurpose.SOURCE, "source.zip", 10)
    world.kwargs["incoming"] = sent.pk
    invited = invitations.invite(owner, team, "invited@example.com", Role.VIEWER)
    world.kwargs |= {"invitation": invited.pk, "token": invitations.token_of(invited)}
    for name, user in world.users.items():
        world.notices[name] = Notice.objects.create(user=user, kind="x", title="Look", url="/").pk
    return world


def _user(name: str) -> Any:
    from django.contrib.auth import get_user_model

    user = get_user_model().objects.create_user(
        email=f"{name}@example.com", password="a-long-passphrase", full_name=name.title(), is_staff=name == "admin"
    )
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    return user


def _release(team: Team, owner: Any, admin: Any) -> dict[str, Any]:
    listing = listing_service.create_listing(
        owner, team, kind=Kind.ALGORITHM, name="Decision trees", product_id="prod-abcdefgh12345"
    )
    content = b"a build context"
    upload = versions.store_upload(owner, team, UploadPurpose.SOURCE, "c.tar.gz", BytesIO(content), len(content))
    version = versions.create_version(owner, listing, number="1.0.0", source=upload)
    sample = spec.parse((django_settings.BASE_DIR / "samples" / "decision-trees" / "slipway.yaml").read_text())
    run = versions.submit_version(owner, version)
    flow.run_through(run, fetch=StepReport({"archive_sha256": "0" * 64, "spec": sample.as_json()}))
    release = releases.request_release(owner, version)
    waiver = waivers.ask(owner, version, code="GATE-OS", subject="debian:12", reason="our base")
    granted = waivers.ask(owner, version, code="GATE-OS", subject="debian:13", reason="our base")
    waivers.grant(admin, granted, reason="fine", expires_at=timezone.now() + timedelta(days=9))
    attempt = flow.step_of(run, "fetch").attempts.get()
    Attempt.objects.filter(pk=attempt.pk).update(log=blobs.store(gzip.compress(b"")))
    return {
        "listing": listing.slug, "number": version.number, "run": run.number, "step": "fetch", "release": release.pk,
        "waiver": waiver.pk, "attempt": attempt.pk, "owner": release.pk,
    }  # fmt: skip


def _delivery(owner: Any, listing: Listing) -> dict[str, Any]:
    wanted = webhooks.Wanted(["main"])
    webhook, _secret = webhooks.create_webhook(owner, listing, Provider.GITHUB, wanted)
    return {"webhook": webhook.pk, "delivery": deliveries.send_test(owner, webhook).pk}


def _expected(name: str, permission: str, role: str, *, in_team: bool) -> str:
    if role in (FINER.get(name) or MAY[permission]):
        return "passes"
    if role == "anonymous":
        return "signs in"
    return "404" if in_team and role == "outsider" else "403"


def _seen(response: HttpResponse) -> str:
    if response.status_code == 302 and response["Location"].startswith(reverse("account_login")):
        return "signs in"
    return str(response.status_code) if response.status_code in (403, 404) or response.status_code >= 500 else "passes"


def _ask(world: World, name: str, role: str, method: str) -> HttpResponse:
    """One request, whose effects are undone."""
    kwargs: dict[str, Any] = {}
    for key in _all_converters(name):
        kwargs[key] = world.notices.get(role, world.notices["viewer"]) if key == "notice" else world.kwargs[key]
    client = Client(raise_request_exception=False)
    with transaction.atomic():
        if role != "anonymous":
            client.force_login(world.users[role])
        data = _DATA if method == "post" else None
        response: HttpResponse = getattr(client, method)(reverse(name, kwargs=kwargs), data)
        transaction.set_rollback(True)
    return response


_DATA = {"role": "viewer", "theme": "dark", "reason": "because", "days": "9", "body": "a comment", "comment": "why"}


def _all_converters(name: str) -> list[str]:
    """The names of a route's arguments, those of its prefixes too."""
    [(_, params), *_] = get_resolver().reverse_dict.getlist(name)[0][0]
    return list(params)


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(OURS))
def test_a_route_lets_in_whom_it_should(name: str, world: World, monkeypatch: Any) -> None:
    if name == "outbox":  # only the demo has one
        monkeypatch.setattr(SlipwaySettings, "is_demo", property(lambda config: True))
    if name == "readyz":  # says 503 where the tests have no Redis, to whomever
        monkeypatch.setattr(dependencies, "OWN", ("database",))
    permission = OURS[name].callback.permission
    in_team = "team" in _all_converters(name)
    asked, wrong = 0, []
    for method in ("get", "post"):
        if _ask(world, name, "owner", method).status_code == 405:
            continue
        for role in ROLES:
            asked += 1
            seen = _seen(_ask(world, name, role, method))
            expected = _expected(name, permission, role, in_team=in_team)
            if seen != expected:
                wrong.append(f"{method} as {role}: {seen}, should be: {expected}")
    assert asked
    assert wrong == []


@pytest.mark.django_db
def test_a_thing_of_another_team_is_not_found_under_ones_own(world: World) -> None:
    outsider = world.users["outsider"]
    own = Membership.objects.get(user=outsider).team.slug
    client = Client(raise_request_exception=False)
    client.force_login(outsider)
    found = []
    for name in sorted(OURS):
        params = _all_converters(name)
        if "team" not in params or len(params) == 1:
            continue
        url = reverse(name, kwargs={key: own if key == "team" else world.kwargs[key] for key in params})
        for method in ("get", "post"):
            response = getattr(client, method)(url, _DATA if method == "post" else None)
            if response.status_code not in (404, 405):
                found.append(f"{method} {name}: {response.status_code}")
    assert found == []
