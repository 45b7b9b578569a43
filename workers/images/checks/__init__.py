"""The rules of the contract that can be known of an image before it runs, each a check with its evidence."""

from __future__ import annotations

from collections.abc import Sequence

from listings.reports import CheckReport
from workers.images.checks import content, lines, platform, scripts, secrets, starting
from workers.images.checks.subject import Artifact, Subject
from workers.images.programs import find, started_by
from workers.images.reader import Image

__all__ = ["Artifact", "check_image", "resolved"]


def check_image(
    image: Image, *, train: bool, serve: bool, artifact: Artifact | None = None, log_lines: Sequence[int] = (),
    chained: bool = False,
) -> tuple[CheckReport, ...]:  # fmt: skip
    """Every check, in the order shown. ``train`` / ``serve``: whether the version's spec asks for that command;
    ``chained``: whether as an inference pipeline."""
    wanted = tuple(argument for argument, asked in (("train", train), ("serve", serve)) if asked)
    subject = Subject(image, wanted, artifact, log_lines, chained)
    return (
        *platform.checks(subject),
        *starting.checks(subject),
        *scripts.checks(subject),
        *content.checks(subject),
        *secrets.checks(subject),
        *lines.checks(subject),
    )


def resolved(image: Image, argument: str) -> str | None:
    """The file that ``argument`` starts, for the facts."""
    if image.config.entrypoint and find(image, image.config.entrypoint[0]).node is None:
        return None
    return started_by(image, argument).path
