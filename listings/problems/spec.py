"""Problems of this area: slipway.yaml, or the same spec filled in by form.

Every entry has ``{path}`` (the place in the spec) and ``{line}`` (empty for forms).
"""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_SAGEMAKER = "Amazon SageMaker service model, CreateAlgorithm and CreateModelPackage"
_CATALOG = "AWS Marketplace Catalog API, machine learning products"
_SLIPWAY = "Slipway, docs/slipway-yaml.md"
_VALIDATION = "AWS Marketplace seller guide, validation profile of algorithms and model packages"


def _spec(code: str, title: str, cause: str, remedy: str, source: str = _SLIPWAY, holds: str = "") -> Problem:
    return Problem(f"SPEC-{code}", Owner.SELLER, title, cause, remedy, NextAction.FIX_INPUT, source, holds)


# fmt: off (a table)
_READING = (
    _spec(
        "INVALID",
        "slipway.yaml is not valid",
        "The spec has {count}. The first: {first}",
        "Correct each line named in the evidence, then submit a new version.",
        holds="The spec is valid.",
    ),
    _spec(
        "TOO-LARGE",
        "The spec is too large",
        "It has {size} characters; {limit} are allowed.",
        "Move long data into files of the source and name their paths.",
    ),
    _spec(
        "ENCODING",
        "The spec is not UTF-8",
        "The file cannot be read as UTF-8 text from line {line} on.",
        "Save the file as UTF-8.",
    ),
    _spec(
        "YAML",
        "Not valid YAML",
        "The file cannot be read as YAML: {detail}.",
        "Correct the indentation or quoting at the line named.",
    ),
    _spec("EMPTY", "The spec is empty", "The file holds no YAML value.", "Start from the starter slipway.yaml."),
    _spec(
        "NOT-MAPPING",
        "The spec is not a mapping",
        "The file does not start with keys such as “slipway: 1”.",
        "Start from the starter slipway.yaml.",
    ),
    _spec(
        "TOO-COMPLEX",
        "The spec is too complex",
        "The file was not read further because {detail}.",
        "Write the values out without anchors and aliases, and less deeply nested.",
    ),
    _spec(
        "TAG",
        "A YAML tag is not allowed",
        "The tag {tag} would make something other than plain data.",
        "Remove the tag.",
    ),
    _spec("DUPLICATE-KEY", "A key is given twice", "“{key}” is already given in line {first}.", "Keep one of the two."),
    _spec(
        "UNKNOWN-KEY", "Unknown key", "“{key}” is not known here{hint}. Known: {known}.", "Correct or remove the key."
    ),
)

_VALUES = (
    _spec("REQUIRED", "A value is missing", "“{path}” must be given and must not be empty.", "Fill it in."),
    _spec("TYPE", "Wrong type of value", "Expected {expected}, found {found}.", "Write {expected} here."),
    _spec(
        "LENGTH", "Too long", "This has {length} characters; at most {limit} are allowed.", "Shorten it.", _SAGEMAKER
    ),
    _spec(
        "COUNT",
        "Wrong number of entries",
        "This list has {count} entries; {limit} are allowed.",
        "Add or remove entries.",
        _SAGEMAKER,
    ),
    _spec(
        "BOUNDS",
        "Number out of bounds",
        "{value} is not between {low} and {high}.",
        "Use a number from {low} to {high}.",
    ),
    _spec(
        "PATTERN",
        "Not in the form that AWS wants",
        "“{value}” does not match the pattern {pattern}.",
        "Use only what the pattern allows.",
        _SAGEMAKER,
    ),
    _spec(
        "PRINTABLE",
        "Line breaks and control characters are not allowed",
        "AWS allows only one line of printable characters here.",
        "Write the text on one line.",
        _SAGEMAKER,
    ),
    _spec(
        "CONTROL-CHARACTER",
        "A character cannot be used",
        "The text has the character {character}.",
        "Remove the character.",
    ),
    _spec(
        "CHOICE",
        "Not one of the allowed values",
        "“{value}” is none of {choices}{hint}.",
        "Use one of the allowed values.",
        _SAGEMAKER,
    ),
    _spec(
        "PATH",
        "Not a path inside the source",
        "“{value}” is absolute, leads out of the source, or has a backslash or line break.",
        "Give a path relative to the root of the source, with forward slashes.",
    ),
    _spec(
        "MEDIA-TYPE",
        "Not a content type",
        "“{value}” is not of the form type/subtype in ASCII characters, as a header holds it.",
        "Use a media type such as text/csv or application/json.",
        _SAGEMAKER,
    ),
    _spec(
        "URL",
        "Not an https address",
        "“{value}” is not an https address without a query.",
        "Give a public address that begins with https:// and has no “?…” part.",
        _CATALOG,
    ),
)

