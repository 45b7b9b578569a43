"""What the prober itself costs a request: measured in a holder, against a server that does nothing."""

from __future__ import annotations

from typing import Any

from workers.engine import Engine, attempt_labels
from workers.sandbox.holder_client import Holder
from workers.sandbox.holder_image import ensure_holder_image
from workers.steps.contract import Stop

REQUESTS = 1000
SECONDS = 60.0


def measure(engine: Engine, instance: str) -> dict[str, Any]:
    """Figures of ``REQUESTS`` requests of one client, as of a load: p50_ms and so on. For ``make bench``."""
    image = ensure_holder_image(engine)
    stop = Stop()
    holder = Holder.start(engine, image, attempt_labels(instance, "bench", "overhead"), [], stop)
    try:
        return holder.call("overhead", stop, SECONDS, requests=REQUESTS)
    finally:
        holder.close()
