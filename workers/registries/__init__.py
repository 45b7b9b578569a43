"""Registries: their several names, reading and writing over the OCI distribution API, and copying between them."""

from workers.registries.client import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    Manifest,
    RegistryClient,
    RegistryError,
)
from workers.registries.copy import CopyFailed, CopyTooLarge, TagTaken, copy_image, push_folder
from workers.registries.names import Credentials, Registry, ecr, staging

__all__ = [
    "DOCKER_CONFIG",
    "DOCKER_LAYER",
    "DOCKER_MANIFEST",
    "CopyFailed",
    "CopyTooLarge",
    "Credentials",
    "Manifest",
    "Registry",
    "RegistryClient",
    "RegistryError",
    "TagTaken",
    "copy_image",
    "ecr",
    "push_folder",
    "staging",
]
