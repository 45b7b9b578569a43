"""Takes images that nobody needs any more out of the staging registry."""

from __future__ import annotations

import logging

from listings.services import retention
from workers.registries import RegistryClient, RegistryError, staging

logger = logging.getLogger(__name__)


def _free(client: RegistryClient, image: retention.Unneeded) -> bool:
    """Raises RegistryError where the registry does not answer; what it refuses is tried again in another round."""
    try:
        client.delete_manifest(image.repository, image.digest)
    except RegistryError as error:
        if not error.status:
            raise
        logger.warning("%s@%s could not be removed: %s", image.repository, image.digest, error)
        return False
    retention.note_freed(image)
    return True


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
                count += _free(client, image)
    except RegistryError as error:
        logger.warning("staged images could not be removed: %s", error)
    if count:
        logger.info("removed %d staged images that nobody needs any more", count)
    return count
