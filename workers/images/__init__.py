"""Reading an image out of a registry, layer by layer, without an engine and without running anything."""

from workers.images.facts import FileEntry, Kind, LayerFacts
from workers.images.limits import DEFAULT_LIMITS, Limits
from workers.images.reader import Image, ImageConfig, Layer, read_image
from workers.images.tree import Node, Tree, compose

__all__ = [
    "DEFAULT_LIMITS",
    "FileEntry",
    "Image",
    "ImageConfig",
    "Kind",
    "Layer",
    "LayerFacts",
    "Limits",
    "Node",
    "Tree",
    "compose",
    "read_image",
]
