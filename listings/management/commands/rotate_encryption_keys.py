"""``manage.py rotate_encryption_keys``: seal every stored secret with the newest of SLIPWAY_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from listings.services import resealing


class Command(BaseCommand):
    help = (
        "Seals every stored secret again with the newest encryption key. Put the new key before the old one in "
        "SLIPWAY_ENCRYPTION_KEYS and restart every process first; take the old key away afterwards."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=200, help="rows read at once")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch is at least 1.")
        done = resealing.reseal_all(batch=options["batch"])
        self.stdout.write(f"{done.secrets} secret{'' if done.secrets == 1 else 's'} sealed with the newest key.")
        if done.unreadable:
            raise CommandError(
                f"{len(done.unreadable)} cannot be opened with any key: {', '.join(done.unreadable[:20])}. "
                "Keep the older keys in SLIPWAY_ENCRYPTION_KEYS, or enter these secrets anew."
            )
        self.stdout.write("Older keys are no longer needed.")
