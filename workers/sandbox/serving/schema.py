"""Does an answer satisfy a JSON Schema? Both are a stranger's, so this runs in a process that can be killed: a pattern
that backtracks without end must not hold a worker. Nothing that a schema refers to is fetched."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TIMEOUT_SECONDS = 20.0
MAX_MEMORY_BYTES = 1 << 30
MAX_ERRORS = 10
MAX_TEXT = 200


class SchemaUnusable(Exception):
    """The schema itself is at fault; the argument says how."""


def violations(schema: bytes, answer: bytes) -> list[str]:
    """Where ``answer`` breaks ``schema``, in words; empty where it satisfies it. Raises SchemaUnusable."""
    try:
        question = json.dumps({"schema": json.loads(schema)}).encode()
    except (ValueError, RecursionError) as error:
        raise SchemaUnusable(f"it is not JSON: {error}"[:MAX_TEXT]) from error
    try:
        done = subprocess.run(
            [sys.executable, "-I", __file__], input=question + b"\n" + answer,
            capture_output=True, timeout=TIMEOUT_SECONDS, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise SchemaUnusable(f"comparing with it took more than {TIMEOUT_SECONDS:g} s") from error
    except (subprocess.CalledProcessError, ValueError) as error:
        raise SchemaUnusable("comparing with it took too much memory or depth") from error
    if "unusable" in found:
        raise SchemaUnusable(found["unusable"])
    return [str(text) for text in found["errors"]]


def _errors(schema: Any, answer: bytes) -> dict[str, Any]:
    import jsonschema
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable

    try:
        instance = json.loads(answer)
    except (ValueError, RecursionError):
        return {"errors": ["the answer is not JSON"]}
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        found = []
        # With a registry of its own the validator fetches nothing: an unknown reference is an error.
        for error in kind(schema, registry=REGISTRY).iter_errors(instance):
            found.append(f"{error.json_path[:MAX_TEXT]}: {error.message[:MAX_TEXT]}")
            if len(found) == MAX_ERRORS:
                break
    except jsonschema.SchemaError as error:
        return {"unusable": f"{error.json_path[:MAX_TEXT]}: {error.message[:MAX_TEXT]}"}
    except Unresolvable as error:
        return {"unusable": f"it refers to something outside itself: {error}"[:MAX_TEXT]}
    except Exception as error:  # a wrong regular expression, a wrong type: whatever the library makes of it
        return {"unusable": f"{type(error).__name__}: {error}"[:MAX_TEXT]}
    return {"errors": found}


def _main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    question = json.loads(sys.stdin.buffer.readline())
    json.dump(_errors(question["schema"], sys.stdin.buffer.read()), sys.stdout)


if __name__ == "__main__":
    _main()
