"""Teams and their members."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F
from django.utils.text import slugify

from listings.access import Permission, require
from listings.models import Membership, Role, Team
from listings.problems import ProblemError
from listings.services import audit

AWS_FIELDS = (
    "aws_account_id", "aws_region", "aws_role_arn", "s3_bucket", "ecr_prefix", "validation_role_arn",
    "access_role_arn",
)  # fmt: skip
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


@transaction.atomic
def create_team(user: Any, name: str) -> Team:
    """Make a team with ``user`` as its owner."""
    require(user, Permission.SIGNED_IN)
    name = name.strip()
    if not name:
        raise ProblemError("TEAM-NAME-MISSING")
    slug = unique_slug(Team, name, length=80)
    team = Team.objects.create(name=name[:80], slug=slug, created_by=user)
    Membership.objects.create(team=team, user=user, role=Role.OWNER)
    audit.record(user, "team.create", team, team=team)
    return team


@transaction.atomic
def add_member(user: Any, team: Team, email: str, role: Role) -> Membership:
    """Add somebody who has an account. Raises ProblemError MEMBER-UNKNOWN or MEMBER-ALREADY."""
    require(user, Permission.MANAGE, team)
    member = get_user_model().objects.filter(email__iexact=email.strip(), is_active=True).first()
    if member is None:
        raise ProblemError("MEMBER-UNKNOWN", email=email)
    membership, made = Membership.objects.get_or_create(team=team, user=member, defaults={"role": role})
    if not made:
        raise ProblemError("MEMBER-ALREADY", email=email)
    audit.record(user, "member.add", member, team=team, role=role)
    return membership


@transaction.atomic
def change_role(user: Any, membership: Membership, role: Role) -> None:
    require(user, Permission.MANAGE, membership.team)
    _keep_an_owner(membership, unless=role == Role.OWNER)
    was, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(user, "member.role", membership.user, team=membership.team, was=was, role=role)


@transaction.atomic
def remove_member(user: Any, membership: Membership) -> None:
    """Remove a member; members may remove themselves. The last owner stays."""
    if user is None or user.pk != membership.user_id:
        require(user, Permission.MANAGE, membership.team)
    _keep_an_owner(membership)
    audit.record(user, "member.remove", membership.user, team=membership.team, role=membership.role)
    membership.delete()


def _keep_an_owner(membership: Membership, *, unless: bool = False) -> None:
    # Two owners who leave at the same moment must not both see the other still there.
    Team.objects.filter(pk=membership.team_id).update(slug=F("slug"))
    membership.refresh_from_db(fields=["role"])
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
