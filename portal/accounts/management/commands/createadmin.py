"""Makes somebody a site admin: the first one of an installation, or one more."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse

from portal.accounts.models import User


class Command(BaseCommand):
    help = (
        "Make an account with this address a site admin, and make the account if there is none. The password is asked "
        "for, or read from standard input; with --link nobody but its owner ever knows it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the address to sign in with")
        parser.add_argument("--name", default="", help="the name that others see")
        parser.add_argument("--link", action="store_true", help="print a one-time link to set the password with")

    def handle(self, email: str, name: str, link: bool, **options: Any) -> None:
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"{email!r} is not an e-mail address.") from None
        found = User.objects.filter(email__iexact=email).first()
        wanted = "" if link or (found is not None and found.has_usable_password()) else self._password(email, name)
        user = self._admin(found, email, name, wanted)
        self.stdout.write(f"{user.email} is a site admin{'' if found is None else ' (the account was there already)'}.")
        if link:
            self.stdout.write(f"To set the password, once: {set_password_link(user)}")
        elif not wanted:
            self.stdout.write("The password stays as it was. With --link a new one can be set.")

    @transaction.atomic
    def _admin(self, user: User | None, email: str, name: str, password: str) -> User:
        if user is None:
            user = User.objects.create_verified_user(email, password or None, full_name=name)
        elif password:
            user.set_password(password)
        user.is_staff = user.is_superuser = user.is_active = True
        user.full_name = name or user.full_name
        user.save()
        self._verify(user)
        return user

    def _verify(self, user: User) -> None:
        """Whoever runs this vouches for the address; it would otherwise keep the account from signing in."""
        address, _ = EmailAddress.objects.get_or_create(user=user, email=user.email)
        address.verified = True
        address.save()
        address.set_as_primary()

    def _password(self, email: str, name: str) -> str:
        password = self._ask() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        try:
            validate_password(password, User(email=email.lower(), full_name=name))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        return password

    def _ask(self) -> str:
        first = getpass.getpass("Password: ")
        if first != getpass.getpass("Password again: "):
            raise CommandError("These were two different passwords.")
        return first


def set_password_link(user: User) -> str:
    """The address of the page that sets a new password; good once, and for as long as a mailed one."""
    words = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    path = reverse("account_reset_password_from_key", kwargs=words)
    return f"{settings.SLIPWAY.public_url.rstrip('/')}{path}"
