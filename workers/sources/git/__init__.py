"""A version's source from Git: one commit with its submodules and LFS files, as a normalised archive.

git itself speaks to the code host, through the guard; what it fetched is then read from its repository, and never
checked out. Everything lies in a folder of the step's own, and the secret in it is gone before anything is packed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from listings.addresses import listed_hosts, parse_directory, parse_git, parse_ref
from listings.problems import ProblemError
from listings.reports import Evidence
from listings.services import credentials
from workers.logs.redact import Redactor
from workers.sources import guard
from workers.sources.archive import Normalised, normalise_members
from workers.sources.git import tree
from workers.sources.git.access import Access, Secret
from workers.sources.git.collect import Collection
from workers.sources.git.remote import Remote
from workers.sources.git.runner import Git, GitFailed
from workers.sources.members import Limits
from workers.steps.contract import StepContext


@dataclass(frozen=True, slots=True)
class Fetched:
    normal: Normalised
    commit: str


def fetch(context: StepContext, target: Path, limits: Limits) -> Fetched:
    """Write the normalised archive of the version's commit and directory to ``target``.

    Raises ProblemError GIT-*, SOURCE-*, CREDENTIAL-*, ADDRESS-*; StepStopped.
    """
    room = context.workdir / "git"
    room.mkdir(mode=0o700)
    try:
        collected = _collect(context, room, limits)
        members = tree.members(collected.git, collected.leaves)
        normal = normalise_members(members, target, limits, context.stop.check)
        return Fetched(normal, collected.commit)
    except GitFailed as error:
        evidence = tuple(Evidence(line, label="git") for line in error.lines)
        raise ProblemError("GIT-FAILED", evidence=evidence, reason=(error.lines or ("no word",))[-1]) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _collect(context: StepContext, room: Path, limits: Limits) -> Collection:
    """Everything that needs the network. The secret's files are gone when it returns."""
    version, log, stop = context.version, context.log, context.stop
    address = parse_git(version.git_url, http_hosts=listed_hosts(settings.SLIPWAY.source_allow_hosts))
    ref, directory = parse_ref(version.git_ref), parse_directory(version.directory)
    secret = Secret.of(version.credential, address)
    hidden = [secret.text] if secret is not None else []
    log.add_secrets(hidden)
    log.section("Source")
    log.line(f"{address}, {version.git_commit or ref or 'default branch'}", "slipway")
    home = room / "home"
    with guard.open() as way:
        stop.on_stop(way.cut)
        try:
            access = Access(home, way, address, secret)
            git = Git(
                access.environment(), room, limits.bytes, stop, log.line, partial(log.line, stream="slipway"),
                Redactor(hidden).clean,
            )  # fmt: skip
            collection = Collection(git, way, limits, directory)
            collection.collect(Remote(git, way, address, secret), ref, version.git_commit)
            if secret is not None:
                credentials.note_use(secret.row)
                if learned := access.learned_host_keys():
                    credentials.learn_host_keys(secret.row, learned)
        finally:
            stop.forget(way.cut)
            shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return collection
