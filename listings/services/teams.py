"""Teams and their members."""

from __future__ import annotations

import re
from typing import Any, cast
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from listings.access import Permission, rank, require
from listings.models import Invitation, Membership, Role, Team
from listings.problems import ProblemError
from listings.services import audit

AWS_FIELDS = (
    "aws_account_id", "aws_region", "aws_role_arn", "s3_bucket", "ecr_prefix", "validation_role_arn",
    "access_role_arn",
)  # fmt: skip
_SLUG_TRIES = 20
#: contract 5.3: the Catalog wants a role without an IAM path.
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_ACCESS_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@-]+")


def unique_slug(model: type[Any], text: str, *, length: int = 48, **scope: Any) -> str:
    """A slug of ``text`` that no row within ``scope`` has."""
    base = slugify(text)[: length - 4].strip("-") or "x"
    if base == "new":  # an address of its own
        base = f"{model.__name__.lower()}-new"
    slug, count = base, 1
    while model.objects.filter(slug=slug, **scope).exists():
        count += 1
        slug = f"{base}-{count}"
    return slug


def create_with_slug(
    model: type[Any], text: str, values: dict[str, Any], *, length: int = 48, key: UUID | None = None, **scope: Any
) -> tuple[Any, bool]:
    """A row with a slug of its own within ``scope``, and whether it is new.

    ``key`` is the id that it gets. A form that is sent twice names the same, and the second sending makes nothing.
    """
    ours = {"created_by": values.get("created_by"), **scope}
    for _ in range(_SLUG_TRIES):
        if key is not None:
            # One look: between two, the same form sent twice could pass for somebody else's.
            made = model.objects.filter(pk=key).first()
            if made is not None and all(getattr(made, name) == value for name, value in ours.items()):
                return made, False
            if made is not None:
                key = None
        slug = unique_slug(model, text, length=length, **scope)
        try:
            with transaction.atomic():
                return model.objects.create(**({"pk": key} if key else {}), slug=slug, **scope, **values), True
        except IntegrityError:  # another took the slug, or sent the same form, between the look and the act
            continue
    raise ProblemError("SLUG-RACE", name=text)


@transaction.atomic
def create_team(user: Any, name: str, *, key: UUID | None = None) -> Team:
    """Make a team with ``user`` as its owner. ``key``: as for ``create_with_slug``."""
    require(user, Permission.SIGNED_IN)
    name = name.strip()
    if not name:
        raise ProblemError("TEAM-NAME-MISSING")
    team, new = create_with_slug(Team, name, {"name": name[:80], "created_by": user}, length=80, key=key)
    if new:
        Membership.objects.create(team=team, user=user, role=Role.OWNER)
        audit.record(user, "team.create", team, team=team)
    return cast(Team, team)


@transaction.atomic
def add_member(user: Any, team: Team, email: str, role: Role) -> Membership:
    """Add somebody who has an account without asking them: for operators and set-up; pages invite.

    Raises ProblemError MEMBER-UNKNOWN or MEMBER-ALREADY.
    """
    require(user, Permission.MANAGE, team)
    member = get_user_model().objects.filter(email__iexact=email.strip(), is_active=True).first()
    if member is None:
        raise ProblemError("MEMBER-UNKNOWN", email=email)
    if Membership.objects.filter(team=team, user=member).exists():
        raise ProblemError("MEMBER-ALREADY", email=email)
    membership = admit(team, member, role)
    audit.record(user, "member.add", member, team=team, role=role)
    return membership


def admit(team: Team, member: Any, role: Role) -> Membership:
    """Make ``member`` one, or raise their role to ``role``; a higher one stays. Whoever calls asks and audits."""
    _lock(team)
    membership, made = Membership.objects.get_or_create(team=team, user=member, defaults={"role": role})
    if not made and rank(role) > rank(Role(membership.role)):
        membership.role = role
        membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def change_role(user: Any, membership: Membership, role: Role) -> None:
    """Raises ProblemError MEMBER-LAST-OWNER or MEMBER-GONE."""
    require(user, Permission.MANAGE, membership.team)
    _keep_an_owner(membership, unless=role == Role.OWNER)
    if membership.role == role:
        return
    was, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(user, "member.role", membership.user, team=membership.team, was=was, role=role)
    if rank(role) < rank(Role(was)):
        _revoke_invitations(user, membership)


