"""Making users. Sign-in is by e-mail address, whatever its case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import BaseUserManager
from django.db import transaction

if TYPE_CHECKING:
    from portal.accounts.models import User


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    async def aget_by_natural_key(self, username: str | None) -> User:
        return await self.aget(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user whose address still has to be verified. Raises ValueError without an address."""
        if not email:
            raise ValueError("a user needs an e-mail address")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_verified_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user made by somebody who vouches for the address: an operator, a command, the demo."""
        from allauth.account.models import EmailAddress  # the app registry is not ready when this module loads

        with transaction.atomic(using=self._db):
            user = self.create_user(email, password, **fields)
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A site admin. ``manage.py createsuperuser`` ends here, so the address counts as verified."""
        return self.create_verified_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})
