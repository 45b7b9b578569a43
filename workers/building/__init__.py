"""Building a seller's image: reading its Dockerfile, the limited room that it runs in, the build, the push."""

from workers.building.room import remove_build_leftovers

__all__ = ["remove_build_leftovers"]