@transaction.atomic
def remove_member(user: Any, membership: Membership) -> None:
    """Remove a member; members may remove themselves. Raises ProblemError MEMBER-LAST-OWNER or MEMBER-GONE."""
    leaves = user is not None and user.pk == membership.user_id
    if not leaves:
        require(user, Permission.MANAGE, membership.team)
    _keep_an_owner(membership)
    act = "member.leave" if leaves else "member.remove"
    audit.record(user, act, membership.team if leaves else membership.user, team=membership.team, role=membership.role)
    _revoke_invitations(user, membership)
    membership.delete()


def _revoke_invitations(user: Any, membership: Membership) -> None:
    """Open ones that would undo a removal or a lower role: to an address of theirs, by whomever; and those of an owner,
    who may have sent them to an address that nobody knows as theirs."""
    team = membership.team
    member: Any = membership.user
    theirs = {address.lower() for address in (member.email, *member.emailaddress_set.values_list("email", flat=True))}
    for invitation in Invitation.objects.filter(team=team, accepted_at=None, revoked_at=None):
        if invitation.email not in theirs and invitation.invited_by_id != member.pk:
            continue
        invitation.revoked_at = timezone.now()
        invitation.save(update_fields=["revoked_at"])
        audit.record(user, "invitation.revoke", invitation.email, team=team, url=reverse("team", args=[team.slug]))


def _lock(team: Team) -> None:
    """Until the transaction ends, nobody else changes who is in the team."""
    Team.objects.filter(pk=team.pk).update(slug=F("slug"))


def _keep_an_owner(membership: Membership, *, unless: bool = False) -> None:
    # Two owners who leave at the same moment must not both see the other still there.
    _lock(membership.team)
    try:
        membership.refresh_from_db(fields=["role"])
    except Membership.DoesNotExist:
        raise ProblemError("MEMBER-GONE") from None
    if membership.role != Role.OWNER or unless:
        return
    others = Membership.objects.filter(team=membership.team, role=Role.OWNER).exclude(pk=membership.pk)
    if not others.exists():
        raise ProblemError("MEMBER-LAST-OWNER", team=membership.team.name)


@transaction.atomic
def connect_aws(user: Any, team: Team, values: dict[str, str]) -> None:
    """Set where the team's images and resources go. Raises ProblemError TEAM-AWS-FIELD for a malformed value."""
    require(user, Permission.MANAGE, team)
    for name in AWS_FIELDS:
        setattr(team, name, values.get(name, "").strip())
    _check_aws(team)
    team.save(update_fields=list(AWS_FIELDS))
    audit.record(user, "team.aws", team, team=team, **{name: getattr(team, name) for name in AWS_FIELDS})


def _check_aws(team: Team) -> None:
    rules = (
        ("aws_account_id", r"\d{12}", "twelve digits"),
        ("aws_region", r"[a-z]{2}(-[a-z]+)+-\d", "a Region such as us-east-1"),
        ("aws_role_arn", _ROLE.pattern, "a role's full ARN"),
        ("s3_bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name"),
        ("ecr_prefix", r"[a-z0-9]+([._/-][a-z0-9]+)*", "a repository prefix in lower case"),
        ("validation_role_arn", _ROLE.pattern, "a role's full ARN, not its name"),
        ("access_role_arn", _ACCESS_ROLE.pattern, "a role's full ARN without a path"),
    )
    for name, pattern, wanted in rules:
        value = getattr(team, name)
        if value and not re.fullmatch(pattern, value):
            raise ProblemError("TEAM-AWS-FIELD", field=name, value=value, wanted=wanted)
