"""Takes images that nobody needs any more out of the staging registry."""

from __future__ import annotations

import logging

from listings.services import retention
from workers.registries import RegistryClient, RegistryError, staging

logger = logging.getLogger(__name__)


def free_staged_images() -> int:
    """One round. Returns how many went; a registry that does not answer is asked again in the next round.

    The registry lets go of the bytes when its own garbage collection runs (docs/operations.md).
    """
    unneeded, count = retention.unneeded_images(), 0
    if not unneeded:
        return 0
    try:
        with RegistryClient(staging()) as client:
            for image in unneeded:
                client.delete_manifest(image.repository, image.digest)
                retention.note_freed(image)
                count += 1
    except RegistryError as error:
        logger.warning("staged images could not be removed: %s", error)
    if count:
        logger.info("removed %d staged images that nobody needs any more", count)
    return count
