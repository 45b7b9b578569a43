"""Problems of this area: the source of a version and what is in it."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_SLIPWAY = "Slipway, docs/slipway-yaml.md, section Sources"


def _source(code: str, title: str, cause: str, remedy: str, source: str = _SLIPWAY, holds: str = "") -> Problem:
    return Problem(f"SOURCE-{code}", Owner.SELLER, title, cause, remedy, NextAction.FIX_INPUT, source, holds)


# fmt: off (a table)
PROBLEMS: tuple[Problem, ...] = (
    _source(
        "NOT-ARCHIVE",
        "The upload is not an archive",
        "The file is not a readable .zip, .tar or .tar.gz: {detail}.",
        "Pack the directory that holds the Dockerfile, for example with: tar -czf source.tar.gz -C my-model .",
    ),
    _source(
        "EMPTY", "The archive is empty", "The archive holds no file.", "Pack the directory that holds the Dockerfile."
    ),
    _source(
        "PATH-ESCAPE",
        "A path leads out of the archive",
        "The member “{member}” is absolute or has “..” in its path.",
        "Pack with relative paths, from inside the directory.",
        holds="Every path stays inside the archive.",
    ),
    _source(
        "LINK-ESCAPE",
        "A link leads out of the archive",
        "The link “{member}” points to “{target}”, outside.",
        "Replace the link with the file itself.",
        holds="Every link stays inside the archive.",
    ),
    _source(
        "LINK-BROKEN",
        "A hard link has no file",
        "The hard link “{member}” points to “{target}”, which is no earlier file.",
        "Pack again without hard links (tar --hard-dereference).",
    ),
    _source(
        "SPECIAL-FILE",
        "A special file is in the archive",
        "The member “{member}” is {kind}; only files, directories and links can be built from.",
        "Remove it from the archive.",
    ),
    _source(
        "PATH-CONFLICT",
        "Two members claim the same path",
        "“{member}” is in the archive as two different things, or lies below a file or a link.",
        "Pack the directory again.",
    ),
    _source(
        "DUPLICATE",
        "A path is in the archive twice",
        "“{member}” is in the archive more than once.",
        "Pack the directory again into a new archive.",
    ),
    _source(
        "BAD-NAME",
        "A file name cannot be used",
        "The name of member {member} is too long, or not readable as text.",
        "Rename the file.",
    ),
    _source(
        "TOO-LARGE",
        "The source is too large",
        "{what}; at most {limit} are allowed.",
        "Leave data sets, virtual environments and build output out of the source.",
    ),
    _source(
        "BOMB",
        "The archive expands too far",
        "It expands to more than {ratio} times its packed size ({detail}).",
        "Leave out files of repeated bytes; pack the directory again.",
    ),
    _source(
        "ENCRYPTED", "The archive is encrypted", "The member “{member}” needs a password.", "Pack without a password."
    ),
    _source(
        "NO-SPEC",
        "There is no slipway.yaml",
        "The source has no slipway.yaml at its root, and the version was not described by form. At the root: {found}.",
        "Add slipway.yaml (a starter can be downloaded), or fill in the form.",
    ),
    _source(
        "NO-UPLOAD", "There is no source", "The version has no uploaded source.", "Upload a source and submit again."
    ),
    _source(
        "ADDRESS-FORBIDDEN",
        "The source leads to an address that is not public",
        "{host}{address} is refused: {reason}.",
        "Use an address that the internet reaches. For a host in a private network, the operator lists it in "
        "SLIPWAY_SOURCE_ALLOW_HOSTS.",
        "Slipway, docs/operations.md, section Sources from Git",
    ),
    _source(
        "SAMPLE-STRAY",
        "A channel's sample holds files that are no data",
        "{count} files below {paths} look like something else. SageMaker takes everything below an S3 prefix, and a "
        "program that reads every file stumbles over them.",
        "Move them out of the directory that tests.training.channels names.",
        "Amazon SageMaker developer guide, S3Prefix: all objects with the prefix are used",
        holds="The samples of the channels hold data only.",
    ),
    _source(
        "NO-ARTIFACT",
        "There are no model artifacts",
        "A model package needs its model.tar.gz: {detail}.",
        "Upload model.tar.gz, or name its path in the source under artifact.path.",
        "Amazon SageMaker developer guide, model artifacts for inference",
        holds="The model artifacts are there.",
    ),
    _source(
        "BAD-ARTIFACT",
        "The model artifacts are not a gzip tar archive",
        "{name} cannot be read as .tar.gz: {detail}.",
        "Pack the model's files with: tar -czf model.tar.gz -C model .",
        "Amazon SageMaker developer guide, model artifacts for inference",
        holds="The model artifacts are a readable .tar.gz.",
    ),
    _source(
        "ARTIFACT-NESTED",
        "The model's files lie in a directory",
        "Everything in {name} is below “{top}/”; SageMaker unpacks it to /opt/ml/model/{top}.",
        "Pack without the directory if the server looks in /opt/ml/model itself: tar -czf model.tar.gz -C {top} .",
        "Amazon SageMaker developer guide, model artifacts for inference",
        holds="The model's files lie at the root of the archive.",
    ),
    _source(
        "ARTIFACT-JUNK",
        "The model artifacts hold files of a file manager",
        "{count} files in {name} were left by macOS or Windows. A server that reads every file of /opt/ml/model "
        "stumbles over them.",
        "Pack without them; on macOS set COPYFILE_DISABLE=1, which leaves the “._” files out.",
        "Amazon SageMaker developer guide, model artifacts for inference",
        holds="The archive holds no files of a file manager.",
    ),
)