_TRAINING = (
    _spec(
        "SECTION-MISSING",
        "A section is missing",
        "A version of kind {kind} needs a “{section}” section.",
        "Add the section.",
        _SAGEMAKER,
    ),
    _spec(
        "SECTION-FOREIGN",
        "A section does not belong here",
        "A version of kind {kind} has no “{section}”.",
        "Remove the section, or correct “kind”.",
        _SAGEMAKER,
    ),
    _spec(
        "ARTIFACT-TWICE",
        "The model is in two places",
        "“{path}” and “{other}” both say where the model is.",
        "Keep one: the path of an archive in the source, in_image, or an archive for each container of a pipeline.",
    ),
    _spec("DUPLICATE-NAME", "Named twice", "The {what} “{name}” is already in the list.", "Keep one of the two."),
    _spec(
        "RANGE-MEMBER",
        "The range does not fit the type",
        "Hyperparameter “{name}” of type {type} needs {needed}.",
        "Give the range that belongs to the type.",
        _SAGEMAKER,
    ),
    _spec(
        "RANGE-NUMBER",
        "A bound is not a number",
        "“{value}” is not a number of type {type}.",
        "Give the bound as a number.",
        _SAGEMAKER,
    ),
    _spec(
        "RANGE-ORDER",
        "The range is empty",
        "MinValue {low} is greater than MaxValue {high}.",
        "Swap the two bounds.",
        _SAGEMAKER,
    ),
    _spec(
        "TUNABLE-RANGE",
        "A tunable hyperparameter needs a range",
        "“{name}” of type {type} is marked IsTunable but has no range to search.",
        "Add a Range, or set IsTunable to false.",
        _SAGEMAKER,
    ),
    _spec(
        "TUNABLE-OBJECTIVE",
        "Tuning needs an objective metric",
        "“{name}” is tunable, but SupportedTuningJobObjectiveMetrics is empty.",
        "Name at least one metric that a tuning job can optimise.",
        _SAGEMAKER,
    ),
    _spec(
        "REGEX",
        "Not a regular expression",
        "The expression of metric “{name}” does not compile: {detail}.",
        "Correct the expression.",
    ),
    _spec(
        "REGEX-GROUPS",
        "The expression needs exactly one group",
        "The expression of metric “{name}” has {count} capturing groups; the value is read from the only one.",
        "Put one pair of parentheses round the value; use (?:…) for others.",
        "Amazon SageMaker developer guide, training metrics",
    ),
    _spec(
        "OBJECTIVE-METRIC",
        "Unknown objective metric",
        "“{name}” is not among MetricDefinitions{hint}.",
        "Define the metric, or correct its name.",
        _SAGEMAKER,
    ),
)

_TESTS = (
    _spec(
        "TEST-MISSING",
        "A part has no test",
        "The version has a “{section}” part but no tests.{section}: it can neither be tested nor validated by AWS.",
        "Add tests.{section} with sample data.",
        _VALIDATION,
    ),
    _spec(
        "TEST-FOREIGN",
        "A test has nothing to test",
        "There is a tests.{section} but no “{section}” part.",
        "Remove the test, or add the part.",
    ),
    _spec(
        "INSTANCE-UNLISTED",
        "Instance type is not in the supported list",
        "{value} is not in {list}.",
        "Add it to the list, or choose one that is there.",
        _VALIDATION,
    ),
    _spec(
        "CHANNEL-MISSING",
        "A channel has no sample data",
        "Channel “{name}” has no sample in tests.training.channels.",
        "Name a file or directory of the source for it.",
        _VALIDATION,
    ),
    _spec(
        "CHANNEL-UNDECLARED",
        "Unknown channel",
        "“{name}” is not among training.TrainingChannels{hint}.",
        "Declare the channel, or correct its name.",
        _VALIDATION,
    ),
    _spec(
        "INPUT-MODE",
        "No common input mode",
        "The channels {names} share no input mode; a job has one for all.",
        "Declare a common mode, File if possible, for each.",
        _SAGEMAKER,
    ),
    _spec(
        "CONTENT-TYPE-UNDECLARED",
        "Content type is not declared",
        "{value} is not among the declared {declared}.",
        "Add it to SupportedContentTypes, or send a declared type.",
        _VALIDATION,
    ),
    _spec(
        "ACCEPT-UNDECLARED",
        "Answer type is not declared",
        "{value} is not among the declared {declared}.",
        "Add it to SupportedResponseMIMETypes, or ask for a declared type.",
        _VALIDATION,
    ),
    _spec(
        "HYPERPARAMETER-MISSING",
        "A required hyperparameter is not set",
        "“{name}” is required and has no default, but the test does not set it.",
        "Set it in tests.training.hyperparameters.",
        _VALIDATION,
    ),
    _spec(
        "HYPERPARAMETER-UNDECLARED",
        "Unknown hyperparameter",
        "“{name}” is not among training.SupportedHyperParameters{hint}.",
        "Declare it, or correct its name.",
        _VALIDATION,
    ),
    _spec(
        "HYPERPARAMETER-VALUE",
        "Hyperparameter value is not allowed",
        "“{value}” is not allowed for “{name}”: {why}.",
        "Choose a value inside the declared range.",
        _VALIDATION,
    ),
    _spec(
        "NO-GOOD-REQUEST",
        "No request is expected to succeed",
        "Every request sample expects a refusal, so nothing shows that the model answers.",
        "Add a request that expects status 200.",
        _VALIDATION,
    ),
    _spec(
        "SAMPLE-MISSING",
        "A sample file is not in the source",
        "{path} names “{file}”, which the source does not have.",
        "Add the file, or correct the path.",
        holds="Every sample file is in the source.",
    ),
)

_OTHER = (
    _spec(
        "KIND-MISMATCH",
        "The spec is for the other kind of listing",
        "The spec says {found}, but the listing is of kind {expected}.",
        "Correct “kind”, or add the version to a listing of that kind.",
    ),
    _spec(
        "BUILD-SECRET",
        "A build argument looks like a secret",
        "“{name}” would stay readable in the image's history, which buyers and AWS can see.",
        "Remove the argument; fetch what needs a secret before uploading the source.",
        "AWS Marketplace seller guide, security and intellectual property",
    ),
    _spec(
        "PUBLICATION",
        "Needed for publication",
        "{path} is empty: {what} must be there before a release.",
        "Fill it in, in the listing's texts.",
        _CATALOG,
        holds="Every text that the Marketplace requires is there.",
    ),
)

# fmt: on
PROBLEMS: tuple[Problem, ...] = (*_READING, *_VALUES, *_TRAINING, *_TESTS, *_OTHER)
