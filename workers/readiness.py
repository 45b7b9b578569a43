"""What an engine worker must have shown before it takes work: an engine, its limits, the holder's image."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from listings.problems import ProblemError
from workers import engine as engines
from workers.sandbox.holder_image import ensure_holder_image
from workers.selftest import prove_build_limits

logger = logging.getLogger(__name__)


def prepare() -> dict[str, Any]:
    """Prepare this worker's engine. ``ready`` in the answer says whether steps may run; the rest is for admins."""
    try:
        engine = engines.connect()
        holder = ensure_holder_image(engine)
        proof = prove_build_limits(engine)
    except ProblemError as error:
        logger.warning("engine worker is not ready: %s", error)
        return {"ready": False, "problem": error.code, "params": error.report.params}
    info = engine.info()
    return {
        "ready": True,
        "host": settings.SLIPWAY.worker_host,
        "engine": info.get("ServerVersion", ""),
        "cpus": info.get("NCPU", 0),
        "memory_bytes": info.get("MemTotal", 0),
        "holder_image": holder,
        "build_limits": proof.as_json(),
    }
