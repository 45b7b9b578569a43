"""Start-up checks that Django runs with ``manage.py check``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, register


@register()
def storage_is_reachable(app_configs: Any, **kwargs: Any) -> list[Error]:
    """File storage must be writable; with several hosts it must be shared, or S3."""
    root = settings.MEDIA_ROOT
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".probe"
        probe.write_text("slipway")
        probe.unlink()
    except OSError as error:
        return [
            Error(
                f"Storage below {root} cannot be written: {error}.",
                hint="Set SLIPWAY_DATA_DIR to a writable folder, shared by every worker host.",
                id="slipway.E001",
            )
        ]
    return []
